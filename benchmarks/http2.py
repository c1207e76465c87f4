"""A gRPC client with low cost. h2load repeats one body, and does not check grpc-status (RFC 9113).

One connection carries the calls. Their frames are written by hand, and a reply is read only up to its status.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, cast

import hpack
from hpack.table import HeaderTable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
INITIAL_WINDOW_SIZE = 0x4
LARGEST_WINDOW = 2**31 - 1
FRAME = struct.Struct(">BHBBI")  # the length has three bytes
MESSAGE = struct.Struct(">BI")

OK = "0"


class Kind(IntEnum):
    """HTTP/2 frame types."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Connection(asyncio.Protocol):
    """One HTTP/2 connection; reports each message, and the end of each call with its grpc-status."""

    def __init__(
        self,
        authority: str,
        key: str,
        on_end: Callable[[int, str], None],
        on_message: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._authority = authority
        self._key = key
        self._on_end = on_end
        self._on_message = on_message
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._blocks: dict[str, bytes] = {}
        self._statuses: dict[bytes, str | None] = {}
        self._next_stream = 1
        self._rest = b""
        self._open: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface and the settings."""
        self._transport = transport = cast("asyncio.Transport", transport)
        window = struct.pack(">HI", INITIAL_WINDOW_SIZE, LARGEST_WINDOW)
        update = struct.pack(">I", LARGEST_WINDOW - 65535)
        transport.write(
            PREFACE + _frame(Kind.SETTINGS, 0, 0, window) + _frame(Kind.WINDOW_UPDATE, 0, 0, update)
        )

    def connection_lost(self, reason: Exception | None) -> None:
        """End all calls."""
        for stream in list(self._open):
            self._end(stream, "the connection was lost")

    def call(self, path: str, message: bytes) -> tuple[int, bytes]:
        """Return a call's stream and frames; write them before those of the next call."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._open.add(stream)
        body = MESSAGE.pack(0, len(message)) + message
        return stream, (
            _frame(Kind.HEADERS, END_HEADERS, stream, self._block(path))
            + _frame(Kind.DATA, END_STREAM, stream, body)
        )

    def write(self, frames: bytes) -> None:
        """Send frames."""
        self._transport.write(frames)

    def close(self) -> None:
        """Abort the connection and its open calls."""
        self._open.clear()
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read frames."""
        data, position = self._rest + data, 0
        while len(data) - position >= 9:
            high, low, kind, flags, stream = FRAME.unpack_from(data, position)
            end = position + 9 + (high << 16) + low
            if end > len(data):
                break
            self._take(kind, flags, stream, data[position + 9 : end])
            position = end
        self._rest = data[position:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case Kind.DATA:
                self._on_message(stream)
            case Kind.HEADERS if flags & END_HEADERS:
                status = self._status(payload)
                if flags & END_STREAM:
                    self._end(stream, status or "no status")
            case Kind.RST_STREAM:
                self._end(stream, f"reset: {int.from_bytes(payload, 'big')}")
            case Kind.SETTINGS | Kind.PING if not flags & ACK:
                self._transport.write(_frame(kind, ACK, 0, payload if kind == Kind.PING else b""))
            case Kind.GOAWAY | Kind.CONTINUATION | Kind.PUSH_PROMISE:
                self._transport.abort()

    def _end(self, stream: int, status: str) -> None:
        if stream in self._open:
            self._open.remove(stream)
            self._on_end(stream, status)

    def _block(self, path: str) -> bytes:
        if path in self._blocks:
            return self._blocks[path]
        with _memory_kept(self._blocks, self._encoder.header_table):
            block = self._blocks[path] = self._encoder.encode([
                (":method", "POST"), (":scheme", "http"), (":authority", self._authority), (":path", path),
                ("te", "trailers"), ("content-type", "application/grpc"),
                ("authorization", f"Bearer {self._key}"),
            ])  # fmt: skip
        return block

    def _status(self, block: bytes) -> str | None:
        if block in self._statuses:
            return self._statuses[block]
        with _memory_kept(self._statuses, self._decoder.header_table):
            fields: dict[str, str] = dict(self._decoder.decode(block))  # type: ignore[arg-type]
            status = self._statuses[block] = fields.get("grpc-status")
        return status


@contextmanager
def _memory_kept(memory: dict[Any, Any], table: HeaderTable) -> Iterator[None]:
    """Clear cached header blocks when one has changed the table that they refer to (RFC 7541)."""
    before = tuple(table.dynamic_entries)
    yield
    if tuple(table.dynamic_entries) != before:
        memory.clear()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload)
    return FRAME.pack(length >> 16, length & 0xFFFF, kind, flags, stream) + payload
