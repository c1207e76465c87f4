"""The main use case with a real lightningd, paid by another one over a channel."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from tests.support.nodes import LIGHTNINGD, RealNode, real_node
from tests.support.shop import Shop, config, open_shop
from tests.support.waiting import eventually
from tilld.lightningd.rpc import Pipeline

# The races of one test run. CANCEL_RACES=200 takes minutes.
RACES = int(os.environ.get("CANCEL_RACES", "16"))

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


async def test_a_payment_that_races_a_cancel_is_received_or_refused(real: tuple[Shop, RealNode]) -> None:
    """The invoice is paid or canceled, never both, at the node, in Till and for its watcher."""
    shop, node = real
    rpc = Pipeline(str(node.rpc_file), 10)
    outcomes: set[str] = set()
    for number in range(RACES):
        created = await shop.create()
        path = f"/lightning/invoice/{created['invoiceid']}"
        outcome = asyncio.create_task(shop.outcome(created))
        paying = asyncio.create_task(node.pay(created["payreq"]))
        # A payment takes some tenths of a second. The last one is complete before the cancel begins.
        await asyncio.wait([paying], timeout=number / RACES * 0.8 if number < RACES - 1 else None)
        canceled = await shop.rest.delete(path)
        ended = await outcome
        [paid] = await asyncio.gather(paying, return_exceptions=True)
        rows = (await rpc.listinvoices(payment_hash=created["rhash"]))["invoices"]

        outcomes.add(ended["status"])
        assert (await shop.rest.get(path)).json() == ended
        if ended["status"] == "paid":
            assert (paid, canceled.status_code, canceled.json()["error"]) == (None, 409, "E5")
            assert [row["status"] for row in rows] == ["paid"]
        else:
            assert (ended["status"], canceled.status_code, rows) == ("canceled", 200, [])
            assert isinstance(paid, Exception)
    await rpc.hang_up()
    assert outcomes == {"paid", "canceled"}


async def test_an_invoice_deleted_at_the_node_is_canceled_within_a_second(
    real: tuple[Shop, RealNode],
) -> None:
    shop, node = real
    rpc = Pipeline(str(node.rpc_file), 10)
    for burst in (1, 5):
        created = [await shop.create() for _ in range(burst)]
        outcomes = [asyncio.create_task(shop.outcome(each)) for each in created]
        await eventually(lambda: shop.till.hub.watchers == burst)  # noqa: B023
        await asyncio.gather(*(rpc.delinvoice(each["invoiceid"], "unpaid") for each in created))
        async with asyncio.timeout(1):
            ended = await asyncio.gather(*outcomes)

        assert {each["status"] for each in ended} == {"canceled"}
    await rpc.hang_up()
