"""lightningd's JSON-RPC, with many concurrent calls over one connection.

pyln-client opens a socket for each call, blocks, and has no timeout. This module keeps its methods and
errors, and replaces its transport.
"""

import asyncio
import itertools
import json
from contextvars import Context
from pathlib import Path
from typing import Any

import structlog
from pyln.client import LightningRpc, RpcError

from tilld.formats.strict_json import write
from tilld.runtime import unix_socket
from tilld.runtime.observer import NOBODY, NOTHING, Observer

log = structlog.get_logger()

# A reply is one line of unlimited length: descriptions of other applications' invoices have no limit.
MAX_REPLY_BYTES = 256 * 1024 * 1024


class ConnectionLost(Exception):
    """Raised when the connection failed or ended. `sent`: the node may have received the call."""

    code = "E8"

    def __init__(self, *, sent: bool) -> None:
        super().__init__("lightningd is not connected")
        self.sent = sent


class RpcRefused(RpcError):  # type: ignore[misc]
    """lightningd replied with an error."""

    code = "REFUSED"


class Pipeline(LightningRpc):  # type: ignore[misc]
    """pyln-client's LightningRpc, whose methods return awaitables.

    Connects with the first call, and reconnects with the first call after a loss. Raises ConnectionLost;
    TimeoutError after `timeout` seconds without a reply; pyln.client.RpcError for lightningd's errors.

    Commands that wait for an event have no timeout, and are not reported to the observer.
    """

    WAITING = frozenset({"wait", "sendinvoice"})

    def __init__(self, rpc_file: str, timeout: float, observer: Observer = NOBODY) -> None:
        super().__init__(rpc_file)
        self.timeout = timeout
        self._observer = observer
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._last_logged = ""

    @property
    def connection(self) -> object:
        """The current connection, or None. After a reconnect the node may be another one."""
        return None if self._connection is None or self._connection.is_lost else self._connection

    async def call(
        self,
        method: str,
        payload: Any = None,
        cmdprefix: str | None = None,
        filter: Any = None,  # noqa: A002
    ) -> Any:
        """Call a method of lightningd, as pyln-client does."""
        params = {name: value for name, value in (payload or {}).items() if value is not None}
        waits = method in self.WAITING
        with NOTHING if waits else self._observer.node_call(method):
            connection = await self._connected()
            async with asyncio.timeout(None if waits else self.timeout):
                reply = await connection.request(method, params, filter)
            if "result" in reply:
                return reply["result"]
            raise RpcRefused(method, params, reply["error"])

    async def hang_up(self) -> None:
        """Close the connection, if any; calls in flight raise ConnectionLost."""
        if self._connection:
            await self._connection.close()

    async def _connected(self) -> "_Connection":
        if self._connection and not self._connection.is_lost:
            return self._connection
        async with self._connecting:
            if self._connection is None or self._connection.is_lost:
                try:
                    # uvloop truncates a path that is too long, and may connect to another socket.
                    with unix_socket.short(Path(self.socket_path).parent) as directory:
                        reader, writer = await asyncio.open_unix_connection(
                            f"{directory}/{Path(self.socket_path).name}", limit=MAX_REPLY_BYTES
                        )
                except OSError as reason:
                    self._log_once(reason)
                    raise ConnectionLost(sent=False) from None
                self._last_logged = ""
                self._connection = _Connection(reader, writer)
            return self._connection

    def _log_once(self, reason: OSError) -> None:
        if str(reason) == self._last_logged:
            return
        self._last_logged = str(reason)
        if isinstance(reason, PermissionError):
            log.error(
                "lightningd's socket is not accessible: run Till as a user with access, "
                "or set rpc-file-mode (lightningd-config(5))",
                socket=str(self.socket_path),
            )
        else:
            log.warning("lightningd cannot be reached", reason=self._last_logged)


class _Connection:
    """A connection that matches replies to calls by id, in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._unsent: list[bytes] = []
        # An empty context, since the task outlives the call that starts it.
        self._reading = asyncio.create_task(self._read(), context=Context())
        # A callback, since the task may be cancelled before it starts.
        self._reading.add_done_callback(self._lose)

    @property
    def is_lost(self) -> bool:
        return self._reading.done()

    async def request(self, method: str, params: dict[str, Any], fields: Any) -> dict[str, Any]:
        request_id = f"till:{method}#{next(self._ids)}"
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        if fields:
            request["filter"] = fields
        loop = asyncio.get_running_loop()
        replied = self._pending[request_id] = loop.create_future()
        try:
            # UTF-8: lightningd rejects \u escapes in descriptions, and stores labels as written.
            self._unsent.append(write(request))
            if len(self._unsent) == 1:
                loop.call_soon(self._send)
            reply: dict[str, Any] = await replied
            return reply
        finally:
            del self._pending[request_id]

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])

    def _send(self) -> None:
        """Send all pending requests in one write: a write costs more than the rest of a call."""
        # uvloop raises on a closed transport, shortly before the read ends and fails the calls.
        if not (self.is_lost or self._writer.is_closing()):
            self._writer.write(b"".join(self._unsent))
        self._unsent.clear()

    async def _read(self) -> None:
        try:
            while True:
                self._take(json.loads(await self._reader.readuntil(b"\n\n")))
        except (asyncio.IncompleteReadError, OSError):
            log.warning("lightningd closed the connection")
        except (ValueError, RecursionError, asyncio.LimitOverrunError) as reason:
            log.error("lightningd's replies are malformed; reconnecting", reason=str(reason)[:200])

    def _lose(self, reading: asyncio.Task[None]) -> None:
        self._writer.close()
        for replied in self._pending.values():
            if not replied.done():
                replied.set_exception(ConnectionLost(sent=True))

    def _take(self, reply: Any) -> None:
        if not isinstance(reply, dict) or not ("result" in reply or isinstance(reply.get("error"), dict)):
            raise ValueError("neither result nor error")
        if not isinstance(reply.get("id"), str):
            # lightningd could not parse a request, and its reply has no id.
            raise ValueError(str(reply.get("error")))
        replied = self._pending.get(reply["id"])
        if replied and not replied.done():
            replied.set_result(reply)
