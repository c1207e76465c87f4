"""Runs a real Till for agents: a simulated node, tilld on SQLite and optionally Envoy, each a process."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest

from tests.clients import places
from tests.clients.places import Relay
from tests.support.authority import Authority
from tests.support.impostor import impostor
from tests.support.nodes import SimulatedProcess
from tests.support.processes import output, tilld
from tests.support.replica import Replica
from tests.support.shop import ANY_PORT
from till.v1.invoice_service_pb2 import GetInfoRequest
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.auth.caller import OPERATOR, Scope
from tilld.auth.repository import KeyStore
from tilld.auth.service import Keyring
from tilld.event_log.repository import EventLog
from tilld.invoices.repository import Store
from tilld.lightningd import play_money
from tilld.storage.database import open_database

ENDS = {"kill": signal.SIGKILL, "stop": signal.SIGTERM}
# The variables that libraries read a proxy from, in lower and in upper case.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")


class World:
    """The Till and the node of a case, and the names that its steps may refer to."""

    def __init__(
        self, directory: Path, till: Replica, node: SimulatedProcess, relay: Relay, names: dict[str, Any]
    ) -> None:
        self._directory = directory
        self._till = till
        self._relay = relay
        self._node = node
        self._node_is = "start"
        self.names = names

    def write_key(self, key: str) -> None:
        """Write a key to $key_file."""
        Path(self.names["key_file"]).write_text(key)

    async def till(self, verb: str) -> None:
        """Kill it (SIGKILL), stop it (SIGTERM), or start it again at the same address."""
        if verb == "start":
            await self._till.start()
        else:
            await self._till.end(ENDS[verb])

    async def node(self, verb: str) -> None:
        """Freeze it (requests wait), thaw it, kill it or start it."""
        self._node_is = verb
        match verb:
            case "freeze":
                self._node.freeze()
            case "thaw":
                self._node.thaw()
            case "kill":
                await self._node.kill()
            case "start":
                await self._node.start()

    def mute(self) -> None:
        """Mute the open connections through $relay."""
        self._relay.mute()

    async def pay(self, bolt11: str, amount_msat: int | None) -> None:
        """Pay an invoice. Return when the node has the payment, which may be before Till knows."""
        await play_money.pay(self._node.payer, bolt11, amount_msat)

    async def create_key(
        self,
        username: str,
        scopes: Collection[str] = (),
        type: str | None = None,  # noqa: A002
    ) -> dict[str, str]:
        """Create a key, in this process, which takes milliseconds; return the key and its id."""
        async with self._store() as store:
            wanted = frozenset(map(Scope, scopes))
            key, token = await Keyring(KeyStore(store)).create(
                OPERATOR, username=username, scopes=wanted, type=type, expires_at=None
            )
        return {"key": token, "id": key.id}

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key."""
        async with self._store() as store:
            await Keyring(KeyStore(store)).revoke(OPERATOR, key_id)

    async def prune(self) -> None:
        """Remove all events so far, as Till does when they are old."""
        async with self._store() as store:
            while await EventLog(store).remove(datetime.now(UTC) + timedelta(days=1)):
                pass

    @asynccontextmanager
    async def _store(self) -> AsyncIterator[Store]:
        """Open Till's store beside it, as the commands for operators do."""
        store = Store(open_database(f"sqlite:///{self._directory / 'till' / 'till.db'}"))
        try:
            yield store
        finally:
            await store.close()

    async def watchers(self, wanted: int) -> None:
        """Wait until this many watches are open at Till."""
        await self._measures("till_watchers", wanted)

    async def streams(self, wanted: int) -> None:
        """Wait until this many event streams are open at Till."""
        await self._measures("till_event_streams", wanted)

    async def _measures(self, metric: str, wanted: int) -> None:
        """Wait until a metric of Till has a value, by polling."""
        url = await self._till.says(r"(http://\S+/metrics)\n")
        async with httpx.AsyncClient() as client:
            while f"\n{metric} {float(wanted)}\n" not in (await client.get(url)).text:
                await asyncio.sleep(0.02)

    async def settle(self) -> None:
        """Restore what the next case expects."""
        if self._node_is in {"freeze", "kill"}:
            await self.node({"freeze": "thaw", "kill": "start"}[self._node_is])
        if not self._till.is_running:
            await self._till.start()
        await self.watchers(0)
        await self.streams(0)


