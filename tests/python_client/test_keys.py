"""Keys of the Python client: the check before they are sent, plaintext, and keys that rotate."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

import till

KEY = "till_secret"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "dns:///localhost:1", "unix:/t"]
)
async def test_loopback_takes_a_key_without_tls(connect: type[till.AsyncClient], address: str) -> None:
    async with connect(address, KEY):
        pass


@pytest.mark.parametrize("key", [KEY, lambda: KEY], ids=["text", "function"])
@pytest.mark.parametrize("address", ["192.0.2.1:1", "0.0.0.0:1", "till.example:1", "localhost.example:1"])
async def test_other_addresses_take_a_key_with_tls_only(
    connect: type[till.AsyncClient], address: str, key: Any
) -> None:
    with pytest.raises(ValueError, match="without TLS to loopback only; use TLS, or set allow_plaintext_key"):
        connect(address, key)

    async with connect(address, key, tls=True), connect(address, key, allow_plaintext_key=True):
        pass
    async with connect(address), connect(address, ""):
        pass


async def test_a_key_function_is_called_for_each_call(connect: type[till.AsyncClient], address: str) -> None:
    calls = []

    def key() -> str:
        calls.append(1)
        return f"\t{KEY}\n" if len(calls) < 3 else "till_secret b"

    async with connect(address, key) as client:
        for _ in range(2):
            await client.info()
        with pytest.raises(ValueError, match="printable ASCII only") as rejected:
            await client.info()

    assert KEY not in str(rejected.value)


async def test_a_key_function_may_be_a_coroutine_function(address: str) -> None:
    async def key() -> str:
        await asyncio.sleep(0)
        return "till_secret b"

    async with till.AsyncClient(address, key) as client:
        with pytest.raises(ValueError, match="printable ASCII only"):
            await client.info()


async def test_an_error_of_a_key_function_ends_a_watch(connect: type[till.AsyncClient], address: str) -> None:
    def key() -> str:
        raise FileNotFoundError("no key")

    async with connect(address, key) as client:
        with pytest.raises(FileNotFoundError, match="no key"):
            async for _ in client.watch("ID"):
                pass


def test_a_client_says_what_to_do_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real fork of a process with gRPC's threads could hang the tests."""
    with till.Client("127.0.0.1:1") as client:
        monkeypatch.setattr(os, "getpid", lambda: -1)

        with pytest.raises(RuntimeError, match="create one in each process"):
            client.info()


@pytest.mark.parametrize(
    ("error", "base"), [(till.TookTooLong, TimeoutError), (till.ConnectionLost, ConnectionError)]
)
def test_errors_are_python_errors_too(error: Callable[[str], till.Error], base: type[Exception]) -> None:
    assert isinstance(error("late"), base)
    assert str(error("late")) == "late"
