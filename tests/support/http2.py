"""HTTP/2 frames written by hand, for requests that no client library sends."""

import asyncio
import struct

import hpack

DATA, HEADERS, RESET, SETTINGS, CONTINUATION = 0, 1, 3, 4, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)


def fields(*named: tuple[str, str]) -> bytes:
    """Return header fields as literals without indexing (RFC 7541, section 6.2.2)."""
    return b"".join(b"\0%c%b%c%b" % (len(name), name.encode(), len(v), v.encode()) for name, v in named)


def call_of(path: str) -> bytes:
    """Return the headers of a gRPC call."""
    return fields(
        (":method", "POST"), (":scheme", "http"), (":authority", "till"), (":path", path),
        ("content-type", "application/grpc"), ("te", "trailers"),
    )  # fmt: skip


async def answer(reader: asyncio.StreamReader, seconds: float = 10) -> list[tuple[int, bytes]]:
    """Read the frames that answer the first call on a connection; return the kind and payload of each."""
    frames, is_over = [], False
    async with asyncio.timeout(seconds):
        while not is_over:
            high, low, kind, flags, stream = struct.unpack(">BHBBI", await reader.readexactly(9))
            payload = await reader.readexactly(high << 16 | low)
            if stream == 1:
                frames.append((kind, payload))
                is_over = bool(flags & END_STREAM) or kind == RESET
    return frames


def headers_in(frames: list[tuple[int, bytes]]) -> dict[str, str]:
    """Return all headers and trailers of a response."""
    decoder = hpack.Decoder()
    blocks = [decoder.decode(payload) for kind, payload in frames if kind == HEADERS]
    return {str(name): str(value) for block in blocks for name, value in block}
