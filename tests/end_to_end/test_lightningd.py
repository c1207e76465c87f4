"""The main use case with a real lightningd, paid by another one over a channel."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.nodes import LIGHTNINGD, RealNode, real_node
from tests.support.shop import Shop, config, open_shop
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.lightningd,
    pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd"),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
async def real(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shop, RealNode]]:
    """Two real nodes, and a Till connected to the first."""
    async with real_node(tmp_path_factory.mktemp("nodes")) as node:
        async with open_shop(config(tmp_path_factory.mktemp("till"), lightning_rpc=node.rpc_file)) as shop:
            yield shop, node


async def test_an_invoice_is_created_watched_and_paid(real: tuple[Shop, RealNode]) -> None:
    shop, node = real
    created = await shop.create(description="a coffee ☕", label="real-1")
    outcome = asyncio.create_task(shop.outcome(created))

    await node.pay(created["payreq"])

    paid = await outcome
    assert (paid["status"], paid["msatoshi_received"]) == ("paid", 5000)
    assert (await shop.rest.get(f"/lightning/invoice/{created['invoiceid']}")).json() == paid
    assert await shop.create(description="a coffee ☕", label="real-1") == paid


async def test_any_amount_and_an_expiry(real: tuple[Shop, RealNode]) -> None:
    shop, node = real
    any_amount, short = await shop.create(msat="any"), await shop.create(expiry=2)
    outcome = asyncio.create_task(shop.outcome(short))

    await node.pay(any_amount["payreq"], 1234)

    assert (await shop.outcome(any_amount))["msatoshi_received"] == 1234
    assert (await outcome)["status"] == "expired"


async def test_the_node_may_be_restarted(real: tuple[Shop, RealNode]) -> None:
    """Till reports a payment during the restart after it has reconnected."""
    shop, node = real
    created = await shop.create()
    outcome = asyncio.create_task(shop.outcome(created))
    await eventually(lambda: shop.till.hub.watchers == 1)

    await node.restart()
    await node.pay(created["payreq"])

    assert (await outcome)["status"] == "paid"
    info = (await shop.rest.get("/lightning/info")).json()
    assert info["online"]
    assert info["nodeinfo"]["alias"] == "kit-a"
