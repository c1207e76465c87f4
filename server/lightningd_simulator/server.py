"""The socket of a simulated node: connections, requests and replies."""

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from lightningd_simulator import commands
from lightningd_simulator.channels import USUAL, Channel
from lightningd_simulator.commands import payer
from lightningd_simulator.node import Node
from lightningd_simulator.peers import MessageLimit
from lightningd_simulator.rpc import result_filter
from lightningd_simulator.rpc.answers import Code, NodeAborted, Result, RpcError
from lightningd_simulator.rpc.requests import Inbox, Malformed, Value, call, request_id, wanted

log = logging.getLogger(__name__)

_BACKLOG = 128
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Connection(asyncio.Protocol):
    """One client. Replies are sent when ready, in any order."""

    _transport: asyncio.Transport

    def __init__(self, node: Node, connections: set["Connection"]) -> None:
        self._node = node
        self._connections = connections
        self._inbox = Inbox()
        self._deaf = False
        self._waiting: set[asyncio.Future[Result]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register a client."""
        # uvloop's transports are not asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        if self._node.is_closed:
            # Accepted while the listener was closing.
            self._transport.abort()
        else:
            self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Remove a client, and cancel its pending calls."""
        self._connections.discard(self)
        for task in self._waiting:
            task.cancel()

    def pause_writing(self) -> None:
        """Pause reading from a client that does not read its replies."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume reading."""
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Reply to the requests that have arrived."""
        if self._deaf:
            return
        self._inbox.feed(data)
        try:
            for message in self._inbox:
                self._answer(message)
                if self._node.ended.done():
                    return
        except Malformed as error:
            self._deaf = True
            self._send("null", RpcError(Code.INVALID_REQUEST, str(error)))

    def _answer(self, message: Value) -> None:
        reply_to = "null"
        try:
            reply_to = request_id(message)
            template = result_filter.read(wanted(message))
            outcome = commands.call(self._node, *call(message))
        except RpcError as error:
            self._send(reply_to, error)
        except NodeAborted as abort:
            self._node.end(abort)
        else:
            if isinstance(outcome, dict):
                self._send(reply_to, result_filter.apply(template, outcome))
            else:
                # The command itself is the task. A wrapper task, cancelled before its first step, would leave
                # a coroutine that was never awaited.
                task = asyncio.ensure_future(outcome)
                self._waiting.add(task)
                task.add_done_callback(partial(self._answer_later, reply_to, template))

    def _answer_later(
        self, reply_to: str, template: result_filter.Template, task: asyncio.Future[Result]
    ) -> None:
        self._waiting.discard(task)
        if task.cancelled():
            return
        try:
            self._send(reply_to, result_filter.apply(template, task.result()))
        except RpcError as error:
            self._send(reply_to, error)
        except NodeAborted as abort:
            self._node.end(abort)

    def _send(self, reply_to: str, reply: Result | RpcError) -> None:
        kind, content = ("error", reply.as_json()) if isinstance(reply, RpcError) else ("result", reply)
        text = f'{{"jsonrpc":"2.0","id":{reply_to},"{kind}":{_JSON.encode(content)}}}\n\n'
        # A label may contain an unpaired surrogate, which JSON can only escape.
        self._transport.write(text.encode(errors="backslashreplace"))

    def close(self, *, abruptly: bool) -> None:
        """Disconnect, immediately or after pending replies."""
        if abruptly:
            self._transport.abort()
        else:
            self._transport.close()


class Simulator:
    """A simulated lightningd that listens on a unix socket while the context is open.

    Like lightningd, it leaves its socket file behind. Entering raises OSError if the socket is not available
    (EADDRINUSE: another process listens), and Node's errors about the state.
    """

    def __init__(
        self,
        rpc_file: Path,
        state: Path | None = None,
        clock: Callable[[], float] = time.time,
        peers: Sequence[Path] = (),
        message_limit: MessageLimit | None = None,
        payment_seconds: float = 0,
        channels: Sequence[Channel] = (),
    ) -> None:
        """Create the simulator. `peers` are sockets of other simulated nodes.

        They need no `channels`, which decide on route hints and warnings only. `message_limit` limits
        messages of peers. `payment_seconds` is the time from a payment's start until its
        arrival.
        """
        self.rpc_file = rpc_file
        self._state = state
        self._clock = clock
        self._peers = peers
        self._message_limit = message_limit
        self._payment_seconds = payment_seconds
        self._channels = channels
        self._connections: set[Connection] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        with ExitStack() as resources:
            listener = resources.enter_context(_listener(self.rpc_file))
            node = Node(
                self.rpc_file,
                self._state,
                self._clock,
                self._peers,
                self._message_limit,
                self._payment_seconds,
                self._channels,
            )
            self._node = resources.enter_context(closing(node))
            options: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
            self._server = await loop.create_unix_server(
                lambda: Connection(self._node, self._connections), sock=listener, backlog=_BACKLOG, **options
            )
            self._resources = resources.pop_all()
        self._node.ended.add_done_callback(lambda ended: self._close(abruptly=bool(ended.result())))
        payer.resume(self._node)
        log.info("simulated lightningd %s listens on %s", self.node_id, self.rpc_file)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(abruptly=True)
        await asyncio.sleep(0)  # Lets the connections close.

    @property
    def node_id(self) -> str:
        """The public key of the node, in hex."""
        return self._node.id

    async def ended(self) -> None:
        """Return when the node was stopped.

        Raises NodeAborted if the node aborted, as lightningd does for certain requests.
        """
        if abort := await asyncio.shield(self._node.ended):
            raise abort

    def expire_due(self) -> None:
        """Expire due invoices, after an injected clock has moved."""
        self._node.expire_due()

    def _close(self, *, abruptly: bool) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.close(abruptly=abruptly)
        self._resources.close()


async def serve(
    rpc_file: Path,
    state: Path | None,
    ready: Callable[[], None],
    peers: Sequence[Path] = (),
    limits_messages: bool = False,
    payment_seconds: float = 0,
) -> None:
    """Run a simulated lightningd until SIGTERM, SIGINT or `stop`; `ready` is called once it listens.

    Raises the errors of entering Simulator, and SystemExit if the node aborts.
    """
    loop = asyncio.get_running_loop()
    limit = MessageLimit(time.time) if limits_messages else None
    async with Simulator(
        rpc_file, state, peers=peers, message_limit=limit, payment_seconds=payment_seconds, channels=USUAL
    ) as simulator:
        running = asyncio.ensure_future(simulator.ended())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.cancel)
        ready()
        try:
            await asyncio.wait([running])
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            running.cancel()
        if not running.cancelled() and (abort := running.exception()):
            raise SystemExit(f"simulated lightningd aborted: {abort}")


def _listener(path: Path) -> socket.socket:
    """Return the bound socket, after removing one that a killed process left behind."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        if path.exists():
            _remove_abandoned(path)
        listener.bind(os.fspath(path))
        path.chmod(0o600)
    except BaseException as error:
        listener.close()
        if isinstance(error, OSError) and error.errno is None:
            raise OSError(errno.ENAMETOOLONG, "this path is too long for a unix socket", str(path)) from None
        raise
    return listener


def _remove_abandoned(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise OSError(errno.EEXIST, "this file is not a socket; move it, or name another path", str(path))
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # A busy listener would block.
        if probe.connect_ex(os.fspath(path)) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, "another process listens on this socket", str(path))
    path.unlink()