@asynccontextmanager
async def world(
    directory: Path,
    tls: bool = False,
    front: bool = False,
    keys: dict[str, list[str]] | None = None,
    settings: dict[str, str] | None = None,
) -> AsyncIterator[World]:
    """Run the Till that a case describes.

    tls: serve TLS. front: run an Envoy in front. keys: arguments of `tilld key create`, by name.
    settings: environment variables.
    """
    node = SimulatedProcess(directory)
    arguments = ["--data-dir=till", f"--lightning-rpc={node.rpc_file}", "--metrics=127.0.0.1:0"]
    names: dict[str, Any] = {"keys": {}, "key_file": str(directory / "key")}
    if tls:
        authority = Authority()
        pair = authority.issue(directory)
        arguments += [f"--tls-cert={pair.tls_cert}", f"--tls-key={pair.tls_key}"]
        names["tls"] = {
            "ca": str(authority.write(directory / "ca.pem")),
            "stranger": str(Authority().write(directory / "stranger.pem")),
        }
    async with AsyncExitStack() as stack:
        nowhere = stack.enter_context(socket.socket())
        # Bound, but not listening, so no other process can take the port.
        nowhere.bind(ANY_PORT)
        host, port = nowhere.getsockname()
        names |= {
            "nowhere": f"{host}:{port}",
            # RFC 6761: no resolver knows it.
            "unknown": f"till.invalid:{port}",
            "elsewhere": f"0.0.0.0:{port}",
            "dead_proxy": _proxy(host, port),
        }
        await node.start()
        stack.push_async_callback(node.stop)
        for name, options in (keys or {}).items():
            code, told = await output("key", "create", "--data-dir=till", *options, cwd=directory)
            assert code == 0, told
            names["keys"][name] = told.split()[-1]
            # As in a file that was edited by hand.
            names["spaced_key"] = f" {names['keys'][name]}\r\n"
        till = Replica(directory, *arguments, **settings or {})
        stack.push_async_callback(till.close)
        await till.start()
        names |= {"till": till.address, "localhost": "localhost:{}".format(till.address.rpartition(":")[2])}
        if front:
            names["front"] = await stack.enter_async_context(_front(directory, till.address))
        names["impostor"] = await stack.enter_async_context(impostor())
        names["silence"] = stack.enter_context(places.silence())
        names["mute"] = stack.enter_context(places.mute())
        names["relay"], relay = await stack.enter_async_context(places.relay(till.address))
        yield World(directory, till, node, relay, names)


def _proxy(host: str, port: int) -> dict[str, str]:
    """Return environment variables that route every connection through a proxy."""
    variables = dict.fromkeys(PROXY_VARIABLES, f"http://{host}:{port}")
    variables |= {"no_proxy": "", "no_grpc_proxy": ""}
    java = f"-Dhttps.proxyHost={host} -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts="
    return {
        **variables,
        **{name.upper(): value for name, value in variables.items()},
        "GRPC_PROXY_EXP": f"{host}:{port}",
        "JAVA_TOOL_OPTIONS": java,
    }


@asynccontextmanager
async def _front(directory: Path, upstream: str) -> AsyncIterator[str]:
    """Run Envoy in front of a tilld; yield its address."""
    arguments = ("envoy", "--rest=127.0.0.1:0", f"--upstream={upstream}", "--data-dir=front")
    async with tilld(*arguments, cwd=directory) as front:
        address = await front.says(r"http://(127\.0\.0\.1:\d+)\n")
        async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(10):
            while True:
                try:
                    await InvoiceServiceStub(channel).GetInfo(GetInfoRequest())
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
        yield address


class Worlds:
    """Shares one Till between all cases that describe the same one and leave it as it was."""

    def __init__(self, stack: AsyncExitStack, directories: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._directories = directories
        self._known: dict[str, World] = {}

    async def get(self, wanted: dict[str, Any]) -> World:
        """Return the described Till; start it if it does not run yet."""
        if repr(wanted) not in self._known:
            directory = self._directories.mktemp("till")
            self._known[repr(wanted)] = await self._stack.enter_async_context(world(directory, **wanted))
        return self._known[repr(wanted)]

    def forget(self, wanted: dict[str, Any]) -> None:
        """Give the next case a new Till, since a failed case leaves an unknown state."""
        self._known.pop(repr(wanted), None)
