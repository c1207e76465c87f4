"""An unreadable row is logged once, and does not stop a list, a sweep or a start."""

from collections.abc import AsyncIterator, MutableMapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import peewee
import pytest
from structlog.testing import capture_logs

from tests.support.nodes import simulated_node
from tests.support.samples import DAKK, NODE_ID, NOON, an_invoice, expired, paid
from tests.support.till import CALM, Parts
from tilld.auth.caller import Creator
from tilld.auth.key import Key
from tilld.auth.repository import KeyStore
from tilld.errors import Internal
from tilld.formats.ids import new_public_id
from tilld.invoices.invoice import Status
from tilld.payouts.invreq import Invreq, InvreqTerms, NodeInvreq, PayoutLimits
from tilld.payouts.repository import PayoutStore
from tilld.sent_invoices.attempt import SendAttempt, SendTerms
from tilld.sent_invoices.repository import AttemptStore
from tilld.storage.nodes import NodeStore
from tilld.storage.rows import Rows
from tilld.storage.statements import Bound
from tilld.upkeep.audit import Doctor

CASHIER = Creator("cashier", "kkkkkkkkkkkk")
NO_LIMITS = PayoutLimits(10**15, None, may_disable=True)
# SQLite stores values of another type, PostgreSQL rejects them.
DAMAGED = ["paid_at = 1, status = 'paid'", "amount_msat = 'much'", "created_at = 'noon'"]


@pytest.fixture
async def till(tmp_path: Path, database_url: str) -> AsyncIterator[Parts]:
    till = Parts(tmp_path, database_url, intervals=CALM._replace(store_page=2))
    yield till
    await till.close()


async def damage(till: Parts, table: str, change: str, where: str) -> None:
    """Change a row by hand; skip the test if this database rejects the change."""
    is_sqlite = isinstance(till.store.database, peewee.SqliteDatabase)
    if not is_sqlite and ("'much'" in change or "'noon'" in change):
        pytest.skip("PostgreSQL keeps no value of another type")
    await till.store.write(lambda do: do.execute(Bound(f"UPDATE {table} SET {change} WHERE {where}")))


