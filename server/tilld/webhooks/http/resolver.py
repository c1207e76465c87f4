"""Resolves host names by the system, without delaying others."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

# A lookup takes up to 30 s, whether or not its attempt has timed out. The service's limit is 256 threads.
MOST_LOOKUPS = 100

Found = list[ResolveResult]


class Resolver(AbstractResolver):
    """One daemon thread per lookup.

    libuv has four threads for the whole process: a few hosts with a silent name server would delay the
    webhooks of all others. The threads of an executor would also delay the exit.
    """

    def __init__(self, look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo) -> None:
        """`look_up` replaces getaddrinfo."""
        self._look_up = look_up
        self._running = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> Found:
        """Return the addresses of a host. Raises OSError without one."""
        if self._running >= MOST_LOOKUPS:
            raise OSError("too many lookups are pending")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Found] = loop.create_future()

        def finish(result: Found | OSError) -> None:
            self._running -= 1
            if found.done():
                return
            if isinstance(result, OSError):
                found.set_exception(result)
            else:
                found.set_result(result)

        def work() -> None:
            result = self._addresses(host, port, family)
            # The loop may be closed meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(finish, result)

        try:
            threading.Thread(target=work, name="lookup", daemon=True).start()
        except RuntimeError as reason:
            raise OSError("too few threads") from reason
        self._running += 1
        return await found

    async def close(self) -> None:
        """Do nothing: lookups end by themselves."""

    def _addresses(self, host: str, port: int, family: socket.AddressFamily) -> Found | OSError:
        try:
            infos = self._look_up(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except OSError as error:
            return error
        except UnicodeError:
            return OSError("not a host name")
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=flags
            )
            for kind, _, protocol, _, address in infos
        ]
