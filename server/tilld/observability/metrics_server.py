"""The HTTP server of metrics: few connections, and none of them for long."""

import asyncio
import socket
import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import WSGIApplication

from tilld.config import Address
from tilld.errors import OperatorError
from tilld.runtime import preflight

# Each connection needs a thread, and a file of those reserved for uses other than clients.
MOST_CONNECTIONS = 20


class Serving:
    """HTTP servers of metrics: one for each address of the host, each on its own thread."""

    def __init__(self, app: WSGIApplication, address: Address, patience: float) -> None:
        self._servers: list[_Server] = []
        # The handler closes silent connections.
        handler = type("_ImpatientHandler", (_Handler,), {"timeout": patience})
        for host, port in preflight.free(address, "--metrics"):
            try:
                server = make_server(host, port, app, _Server6 if ":" in host else _Server, handler)
            except OSError:
                raise OperatorError(
                    f"cannot listen on {address}; stop the program that uses it, "
                    "or give another with --metrics HOST:PORT"
                ) from None
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self._servers.append(server)
            self.address = address._replace(port=port)

    async def stop(self) -> None:
        """Stop serving."""
        for server in self._servers:
            # On a thread: shutdown waits for the server, whose scrapes may wait for this event loop.
            await asyncio.to_thread(server.shutdown)
            server.server_close()


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing, since each scrape would be a line."""


class _Server(ThreadingMixIn, WSGIServer):
    """A server with a thread for each connection. It closes connections beyond 20."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = threading.Semaphore(MOST_CONNECTIONS)
        super().__init__(*arguments)

    def verify_request(self, *_: object) -> bool:
        """Return whether another connection is allowed."""
        return self._places.acquire(blocking=False)

    def process_request_thread(self, *arguments: Any) -> None:
        """Serve a connection on its thread."""
        try:
            super().process_request_thread(*arguments)
        finally:
            self._places.release()

    def handle_error(self, *_: object) -> None:
        """Log nothing: the client disconnected, or was too slow."""


class _Server6(_Server):
    address_family = socket.AF_INET6
