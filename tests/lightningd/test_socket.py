"""The socket of lightningd: where it is, who may use it, and when it comes."""

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


async def test_its_path_may_have_any_length(tmp_path: Path) -> None:
    """uvloop cuts what is longer than 107 bytes, and so would find no socket, or another one."""
    directory = tmp_path / ("d" * 120) / ("e" * 120)
    directory.mkdir(parents=True)
    async with Simulator(tmp_path / "rpc", tmp_path / "node.jsonl"):
        # The simulated node takes no such path, and a socket may be moved.
        (tmp_path / "rpc").rename(directory / "lightning-rpc")
        async with open_shop(config(tmp_path, lightning_rpc=directory / "lightning-rpc")) as shop:
            created = await shop.create()
            assert created["status"] == "unpaid"


async def test_one_that_may_not_be_used_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lightning-rpc"
    async with Simulator(path, tmp_path / "node.jsonl"):
        # Permissions do not count for root, as whom tests may run.
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
    assert capsys.readouterr().out.count("socket may not be used: run Till as a user who may") == 1


async def test_one_that_is_not_there_yet_can_be_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lightning-rpc"
    with pytest.raises(OperatorError, match="--wait-for-node"):
        check_socket(path)
    waiting = asyncio.create_task(wait_for_socket(path))
    await asyncio.sleep(0)
    async with Simulator(path, tmp_path / "node.jsonl"), asyncio.timeout(10):
        await waiting
    assert "waiting for lightningd to start" in capsys.readouterr().out
