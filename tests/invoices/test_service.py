"""Use cases that need both a store and a node."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.nodes import simulated_node
from tests.support.samples import DAKK, a_bolt11, an_order, paid
from tests.support.scripted_node import GETINFO, Request, error, result, scripted_node
from tests.support.till import CALM, Parts
from tilld.errors import Conflict, NodeOffline
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.totals import Totals


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, intervals=CALM._replace(node_call_seconds=0.2, info_patience_seconds=0.2))
    yield till
    await till.close()


async def test_a_connected_node_decides_on_expiry(till: Parts, tmp_path: Path) -> None:
    """While the node is offline, a read derives expiry from the clock; a watch waits for the node."""
    async with simulated_node(tmp_path):
        invoice = (await till.invoicing.create(DAKK, an_order())).invoice
        till.late = timedelta(hours=2)
        assert (await till.invoicing.get(DAKK, invoice.invoice_id)).status is Status.UNPAID
        await till.node.close()

    watch = till.invoicing.watch(DAKK, invoice.invoice_id)
    assert (await anext(watch)).status is Status.UNPAID
    assert (await till.invoicing.get(DAKK, invoice.invoice_id)).status is Status.EXPIRED
    assert (await till.invoicing.get_by_id(DAKK, invoice.id)).status is Status.EXPIRED
    till.hub.publish(await till.store.settle(invoice.node_id, [paid(invoice)]))
    assert (await anext(watch)).status is Status.PAID
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_another_node_does_not_decide_on_expiry(till: Parts, tmp_path: Path) -> None:
    """Another node does not have the invoice, so the read derives expiry from the clock."""
    async with simulated_node(tmp_path):
        invoice = (await till.invoicing.create(DAKK, an_order())).invoice
        await till.node.close()
    (tmp_path / "node.jsonl").unlink()
    till.late = timedelta(hours=2)

    async with simulated_node(tmp_path):
        assert (await till.node.info()).id != invoice.node_id
        assert (await till.invoicing.get(DAKK, invoice.invoice_id)).status is Status.EXPIRED


async def test_a_payment_between_subscribing_and_reading_is_delivered(
    till: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch delivers the payment with its first state, or after it."""
    async with simulated_node(tmp_path):
        invoice = (await till.invoicing.create(DAKK, an_order())).invoice
        read = till.store.get

        async def paid_meanwhile(invoice_id: str) -> Invoice | None:
            found = await read(invoice_id)
            till.hub.publish(await till.store.settle(invoice.node_id, [paid(invoice)]))
            return found

        monkeypatch.setattr(till.store, "get", paid_meanwhile)
        watch = till.invoicing.watch(DAKK, invoice.invoice_id)
        assert (await anext(watch)).status is Status.UNPAID
        monkeypatch.undo()

        assert (await anext(watch)).status is Status.PAID


@pytest.mark.parametrize("received", [True, False])
async def test_after_a_lost_reply_the_node_is_asked_before_till_replies(
    till: Parts, tmp_path: Path, received: bool
) -> None:
    """An invoice at the node is adopted; a request that the node did not receive is repeated."""
    issued: dict[str, dict[str, Any]] = {}
    bolt11 = a_bolt11(an_order())

    async def answer(request: Request) -> bytes | None:
        params = request["params"]
        match request["method"]:
            case "getinfo":
                return result(request, GETINFO)
            case "invoice" if params["label"] in issued:
                return error(request, 900, "Duplicate label")
            case "invoice":
                first = not issued and not lost
                lost.append(params["label"])
                if received or not first:
                    issued[params["label"]] = {
                        "label": params["label"], "payment_hash": "ab" * 32, "bolt11": bolt11,
                        "amount_msat": 5000, "status": "unpaid", "expires_at": 2_000_000_000,
                        "created_index": 1,
                    }  # fmt: skip
                return None if first else result(request, issued[params["label"]])
            case "listinvoices":
                found = issued.get(params["label"])
                return result(request, {"invoices": [found] if found else []})
        return None

    lost: list[str] = []
    async with scripted_node(tmp_path / "rpc", answer):
        invoice = (await till.invoicing.create(DAKK, an_order())).invoice

    assert invoice.bolt11 == bolt11
    assert await till.store.get(invoice.invoice_id) == invoice
    assert lost == [invoice.invoice_id] * (1 if received else 2)


