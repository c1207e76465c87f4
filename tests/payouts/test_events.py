"""Events of invoice requests: each change once, with the state after it, for keys that may see payouts."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_pair import Pair
from tests.support.payouts import ANY_SUM, CASHIER, PayingTill, an_offer
from tests.support.rpc import Rpc
from tests.support.samples import NODE_ID, NOON, an_invoice
from tilld.auth.caller import Caller, Scope
from tilld.events.event import ChangedInvreq, Event
from tilld.events.terms import EventTerms, Place
from tilld.formats.times import utc_now
from tilld.payouts.invreq import Invreq, InvreqStatus, NodeInvreq, PaymentPart
from tilld.storage.statements import Bound

CREATED, COLLECTED, DISABLED = (f"invoice_request.{each}" for each in ("created", "collected", "disabled"))
IS_CREATED = (CREATED, "active", True, False)
ADMIN = Caller("boss", frozenset(Scope))


async def events(till: PayingTill, caller: Caller = CASHIER, **more: Any) -> list[Event]:
    return (await till.events.page(caller, EventTerms.checked(Place.BEGINNING, **more))).events


async def states(till: PayingTill) -> list[tuple[str, str, bool, bool]]:
    """Return the type, status, `active` and `used` of each event."""
    found = []
    for number, event in enumerate(await events(till), 1):
        assert event.entry.sequence == number
        assert isinstance(event.data, ChangedInvreq)
        invreq, status = event.data
        assert invreq.invreq_id == event.entry.subject
        found.append((event.entry.type.value, status.value, invreq.active, invreq.used))
    return found


def a_part(invreq: Invreq, payment: int, number: int, **fields: Any) -> PaymentPart:
    """Return a part of a payment that has arrived."""
    part = PaymentPart(invreq.invreq_id, f"{payment:064x}", number, "complete", 500, NOON)
    return replace(part, **fields)


async def settle(till: PayingTill, invreq: Invreq, parts: Sequence[PaymentPart]) -> None:
    await till.payouts.store.settle(invreq.node_id, parts, 0)


async def test_a_request_is_created_once(till: PayingTill, tmp_path: Path, database_url: str) -> None:
    """Also if the node's reply is stored twice, or two Tills create it at the node."""
    another = PayingTill(tmp_path, database_url)
    made = await asyncio.gather(*(each.offer(label="prize") for each in (till, another) for _ in range(3)))
    [invreq_id] = {each.invreq_id for each in made}
    reply = NodeInvreq(made[0].node_id, invreq_id, made[0].bolt12, made[0].id, active=True, used=False)
    for again in (reply, replace(reply, invreq_id="ee" * 32)):
        assert await till.payouts.store.complete(made[0].id, again) == made[0]

    assert await states(till) == [IS_CREATED]
    await another.close()


async def test_a_request_that_the_node_never_made_has_no_event(till: PayingTill) -> None:
    reserved = Invreq.reserved(CASHIER.creator, an_offer(), NODE_ID, b"", NOON)
    await till.payouts.store.reserve(reserved, ANY_SUM)

    assert await till.payouts.store.forget(reserved)

    assert await events(till) == []


@pytest.mark.parametrize("pages", [[(1, 2, 3)], [(1,), (2, 3)], [(1, 2), (3,)], [(1, 2, 3), (1, 2, 3)]])
async def test_a_payment_in_parts_collects_once(till: PayingTill, pages: list[tuple[int, ...]]) -> None:
    """Whether the parts are settled together, one after another, or again."""
    invreq = await till.offer()

    for numbers in pages:
        await settle(till, invreq, [a_part(invreq, 1, number) for number in numbers])

    assert await states(till) == [IS_CREATED, (COLLECTED, "used", False, True)]
    assert (await till.store.totals()).volume_out_msat == 1500


async def test_a_part_in_flight_or_failed_collects_nothing(till: PayingTill) -> None:
    invreq = await till.offer()

    pending = a_part(invreq, 1, 1, status="pending", ended_at=None)
    await settle(till, invreq, [pending, a_part(invreq, 1, 2, status="failed")])
    assert await states(till) == [IS_CREATED]
    await settle(till, invreq, [a_part(invreq, 1, 1)])

    assert await states(till) == [IS_CREATED, (COLLECTED, "used", False, True)]


@pytest.mark.parametrize("pages", [[(1, 2, 3)], [(1,), (2,), (3,)]])
async def test_a_request_for_many_is_collected_by_each_payment(
    tmp_path: Path, database_url: str, pair: Pair, pages: list[tuple[int, ...]]
) -> None:
    """It stays active until it is disabled; each event has an id of its own."""
    till = PayingTill(tmp_path, database_url, ANY_SUM)
    invreq = await till.offer(single_use=False)

    for payments in pages:
        # Two parts of each payment.
        numbers = [(payment, part) for part in (1, 2) for payment in payments]
        await settle(till, invreq, [a_part(invreq, payment, 2 * payment + part) for payment, part in numbers])
    await till.payouts.store.end(invreq, used=True, is_unpaid=False)

    assert await states(till) == [
        IS_CREATED, *[(COLLECTED, "active", True, True)] * 3, (DISABLED, "disabled", False, True)
    ]  # fmt: skip
    assert len({each.id for each in await events(till)}) == 5
    await till.close()


