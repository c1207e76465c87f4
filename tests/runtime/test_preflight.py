"""A host name is listened on at all of its addresses, or the start fails and names the address in use."""

import asyncio
import resource
import socket
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.http2 import FRAME, PREFACE, Kind
from tests.support.loopback import HOSTS, has_ipv6
from tests.support.shop import config, open_shop
from tilld.app import Till
from tilld.config import Address
from tilld.errors import OperatorError
from tilld.runtime import preflight


@pytest.fixture(autouse=True)
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give localhost two addresses, independent of the machine's files."""
    resolve = socket.getaddrinfo

    def both(host: str, port: Any, *args: Any, **how: Any) -> list[Any]:
        hosts = HOSTS if host == "localhost" else (host,)
        return [found for each in hosts for found in resolve(each, port, *args, **how)]

    monkeypatch.setattr(socket, "getaddrinfo", both)


def taken(host: str) -> closing[socket.socket]:
    """Return a socket that listens on a free port of a host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return closing(socket.create_server((host, 0), family=family))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("setting", ["grpc", "rest", "metrics"])
async def test_one_address_in_use_refuses_the_name(setting: str, host: str, tmp_path: Path) -> None:
    with taken(host) as listener:
        port = listener.getsockname()[1]
        settings = {setting: Address("localhost", port)}
        with pytest.raises(OperatorError) as refused:
            async with open_shop(config(tmp_path, no_rest=setting != "rest", **settings)):
                pass

    assert str(Address(host, port)) in str(refused.value)
    assert f"--{setting}" in str(refused.value)


async def test_all_addresses_of_a_name_are_served(tmp_path: Path) -> None:
    """With port 0 all addresses get the same port."""
    name = Address("localhost", 0)
    async with open_shop(config(tmp_path, grpc=name, rest=name, metrics=name)) as shop:
        running = shop.till.running
        assert running.rest
        assert running.metrics
        async with httpx.AsyncClient() as client:
            for host in HOSTS:
                page = await client.get(f"http://{running.rest._replace(host=host)}/docs")
                figures = await client.get(f"http://{running.metrics._replace(host=host)}/metrics")
                assert page.status_code == 200
                assert "till_watchers" in figures.text
                socket.create_connection((host, running.grpc.port)).close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv6_address_is_served_and_no_other(tmp_path: Path) -> None:
    """The same port may be in use on IPv4; messages and URLs have the address in brackets."""
    here = Address("::1", 0)
    async with open_shop(config(tmp_path, grpc=here, rest=here, metrics=here)) as shop:
        running = shop.till.running
        assert running.rest
        assert running.metrics
        for address in (running.grpc, running.rest, running.metrics):
            assert str(address) == f"[::1]:{address.port}"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", address.port))
        assert (await shop.create())["invoiceid"]
        with pytest.raises(OperatorError, match=rf"\[::1\]:{running.grpc.port} is in use"):
            preflight.free(running.grpc, "--grpc")


async def test_all_addresses_of_a_name_share_the_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two separate limits would together allow twice the available files."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (30, 30))
    settings = config(tmp_path, grpc=Address("localhost", 0), no_rest=True)
    async with Till(settings) as till, AsyncExitStack() as strangers:
        served = 0
        for host in HOSTS:
            for _ in range(10):
                reader, writer = await asyncio.open_connection(host, till.running.grpc.port)
                strangers.callback(writer.close)
                writer.write(PREFACE + FRAME.pack(0, 0, Kind.SETTINGS, 0, 0))
                # The server greets an accepted connection, and closes one beyond the limit.
                with suppress(ConnectionError):
                    served += bool(await reader.read(1))

    assert served == 10


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"192\.0\.2\.1:1 \(not an address of this machine\).*--grpc"):
        preflight.free(Address("192.0.2.1", 1), "--grpc")
