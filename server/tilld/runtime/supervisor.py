"""What runs together until it is told to stop, or one of it dies."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import structlog

from tilld.config import Address, Config
from tilld.envoy.process import Envoy
from tilld.errors import OperatorError
from tilld.runtime import gc_pauses, open_files
from tilld.runtime.certificates import CertificateFiles, Certificates

log = structlog.get_logger()


class Supervisor:
    """What runs together: started on entry, stopped on exit, and ended by the death of one."""

    def __init__(self, config: Config, upstream_ca: Path | None = None) -> None:
        self._config = config
        self._certificates = CertificateFiles(
            chain=config.tls_cert, key=config.tls_key, client_ca=config.tls_client_ca, upstream_ca=upstream_ca
        )
        self._parts = AsyncExitStack()
        self._lives: dict[asyncio.Task[Any], str] = {}
        self._envoy: Envoy | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._parts.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()

    async def serve_until(self, ending: asyncio.Event) -> None:
        """Go on until the event is set.

        Raises OperatorError if a part dies before.
        """
        ended = asyncio.create_task(ending.wait())
        done, _ = await asyncio.wait([ended, *self._lives], return_when=asyncio.FIRST_COMPLETED)
        if ended not in done:
            ended.cancel()
            raise OperatorError(f"{self._lives[done.pop()]}; start it again")

    @property
    def envoy_restarts(self) -> int:
        """How often Envoy died and was started again."""
        return self._envoy.restarts if self._envoy else 0

    async def _start(self) -> None:
        raise NotImplementedError

    async def _start_envoy(self, upstream: Sequence[Address | Path]) -> Address:
        envoy = Envoy(
            self._config.rest,
            upstream,
            self._config.data_dir,
            self._certificates.newest,
            self._config.cors_origin,
        )
        self._envoy = envoy
        await envoy.start()
        self._parts.push_async_callback(envoy.stop, self._config.grace_seconds)
        self._spawn("Envoy", envoy.keep_up(), envoy.log)
        self._renew_certificates(envoy.use)
        return envoy.rest

    def _renew_certificates(self, use: Callable[[Certificates], None] = lambda _: None) -> None:
        """Notice from now on that the files of certificates have changed, and call `use` then."""
        if any(self._certificates.newest):
            self._spawn("the watch over the certificates", self._certificates.follow(use))

    def _spawn(self, name: str, work: Coroutine[Any, Any, Any], log_file: Path | None = None) -> None:
        """Run a part of ours for as long as everything runs."""
        task = self._watch_over(name, work, log_file)
        self._parts.push_async_callback(_cancel, task)

    def _watch_over(
        self, name: str, life: Coroutine[Any, Any, Any], log_file: Path | None
    ) -> asyncio.Task[Any]:
        task = asyncio.create_task(life, name=name)
        self._lives[task] = f"{name} has ended: {log_file or 'the log'} tells why"
        return task


async def run(parts: Supervisor, announce: Callable[[], None]) -> None:
    """Run them until SIGINT or SIGTERM; `announce` is called when all have started.

    Raises OperatorError where they can't start, or one dies.
    """
    loop, starting, ending = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()

    def end() -> None:
        ending.set()
        # A start may wait for long, for the node or for Envoy.
        if starting:
            starting.cancel()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, end)
    open_files.raise_limit()
    try:
        async with parts:
            starting = None
            gc_pauses.spare_what_stays()
            announce()
            await parts.serve_until(ending)
            log.info("stopping")
    except asyncio.CancelledError:
        if not ending.is_set():
            raise


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
