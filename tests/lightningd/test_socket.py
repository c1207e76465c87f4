"""The socket of lightningd: its path, its permissions, and waiting for it."""

import asyncio
import os
from pathlib import Path
from typing import Never

import pytest

from lightningd_simulator import Simulator
from tests.support.shop import config, open_shop
from tilld.errors import NodeOffline, OperatorError
from tilld.invoices.lightningd import InvoiceNode
from tilld.runtime.preflight import check_socket, wait_for_socket


async def test_the_path_may_have_any_length(tmp_path: Path) -> None:
    """uvloop truncates paths at 107 bytes, and would find no socket, or another one."""
    directory = tmp_path / ("d" * 120) / ("e" * 120)
    directory.mkdir(parents=True)
    async with Simulator(tmp_path / "rpc", tmp_path / "node.jsonl"):
        # The simulated node cannot listen at such a path, so its socket is moved there.
        (tmp_path / "rpc").rename(directory / "lightning-rpc")
        async with open_shop(config(tmp_path, lightning_rpc=directory / "lightning-rpc")) as shop:
            created = await shop.create()
            assert created["status"] == "unpaid"


async def test_a_socket_without_permission_gives_an_error_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lightning-rpc"
    async with Simulator(path, tmp_path / "node.jsonl"):
        # Tests may run as root, to whom permissions do not apply.
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(OperatorError, match="Permission denied.*run Till as a user with access"):
            check_socket(path)

    def refused(*_: object, **__: object) -> Never:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "open_unix_connection", refused)
    node = InvoiceNode(path)
    for _ in range(2):
        with pytest.raises(NodeOffline):
            await node.info()
    assert capsys.readouterr().out.count("socket is not accessible: run Till as a user with access") == 1


async def test_a_missing_socket_can_be_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lightning-rpc"
    with pytest.raises(OperatorError, match="--wait-for-node"):
        check_socket(path)
    waiting = asyncio.create_task(wait_for_socket(path))
    await asyncio.sleep(0)
    async with Simulator(path, tmp_path / "node.jsonl"), asyncio.timeout(10):
        await waiting
    assert "waiting for lightningd to start" in capsys.readouterr().out
