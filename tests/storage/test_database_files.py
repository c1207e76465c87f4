"""A store whose files are removed or replaced rejects writes, and reports it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tests.support.samples import an_invoice
from tests.support.shop import config, open_shop
from tilld.errors import Unavailable
from tilld.invoices.repository import Store
from tilld.storage.database import open_database


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("backup"))
    path.with_name("backup").rename(path)


def log_removed(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def log_replaced(path: Path) -> None:
    replaced(path.with_name(path.name + "-wal"))


LOSSES = [removed, replaced, log_removed, log_replaced]


@pytest.mark.parametrize("lose", LOSSES)
async def test_writes_that_would_be_lost_are_rejected(
    lose: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All writes fail from then on; reads from the open files still work."""
    path = tmp_path / "till.db"
    store = Store(open_database(f"sqlite:///{path}"))
    before = await store.add(an_invoice())
    lose(path)

    for _ in range(2):
        with pytest.raises(Unavailable, match="ask the operator"):
            await store.add(an_invoice())
    with pytest.raises(Unavailable):
        store.check_files()

    assert await store.get(before.invoice_id) == before
    assert capsys.readouterr().out.count("the store's files were removed or replaced") == 1
    await store.close()


async def test_a_file_that_reappears_is_not_trusted(tmp_path: Path) -> None:
    """Another process may have started a new database meanwhile, so only a restart reopens the file."""
    path = tmp_path / "till.db"
    store = Store(open_database(f"sqlite:///{path}"))
    await store.add(an_invoice())
    path.rename(tmp_path / "away")
    with pytest.raises(Unavailable):
        store.check_files()
    (tmp_path / "away").rename(path)

    with pytest.raises(Unavailable):
        await store.add(an_invoice())

    await store.close()
    reopened = Store(open_database(f"sqlite:///{path}"))
    await reopened.add(an_invoice())
    await reopened.close()


async def test_other_programs_may_use_the_files(tmp_path: Path) -> None:
    """Opening, closing and checkpointing by other programs do not count as a loss, nor does an idle store."""
    url = f"sqlite:///{tmp_path / 'till.db'}"
    store = Store(open_database(url))
    store.check_files()
    for _ in range(2):
        other = Store(open_database(url))
        await other.add(an_invoice())
        await other.close()
        store.check_files()
        await store.add(an_invoice())
    open_database(url).execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    await store.add(an_invoice())
    store.check_files()
    await store.close()


async def test_a_running_till_becomes_unhealthy(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, no_rest=False)) as shop:
        await shop.create()
        stub: Any = HealthStub(shop.channel)
        health = stub.Watch(HealthCheckRequest())
        assert (await health.read()).status == HealthCheckResponse.SERVING
        (tmp_path / "till.db-wal").unlink()

        refused = await shop.rest.post(
            "/lightning/invoice/create", json={"msat": 5000, "metadata": {"type": "shop"}}
        )
        assert (refused.status_code, refused.json()["error"]) == (httpx.codes.SERVICE_UNAVAILABLE, "E8")
        assert (await health.read()).status == HealthCheckResponse.NOT_SERVING
        health.cancel()
