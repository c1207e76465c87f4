"""Proxies in the environment: not used for loopback, and named in connection errors."""

import asyncio

import pytest

import till
from till import connection

DEAD = "http://user:secret@127.0.0.1:1"


@pytest.fixture(params=connection.PROXY_VARIABLES)
def variable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    used: str = request.param
    for name in (*connection.PROXY_VARIABLES, *connection.NO_PROXY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(used, DEAD)
    return used


@pytest.mark.parametrize("prefix", ["", "ipv4:", "dns:///"])
async def test_loopback_never_uses_a_proxy(address: str, variable: str, prefix: str) -> None:
    async with till.AsyncClient(prefix + address) as client:
        assert (await client.info()).online

    with till.Client(prefix + address) as client:
        assert (await asyncio.to_thread(client.info)).online


async def test_a_proxy_that_fails_is_named_without_its_password(variable: str) -> None:
    async with till.AsyncClient("till.example:50051", timeout=0.1) as client:
        with pytest.raises(till.ConnectionLost) as told:
            await client.info(timeout=0.5)

    assert f"proxy {variable}=127.0.0.1:1" in str(told.value)
    assert "no_proxy" in str(told.value)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "exceptions", "uses_it"),
    [
        ("localhost:50051", "", False),
        ("[::1]:50051", "", False),
        ("127.8.8.8", "", False),
        ("till.example:50051", "", True),
        ("till.example:50051", "other.example,example", False),
        ("dns:///till.example:50051", "till.example", False),
        ("192.0.2.1:50051", "", True),
        ("localhost.example:1", "", True),
    ],
)
def test_the_proxy_for_an_address(
    variable: str, monkeypatch: pytest.MonkeyPatch, address: str, exceptions: str, uses_it: bool
) -> None:
    monkeypatch.setenv("no_proxy", exceptions)

    assert (connection.proxy(address) is not None) is uses_it
