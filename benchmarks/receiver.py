"""A receiver of webhooks that is never the bottleneck. It serves HTTP/1.1 and keeps connections.

As a program: `python -m benchmarks.receiver` prints its URL. Every path is a receiver of its own, which
accepts all posts. `PUT` of a status changes that, and forgets the posts so far: the path answers with the
status, or with 0 never. `GET` of `PATH?N` waits for N posts, then returns and forgets them, as JSON.
"""

import asyncio
import json
import signal
import sys
import time
from collections import defaultdict
from typing import Any, NamedTuple, cast

import uvloop

ACCEPTED = 204


class Arrival(NamedTuple):
    """A post: the monotonic time, its event's id and position, and the id of its invoice."""

    at: float
    event_id: str
    sequence: int
    invoice_id: str


class Receiver:
    """The paths, and the posts to each."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self._waiting: dict[str, tuple[int, Connection]] = {}

    def request(self, connection: "Connection", method: str, target: str, body: bytes) -> None:
        """Answer a request, now or later."""
        path, _, count = target.partition("?")
        match method:
            case "PUT":
                self._statuses[path] = int(body)
                self._arrivals.pop(path, None)
                connection.answer(ACCEPTED)
            case "GET":
                self._waiting[path] = (int(count), connection)
            case _:
                status = self._statuses.get(path, ACCEPTED)
                self._arrivals[path].append(_arrival(json.loads(body)))
                if status:
                    connection.answer(status)
        self._report(path)

    def _report(self, path: str) -> None:
        """Answer the GET of a path if it has enough posts."""
        count, connection = self._waiting.get(path, (0, None))
        if connection and len(self._arrivals[path]) >= count:
            del self._waiting[path]
            connection.answer(200, json.dumps(self._arrivals.pop(path, [])).encode())


class Connection(asyncio.Protocol):
    """A connection, whose requests come one after the other."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the request when it is complete."""
        self._data += data
        head, ended, body = self._data.partition(b"\r\n\r\n")
        if not ended:
            return
        first, *fields = head.decode().split("\r\n")
        sizes = [int(each[15:]) for each in fields if each[:15].lower() == "content-length:"]
        if len(body) >= sum(sizes):
            self._data = b""
            method, target, _ = first.split(" ")
            self._receiver.request(self, method, target, body)

    def answer(self, status: int, body: bytes = b"") -> None:
        """Answer the last request."""
        size = b"" if status == ACCEPTED else b"content-length: %d\r\n" % len(body)
        self._transport.write(b"HTTP/1.1 %d \r\n%s\r\n%s" % (status, size, body))


def _arrival(event: dict[str, Any]) -> Arrival:
    return Arrival(time.monotonic(), event["id"], event["sequence"], event["data"]["invoiceid"])


async def main() -> None:
    """Serve until SIGTERM."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    receiver = Receiver()
    server = await loop.create_server(lambda: Connection(receiver), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # Unlike `async with`, the end does not wait for the connections that hang.
    await ending.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