async def test_a_payment_of_an_expired_request_leaves_it_active(
    tmp_path: Path, database_url: str, pair: Pair
) -> None:
    """It can be collected until it is disabled, as reads say."""
    till = PayingTill(tmp_path, database_url, ANY_SUM)
    invreq = await till.offer(single_use=False)
    await expire(till, invreq)

    await settle(till, invreq, [a_part(invreq, 1, 1)])

    assert await states(till) == [IS_CREATED, (COLLECTED, "expired", True, True)]
    assert (await till.read(invreq)).active
    await till.close()


async def expire(till: PayingTill, invreq: Invreq) -> None:
    """Let a request expire an hour ago."""
    past = int((utc_now() - timedelta(hours=1)).timestamp())
    update = f"UPDATE invreqs SET absolute_expiry = {past} WHERE id = '{invreq.id}'"
    await till.store.write(lambda do: do.execute(Bound(update)))


async def test_events_of_payments_on_a_node(till: PayingTill, theirs: Rpc) -> None:
    """A payment that is followed, and one that is caught up."""
    early = await till.offer()
    await theirs.result("sendinvoice", invreq=early.bolt12, label="early")
    async with till.spending():
        await till.until(early, used=True)
        late = await till.offer()
        await theirs.result("sendinvoice", invreq=late.bolt12, label="late")
        await till.until(late, used=True)

    collected = (COLLECTED, "used", False, True)
    assert await states(till) == [IS_CREATED, collected] * 2


@pytest.mark.parametrize("reason", [InvreqStatus.DISABLED, InvreqStatus.EXPIRED, InvreqStatus.FAILED])
async def test_a_request_is_disabled_once(till: PayingTill, ours: Rpc, reason: InvreqStatus) -> None:
    """By its owner, after its expiry, or after a payment has failed."""
    invreq = await till.offer()
    async with till.spending():
        if reason is InvreqStatus.DISABLED:
            await till.payouts.disable(CASHIER, invreq.invreq_id)
        elif reason is InvreqStatus.EXPIRED:
            await expire(till, invreq)
        else:
            long_ago = utc_now().replace(microsecond=0) - timedelta(seconds=80)
            await settle(till, invreq, [a_part(invreq, 1, 1, status="failed", ended_at=long_ago)])
        await till.until(invreq, active=False)
    await till.payouts.store.end(invreq, used=False, is_unpaid=True)

    assert await states(till) == [IS_CREATED, (DISABLED, reason.value, False, False)]
    assert (await ours.result("listinvoicerequests", active_only=True))["invoicerequests"] == []


async def test_a_request_that_is_paid_while_it_is_disabled_is_collected_only(till: PayingTill) -> None:
    invreq = await till.offer()

    await till.payouts.store.end(invreq, used=True, is_unpaid=False)
    await settle(till, invreq, [a_part(invreq, 1, 1)])

    assert await states(till) == [IS_CREATED, (COLLECTED, "used", False, True)]


async def test_only_keys_with_the_scope_payouts_see_them(till: PayingTill) -> None:
    """Anyone with the string of a request can collect it. A key with a type sees invoices of that type."""
    offer = await till.offer()
    await till.store.add(an_invoice("cashier"))
    both = [CREATED, "invoice.created"]
    without = replace(CASHIER, scopes=frozenset({Scope.EVENTS, Scope.READ}))
    admin = replace(ADMIN, scopes=ADMIN.scopes - {Scope.PAYOUTS})

    async def types(caller: Caller, **more: Any) -> list[str]:
        return [each.entry.type.value for each in await events(till, caller, **more)]

    assert await types(CASHIER) == both
    assert await types(without) == ["invoice.created"]
    assert await types(without, types=[CREATED]) == []
    assert await types(replace(CASHIER, type="shop")) == ["invoice.created"]
    assert await types(replace(CASHIER, type="bar")) == []
    assert await types(CASHIER, metadata_type="shop") == ["invoice.created"]
    assert await types(replace(CASHIER, username="another")) == []
    assert await types(ADMIN, all_users=True) == both
    assert await types(admin, all_users=True) == ["invoice.created"]
    assert offer.bolt12 not in repr(await events(till, without))


async def test_an_unreadable_request_does_not_hide_the_other_events(tmp_path: Path, pair: Pair) -> None:
    """SQLite accepts any type in any column."""
    till = PayingTill(tmp_path, f"sqlite:///{tmp_path / 'till.db'}")
    broken, fine = await till.offer(), await till.offer()
    update = f"UPDATE invreqs SET created_at = 'yesterday' WHERE id = '{broken.id}'"
    await till.store.write(lambda do: do.execute(Bound(update)))

    assert [each.entry.subject for each in await events(till)] == [fine.invreq_id]
    await till.close()