async def test_a_node_that_never_answers_makes_no_invoice(till: Parts, tmp_path: Path) -> None:
    """The store has no invoice either."""

    async def answer(request: Request) -> bytes | None:
        if request["method"] == "getinfo":
            return result(request, GETINFO)
        return result(request, {"invoices": []}) if request["method"] == "listinvoices" else None

    async with scripted_node(tmp_path / "rpc", answer):
        with pytest.raises(NodeOffline):
            await till.invoicing.create(DAKK, an_order())

    assert (await till.store.totals()).invoices == 0


async def test_after_a_crash_between_node_and_store_a_retry_adopts(till: Parts, tmp_path: Path) -> None:
    """The node has the invoice, the store does not: no caller has received it."""
    order = an_order(label="order-1", description="tea")
    invoice_id = order.invoice_id("dakk", till.store.secret)
    async with simulated_node(tmp_path):
        issued = await till.node.invoice(invoice_id, order)

        with pytest.raises(Conflict, match="another description$"):
            await till.invoicing.create(DAKK, an_order(label="order-1"))
        adopted = (await till.invoicing.create(DAKK, order)).invoice

    assert (adopted.invoice_id, adopted.bolt11) == (invoice_id, issued.bolt11)


async def test_an_invoice_deleted_at_the_node_is_returned_as_canceled(till: Parts, tmp_path: Path) -> None:
    """It cannot be paid. Its label stays in use, and its watchers are notified."""
    order = an_order(label="order-1")
    async with simulated_node(tmp_path), till.reading_events():
        invoice = (await till.invoicing.create(DAKK, order)).invoice
        watch = till.invoicing.watch(DAKK, invoice.invoice_id)
        assert (await anext(watch)).status is Status.UNPAID
        assert (await till.invoicing.create(DAKK, order)).invoice == invoice

        await till.node.call("delinvoice", {"label": invoice.invoice_id, "status": "unpaid"})
        again = (await till.invoicing.create(DAKK, order)).invoice

        assert again == invoice._replace(status=Status.CANCELED) == await till.store.get(invoice.invoice_id)
        assert (await anext(watch)).status is Status.CANCELED
        assert (await till.invoicing.create(DAKK, order)).invoice == again


async def test_a_retry_returns_a_payment_made_meanwhile(till: Parts, tmp_path: Path) -> None:
    """Also before the follower sees the payment."""
    order = an_order(label="order-1")
    async with simulated_node(tmp_path) as node:
        invoice = (await till.invoicing.create(DAKK, order)).invoice
        await node.pay(invoice.bolt11)

        again = (await till.invoicing.create(DAKK, order)).invoice

    assert again.status is Status.PAID
    assert (await till.store.totals()).volume_msat == 5000


@pytest.mark.parametrize("other", ["none", "another", "silent"])
async def test_without_an_answer_of_the_node_an_open_invoice_stays_open(
    till: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """The node is offline, another one, or times out: the store decides alone."""
    order = an_order(label="order-1")
    async with simulated_node(tmp_path):
        invoice = (await till.invoicing.create(DAKK, order)).invoice
        if other == "silent":
            monkeypatch.setattr(till.node, "find_by_payment_hash", lambda _: asyncio.Future())
            assert (await till.invoicing.create(DAKK, order)).invoice == invoice
            return
        await till.node.close()
    if other == "none":
        assert (await till.invoicing.create(DAKK, order)).invoice == invoice
        return
    (tmp_path / "node.jsonl").unlink()
    async with simulated_node(tmp_path):
        await till.node.info()
        assert (await till.invoicing.create(DAKK, order)).invoice == invoice


async def test_of_two_concurrent_orders_with_one_label_one_is_rejected(till: Parts, tmp_path: Path) -> None:
    orders = [an_order(label="order-1", metadata=f'{{"type":"{name}"}}') for name in ("shop", "bar")]
    async with simulated_node(tmp_path):
        results = await asyncio.gather(
            *(till.invoicing.create(DAKK, order) for order in orders), return_exceptions=True
        )

    assert sorted(type(each).__name__ for each in results) == ["Conflict", "NewInvoice"]
    assert (await till.store.totals()).invoices == 1


async def test_an_adopted_invoice_is_settled_immediately(till: Parts, tmp_path: Path) -> None:
    """The follower skipped its payment, since the store did not have it yet; totals include it."""
    order = an_order(label="order-1")
    async with simulated_node(tmp_path) as lightningd:
        issued = await till.node.invoice(order.invoice_id("dakk", till.store.secret), order)
        await lightningd.pay(issued.bolt11)

        adopted = (await till.invoicing.create(DAKK, order)).invoice

    assert adopted.status is Status.PAID
    assert await till.store.get(adopted.invoice_id) == adopted
    assert await till.store.totals() == Totals(1, 0, 5000)