def rows_logged(events: Sequence[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [event for event in events if event["event"].startswith("unreadable row")]


@pytest.mark.parametrize("change", DAMAGED)
async def test_an_unreadable_invoice_is_skipped_and_logged_once(till: Parts, change: str) -> None:
    """All lists skip it, and reading it fails with E0. The rest of its batch is settled."""
    bad, good = await till.store.add(an_invoice()), await till.store.add(an_invoice())
    unreadable = Rows.unreadable

    with capture_logs() as events:
        await damage(till, "invoices", change, f"id = '{bad.id}'")
        for _ in range(2):
            assert await till.store.get_many([bad.invoice_id, good.invoice_id]) == [good]
            assert [page async for page in till.store.pages()] == [([good], 1)]
        with pytest.raises(Internal):
            await till.store.get(bad.invoice_id)
        with pytest.raises(Internal):
            await till.invoicing.get(DAKK, bad.invoice_id)
        assert good in await till.store.overdue(NODE_ID, NOON + timedelta(days=1))
        changed = await till.store.settle(NODE_ID, [paid(bad), paid(good, pay_index=2)])

    assert [invoice.invoice_id for invoice in changed] == [good.invoice_id]
    [line] = rows_logged(events)
    assert (line["table"], line["invoice_id"], line["log_level"]) == ("invoices", bad.invoice_id, "error")
    assert "correct it in the database" in line["event"]
    assert Rows.unreadable == unreadable + 1


async def test_an_invoice_with_malformed_metadata_is_settled_but_not_read(till: Parts) -> None:
    """Settling does not use the metadata; a reply that contained it would be malformed."""
    invoice = await till.store.add(an_invoice())
    await damage(till, "invoices", "metadata = 'broken{'", f"id = '{invoice.id}'")

    with capture_logs() as events:
        assert [each.status for each in await till.store.settle(NODE_ID, [expired(invoice)])] == [
            Status.EXPIRED
        ]
        with pytest.raises(Internal):
            await till.store.get(invoice.invoice_id)

    assert len(rows_logged(events)) == 1


async def test_a_page_of_unreadable_invoices_does_not_end_the_list(till: Parts) -> None:
    *bad, good = sorted([await till.store.add(an_invoice()) for _ in range(5)])
    for invoice in bad:
        await damage(till, "invoices", "paid_at = 1", f"id = '{invoice.id}'")

    assert [page async for page in till.store.pages()] == [([], 2), ([], 2), ([good], 0)]


async def test_an_unreadable_invoice_request_is_skipped(till: Parts) -> None:
    """Also if a whole page is unreadable: the next page is listed."""
    payouts = PayoutStore(till.store)
    made = []
    for number in range(4):
        order = InvreqTerms.checked(
            amount_msat=1000,
            description=str(number),
            issuer=None,
            single_use=None,
            absolute_expiry=None,
            label=f"order-{number}",
        )
        invreq = Invreq.reserved(CASHIER, order, NODE_ID, b"secret", NOON - timedelta(seconds=number))
        await payouts.reserve(invreq, NO_LIMITS)
        facts = NodeInvreq(NODE_ID, f"{number:064x}", "lnr1", invreq.id, active=True, used=False)
        complete = await payouts.complete(invreq.id, facts)
        assert complete
        made.append(complete)
    *bad, good = made
    for invreq in bad:
        await damage(till, "invreqs", "amount_msat = 'much'", f"id = '{invreq.id}'")

    with capture_logs() as events:
        assert await payouts.page("cashier", None, 2) == [good]
        with pytest.raises(Internal):
            await payouts.get(bad[0].invreq_id)
        with pytest.raises(Internal):
            await payouts.reserve(bad[0], NO_LIMITS)

    assert {line["id"] for line in rows_logged(events)} == {invreq.id for invreq in bad}
    assert len(rows_logged(events)) == len(bad)


@pytest.mark.parametrize("change", ["state = 'odd'", "timeout = 'noon'"])
async def test_an_unreadable_attempt_does_not_block_the_others(till: Parts, change: str) -> None:
    sendings = AttemptStore(till.store)
    for label in ("bad", "good"):
        order = SendTerms.checked(
            invreq="lnr1qqqq",
            label=label,
            amount_msat=None,
            timeout=None,
            quantity=None,
            metadata=None,
            key_type=None,
        )
        await sendings.reserve(
            SendAttempt.reserved(
                CASHIER,
                order,
                attempt=1,
                node_id=NODE_ID,
                node_label=new_public_id(),
                timeout=90,
                created_at=NOON,
            )
        )
    await damage(till, "sendings", change, "label = 'bad'")

    with capture_logs() as events:
        for _ in range(2):
            assert [each.label for each in await sendings.pending(NODE_ID)] == ["good"]
        with pytest.raises(Internal):
            await sendings.latest("cashier", "bad")

    assert len(rows_logged(events)) == 1


@pytest.mark.parametrize("change", ["scopes = 'invoices:read', username = 'x'", "created_at = 'noon'"])
async def test_an_unreadable_key_leaves_the_others_listed(till: Parts, change: str) -> None:
    keys = KeyStore(till.store)
    for username in ("bad", "good"):
        key, _ = Key.new(username=username, scopes=(), type=None, created_at=NOON, expires_at=None)
        await keys.add(key)
    await damage(till, "keys", change, "username = 'bad'")

    assert "good" in [key.username for key in await keys.page(limit=2)]


@pytest.mark.parametrize("info", ["broken{", "[]", '{"id":5}', ""])
async def test_an_unreadable_node_does_not_block_following(till: Parts, tmp_path: Path, info: str) -> None:
    """The next getinfo reply replaces the row."""
    async with simulated_node(tmp_path) as lightningd:
        node = await till.node.info()
        await NodeStore(till.store).remember(node, NOON)
        await damage(till, "nodes", f"info = '{info}'", "1 = 1")
        assert await NodeStore(till.store).last() is None
        async with till.following():
            invoice = await till.create()
            with till.hub.subscribe(invoice.invoice_id) as changes:
                await lightningd.pay(invoice.bolt11)
                await changes.next()

        remembered = await NodeStore(till.store).last()
        assert remembered
        assert remembered.id == node.id


@pytest.mark.parametrize("seconds", [-(2**62), 2**62])
async def test_times_out_of_range_are_readable(till: Parts, seconds: int) -> None:
    invoice = await till.store.add(an_invoice())
    await damage(till, "invoices", f"created_at = {seconds}, expires_at = {seconds}", f"id = '{invoice.id}'")

    assert [each.id for each in await till.store.get_many([invoice.invoice_id])] == [invoice.id]
    assert (await till.invoicing.get(DAKK, invoice.invoice_id)).id == invoice.id


async def test_the_doctor_counts_unreadable_rows(till: Parts, tmp_path: Path) -> None:
    async with simulated_node(tmp_path):
        invoice = await till.create()
        await till.create()
        await damage(till, "invoices", "paid_at = 1", f"id = '{invoice.id}'")

        report = await Doctor(till.store, till.node).examine(repair=False)

    assert (report.unreadable, report.invoices, report.is_clean) == (1, 1, False)
