"""Collecting from another node: at most one payment for each label, or an error with the reason."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyln.client import RpcError

from lightningd_simulator.peers import MessageLimit
from tests.support.clock import RunningClock
from tests.support.node_pair import Pair, pair_of_nodes
from tests.support.rpc import connected
from tests.support.samples import ANOTHER, DAKK, NODE_ID, NOON, an_invoice
from tests.support.till import CALM, Parts
from tilld.auth.caller import Caller, Scope
from tilld.config import USUAL, Intervals
from tilld.errors import (
    Conflict,
    Expired,
    NodeFailed,
    NodeOffline,
    NotActive,
    NotPaid,
    PermissionDenied,
    Refused,
    TillError,
    Unavailable,
    Unreachable,
)
from tilld.events.terms import EventTerms, Place
from tilld.invoices.invoice import Invoice, Status
from tilld.sent_invoices.attempt import State
from tilld.storage.statements import Bound
from tilld.upkeep.audit import Doctor
from tilld.upkeep.importer import Importing


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Node a has created the requests, and pays; node b is Till's."""
    async with pair_of_nodes(tmp_path, RunningClock()) as both:
        yield both


# Takes over an attempt of another process as soon as the node does not have it.
RASH = CALM._replace(young_seconds=0)
# The first attempt lasts as long as in production; 2 s would be too short on a slow machine.
PATIENT = CALM._replace(first_attempt_seconds=USUAL.first_attempt_seconds)


@asynccontextmanager
async def a_till(
    pair: Pair, database_url: str, intervals: Intervals = CALM, *, is_resolving: bool = True
) -> AsyncIterator[Parts]:
    """Yield the parts of a Till that follows node b."""
    till = Parts(pair.rpc_file("b").parent, database_url, rpc="b", intervals=intervals)
    resolving = asyncio.create_task(till.collecting.run() if is_resolving else asyncio.sleep(0))
    try:
        async with till.following():
            yield till
    finally:
        resolving.cancel()
        await asyncio.wait([resolving])
        await till.close()


@pytest.fixture
def intervals() -> Intervals:
    return CALM


@pytest.fixture
async def till(pair: Pair, database_url: str, intervals: Intervals) -> AsyncIterator[Parts]:
    async with a_till(pair, database_url, intervals) as parts:
        yield parts


def with_intervals(intervals: Intervals) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("intervals", [intervals], ids=["others"])


async def requested(pair: Pair, amount: int = 1000, **more: Any) -> str:
    """Return a new invoice request of node a."""
    async with connected(pair.rpc_file("a")) as a:
        made = await a.result("invoicerequest", amount=amount, description="a refund", **more)
    invreq: str = made["bolt12"]
    return invreq


async def of_node(pair: Pair, name: str, method: str, **params: Any) -> Any:
    async with connected(pair.rpc_file(name)) as rpc:
        return await rpc.result(method, **params)


async def payments(pair: Pair) -> int:
    """Return the number of node a's payments, when none is pending."""
    async with asyncio.timeout(10):
        while (await of_node(pair, "a", "listpays", status="pending"))["pays"]:
            await asyncio.sleep(0.01)
    return len((await of_node(pair, "a", "listpays", status="complete"))["pays"])


async def check(till: Parts, pair: Pair, *, paid: int = 1) -> None:
    """Assert that node a has paid as often as the store has it, and that the doctor finds no difference."""
    assert await payments(pair) == paid
    totals = await till.store.totals()
    assert (totals.open_invoices, totals.volume_msat) == (0, paid * 1000)
    report = await Doctor(till.store, till.node).examine(repair=False)
    assert (report.is_clean, report.missing) == (True, [])


async def state(till: Parts, label: str = "x") -> tuple[int, State]:
    """Return the number and the state of the last attempt under a label."""
    latest = await till.attempts.latest("dakk", label)
    assert latest
    return latest.attempt, latest.state


async def events(till: Parts) -> list[tuple[str, str | None]]:
    """Return the type of each event, and the label that it shows; of failed attempts, too."""
    page = await till.events.page(DAKK, EventTerms.checked(Place.BEGINNING))
    statuses = {each.value: each for each in Status} | {"created": Status.UNPAID}
    found = []
    for event in page.events:
        assert isinstance(event.data, Invoice)
        kind = event.entry.type.value.removeprefix("invoice.")
        assert event.data.status is statuses[kind]
        found.append((kind, event.data.label))
    return found


async def test_a_sent_invoice_is_an_ordinary_invoice(till: Parts, pair: Pair) -> None:
    """Reads, watches and totals include it; the payment preimage is returned, but not stored."""
    sent = await till.send(await requested(pair), label="refund-1", metadata='{"type": "shop"}')

    invoice = sent.invoice
    assert hashlib.sha256(bytes.fromhex(sent.payment_preimage)).hexdigest() == invoice.payment_hash
    assert (invoice.status, invoice.label, invoice.description) == (Status.PAID, "refund-1", "a refund")
    assert (invoice.amount_msat, invoice.metadata) == (1000, '{"type":"shop"}')
    assert invoice.is_bolt12
    assert invoice.expires_at - invoice.created_at == timedelta(seconds=2)
    assert await till.invoicing.get(DAKK, invoice.invoice_id) == invoice
    assert await till.invoicing.get_by_label(DAKK, "refund-1") == invoice
    assert [each async for each in till.invoicing.watch(DAKK, invoice.invoice_id)] == [invoice]
    assert (await till.invoicing.info(DAKK)).totals.volume_msat == 1000
    assert sent.payment_preimage not in repr(sent)
    assert await events(till) == [("created", "refund-1"), ("paid", "refund-1")]
    await check(till, pair)


async def test_a_retry_returns_the_same_payment(till: Parts, pair: Pair) -> None:
    invreq = await requested(pair, single_use=False)
    first = await till.send(invreq)

    again = await till.send(f" lightning:{invreq.upper()} ", timeout=5)
    concurrent = await asyncio.gather(*(till.send(invreq, label="y") for _ in range(5)))

    assert again == first
    assert len({each.invoice.invoice_id for each in concurrent}) == 1
    assert (await till.send(invreq, caller=ANOTHER)).invoice.invoice_id != first.invoice.invoice_id
    await check(till, pair, paid=3)


async def test_a_label_is_for_one_invoice(till: Parts, pair: Pair) -> None:
    """The first use keeps the label, whether sent or created; rejected calls send nothing."""
    invreq, other = await requested(pair), await requested(pair)
    await till.send(invreq)
    await till.create(label="created")

    with pytest.raises(Conflict, match="another invreq"):
        await till.send(other)
    with pytest.raises(Conflict, match="another amount_msat and metadata"):
        await till.send(invreq, amount_msat=999, metadata='{"type":"b"}')
    with pytest.raises(Conflict, match="not sent to another node"):
        await till.send(other, label="created")
    with pytest.raises(Conflict, match="sent to another node"):
        await till.create(label="x")

    assert await payments(pair) == 1


async def test_the_label_of_a_failed_attempt_cannot_be_created(till: Parts, pair: Pair) -> None:
    invreq = await requested(pair)
    await pair.kill("a")
    with pytest.raises(Unreachable):
        await till.send(invreq)

    with pytest.raises(Conflict, match="sent to another node"):
        await till.create(label="x")


async def test_a_request_that_was_collected_before_is_refused(till: Parts, pair: Pair) -> None:
    invreq = await requested(pair)
    await till.send(invreq)

    with pytest.raises(NotActive, match="disabled or collected"):
        await till.send(invreq, label="y")

    assert (await of_node(pair, "b", "listinvoices"))["invoices"][1:] == []
    await check(till, pair)


async def test_the_reason_of_the_other_node_is_returned(till: Parts, pair: Pair) -> None:
    """The message omits the invoice that the node repeats; the same label can be retried later."""
    invreq = await requested(pair)
    pair.ways["b"].hold("dev-htlc")
    first = asyncio.create_task(till.send(invreq, timeout=60))
    await pair.ways["b"].waiting.acquire()

    with pytest.raises(Refused) as refused:
        await till.send(invreq, label="y")

    assert "Single-use invoice_request already in progress with" in refused.value.message
    assert "lni1" not in refused.value.message
    pair.ways["b"].release()
    await first
    with pytest.raises(NotActive):
        await till.send(invreq, label="y")
    assert await state(till, "y") == (2, State.FAILED)
    await check(till, pair)


@pytest.mark.parametrize(
    ("code", "failure"),
    [(-1, NodeFailed), (1001, NotActive), (1002, Expired), (1003, Unreachable), (1004, Refused)],
)
async def test_each_error_code_of_the_node_has_its_own_error(
    code: int, failure: type[TillError], till: Parts, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = till.node.rpc.call

    async def refusing(method: str, *given: Any, **more: Any) -> Any:
        if method == "sendinvoice":
            raise RpcError(method, {}, {"code": code, "message": "LIGHTNING_DIR/secret"})
        return await call(method, *given, **more)

    monkeypatch.setattr(till.node.rpc, "call", refusing)

    with pytest.raises(TillError) as told:
        await till.send(await requested(pair), timeout=1)

    assert type(told.value) is failure
    assert "secret" not in told.value.message
    assert (await state(till))[1] is State.FAILED
    await check(till, pair, paid=0)


async def test_an_unreachable_node_can_be_tried_again(till: Parts, pair: Pair) -> None:
    """Between the tries, the node has no invoice that could be paid."""
    invreq = await requested(pair)
    await pair.kill("a")

    with pytest.raises(Unreachable, match="same label"):
        await till.send(invreq)

    assert (await of_node(pair, "b", "listinvoices"))["invoices"] == []
    await pair.start("a")
    assert (await till.send(invreq)).invoice.status is Status.PAID
    assert await state(till) == (2, State.PAID)
    # The store had no invoice of the first attempt.
    assert await events(till) == [("created", "x"), ("paid", "x")]
    await check(till, pair)


async def test_messages_are_paced(tmp_path: Path, database_url: str) -> None:
    """Eight concurrent messages are each paid at the first attempt; without pacing, half would be dropped."""
    async with pair_of_nodes(tmp_path, RunningClock(), MessageLimit(time.time)) as pair:
        async with a_till(pair, database_url) as till:
            invreqs = [await requested(pair) for _ in range(8)]

            sent = await asyncio.gather(
                *(till.send(each, label=f"{number}", timeout=30) for number, each in enumerate(invreqs))
            )

            assert {each.invoice.status for each in sent} == {Status.PAID}
            assert await till.store.read(Bound("SELECT MAX(attempt) FROM sendings")) == [(1,)]
            await check(till, pair, paid=8)


class DropsTheFirst(MessageLimit):
    """Drops the first message."""

    def __init__(self) -> None:
        self._dropped = 0

    def lets_pass(self, peer_id: str) -> bool:
        self._dropped += 1
        return self._dropped > 1


async def test_a_dropped_message_is_sent_again(tmp_path: Path, database_url: str) -> None:
    """The first attempt times out, the second is paid."""
    async with pair_of_nodes(tmp_path, RunningClock(), DropsTheFirst()) as pair:
        async with a_till(pair, database_url) as till:
            sent = await till.send(await requested(pair))

            assert sent.invoice.status is Status.PAID
            assert await state(till) == (2, State.PAID)
            assert (await till.store.totals()).volume_msat == 1000
            watched = await till.invoicing.get_by_label(DAKK, "x")
            assert watched == sent.invoice
            # The second invoice has taken the label; events of the first still show it.
            assert await events(till) == [(each, "x") for each in ("created", "expired", "created", "paid")]


async def test_a_payment_after_the_timeout_is_rejected(till: Parts, pair: Pair) -> None:
    """A late payment is rejected; a retry with the same label is paid once."""
    invreq = await requested(pair)
    pair.ways["b"].hold("dev-htlc")

    with pytest.raises(NotPaid, match="same label"):
        await till.send(invreq, timeout=1)

    pair.ways["b"].release()
    assert await payments(pair) == 0
    assert (await till.send(invreq)).invoice.status is Status.PAID
    await check(till, pair)


@with_intervals(PATIENT._replace(young_seconds=0))
async def test_a_lost_reply_leaves_no_open_invoice(
    till: Parts, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to the withdrawal is lost; the next invoice still takes over the label."""
    withdraw = till.sent_node.withdraw

    async def withdraw_without_reply(label: str) -> bool:
        assert await withdraw(label)
        raise NodeOffline

    # The payment fails without a return path, after the invoice has entered the store.
    invreq = await requested(pair, single_use=False)
    pair.ways["b"].hold("getinfo")
    with monkeypatch.context() as patch:
        patch.setattr(till.sent_node, "withdraw", withdraw_without_reply)
        sending = asyncio.create_task(till.send(invreq))
        async with asyncio.timeout(10):
            while not await till.store.get_by_label("dakk", "x"):
                await asyncio.sleep(0.01)
        pair.ways["b"].rpc_file, way = pair.rpc_file("nowhere"), pair.ways["b"].rpc_file
        pair.ways["b"].release()
        with pytest.raises(Unavailable, match="not known yet"):
            await sending
    pair.ways["b"].rpc_file = way

    sent = await till.send(invreq)

    assert await till.store.get_by_label("dakk", "x") == sent.invoice
    kinds = [kind for kind, label in await events(till) if label == "x"]
    # The follower may see the deletion at the node first.
    assert kinds.pop(1) in ("expired", "canceled")
    assert kinds == ["created", "created", "paid"]
    await check(till, pair)


@with_intervals(PATIENT)
async def test_a_payment_in_flight_can_be_watched(till: Parts, pair: Pair) -> None:
    pair.ways["b"].hold("dev-htlc")
    sending = asyncio.create_task(till.send(await requested(pair), timeout=60))
    async with asyncio.timeout(10):
        while not (invoice := await till.store.get_by_label("dakk", "x")):
            await asyncio.sleep(0.01)
    watch = till.invoicing.watch(DAKK, invoice.invoice_id)
    first = await anext(watch)

    pair.ways["b"].release()

    assert first.status is Status.UNPAID
    assert (await anext(watch)).status is Status.PAID
    assert (await sending).invoice.status is Status.PAID
    await check(till, pair)


async def test_a_cancelled_call_does_not_stop_the_payment(pair: Pair, database_url: str) -> None:
    """The outcome is still stored."""
    invreq = await requested(pair)
    async with a_till(pair, database_url, PATIENT, is_resolving=False) as till:
        pair.ways["b"].hold("dev-htlc")
        sending = asyncio.create_task(till.send(invreq, timeout=60))
        await pair.ways["b"].waiting.acquire()
        sending.cancel()
        await asyncio.wait([sending])

        pair.ways["b"].release()

        async with asyncio.timeout(10):
            while await state(till) != (1, State.PAID):
                await asyncio.sleep(0.01)
        await check(till, pair)


@with_intervals(PATIENT)
async def test_a_node_that_dies_leaves_the_outcome_unknown(till: Parts, pair: Pair) -> None:
    """Till finds the outcome as soon as the node is back, even without a call."""
    pair.ways["b"].hold("dev-htlc")
    sending = asyncio.create_task(till.send(await requested(pair), timeout=60))
    await pair.ways["b"].waiting.acquire()
    await pair.kill("b")
    with pytest.raises(Unavailable, match="not known yet"):
        await sending
    assert await state(till) == (1, State.SENDING)

    await pair.start("b")
    pair.ways["b"].release()

    async with asyncio.timeout(20):
        while await state(till) != (1, State.PAID):
            await asyncio.sleep(0.05)
    await check(till, pair)


@with_intervals(PATIENT._replace(recovery_seconds=0.1))
async def test_an_attempt_with_unknown_outcome_does_not_block_others(till: Parts, pair: Pair) -> None:
    """The older attempt was sent by a node that is gone."""
    pair.ways["b"].hold("dev-htlc")
    sending = asyncio.create_task(till.send(await requested(pair), timeout=60))
    await pair.ways["b"].waiting.acquire()
    sendings = till.attempts
    ours = await sendings.latest("dakk", "x")
    assert ours
    lost = replace(ours, label="lost", node_id=NODE_ID, node_label="~" * 21, created_at=NOON)
    assert await sendings.reserve(lost)
    await till.collecting.stop()
    with pytest.raises(Unavailable):
        await sending

    pair.ways["b"].release()

    async with asyncio.timeout(10):
        while await state(till) != (1, State.PAID):
            await asyncio.sleep(0.01)
    await check(till, pair)


# Points where Till can die: the owner of a method, the method, and whether before or after its work.
POINTS = {
    "before it is written down": ("attempts", "reserve", True),
    "before the node is asked": ("attempts", "reserve", False),
    "after the node has answered": ("sent_node", "send", False),
    "before the invoice is in the store": ("attempts", "add", True),
    "before it is settled": ("store", "settle", True),
    "before the outcome is written down": ("attempts", "end", True),
    "before the reply": ("attempts", "end", False),
}


def die_at(till: Parts, point: str) -> asyncio.Event:
    """Stop at a point; the returned event is set when it is reached."""
    name, method, is_before = POINTS[point]
    owner = getattr(till, name)
    work, reached = getattr(owner, method), asyncio.Event()

    async def dying(*arguments: Any) -> None:
        if not is_before:
            with suppress(TillError):
                await work(*arguments)
        reached.set()
        await asyncio.Event().wait()

    setattr(owner, method, dying)
    return reached


@pytest.mark.parametrize("outcome", ["paid", "refused"])
@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_at_any_point_is_recovered_from(
    point: str, outcome: str, pair: Pair, database_url: str
) -> None:
    """A retry with the same label returns the payment, or the reason why there is none."""
    invreq = await requested(pair)
    if outcome == "refused":
        async with connected(pair.rpc_file("a")) as a:
            [made] = (await a.result("listinvoicerequests"))["invoicerequests"]
            await a.result("disableinvoicerequest", invreq_id=made["invreq_id"])
    async with a_till(pair, database_url, RASH, is_resolving=False) as first:
        reached = die_at(first, point)
        sending = asyncio.create_task(first.send(invreq, timeout=5))
        if outcome == "refused" and POINTS[point][1] in ("add", "settle"):
            # The invoice never entered the store.
            with pytest.raises(NotActive):
                await sending
        else:
            await reached.wait()
    with suppress(Unavailable, NotActive):
        await sending

    async with a_till(pair, database_url, RASH) as second:
        if outcome == "paid":
            assert (await second.send(invreq)).invoice.status is Status.PAID
            await check(second, pair)
        else:
            with pytest.raises(NotActive):
                await second.send(invreq)
            await check(second, pair, paid=0)


async def test_a_late_till_does_not_send(
    pair: Pair, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One Till pauses before it calls the node; another on the same store takes over meanwhile."""
    invreq = await requested(pair, single_use=False)
    slow_one = a_till(pair, database_url, RASH, is_resolving=False)
    async with slow_one as slow, a_till(pair, database_url, RASH) as other:
        go_on, reached = asyncio.Event(), asyncio.Event()
        send = slow.sent_node.send

        async def late(sending: Any) -> None:
            reached.set()
            await go_on.wait()
            await send(sending)

        monkeypatch.setattr(slow.sent_node, "send", late)
        sending = asyncio.create_task(slow.send(invreq))
        await reached.wait()

        done = await other.send(invreq)
        go_on.set()

        with suppress(Unavailable):
            assert (await sending).invoice == done.invoice
        assert (await slow.send(invreq)).invoice == done.invoice
        await check(other, pair)


async def test_an_invoice_added_late_does_not_take_over_the_label(till: Parts, pair: Pair) -> None:
    """Another process read the first attempt at the node, and paused before it stored the invoice."""
    invreq = await requested(pair)
    invoice = an_invoice(label="x")._replace(bolt11="lni1qqqq", expires_at=datetime.now(UTC))
    await pair.kill("a")
    with pytest.raises(Unreachable):
        await till.send(invreq)
    await pair.start("a")
    failed = await till.attempts.latest("dakk", "x")
    assert failed

    await till.attempts.add(invoice._replace(invoice_id=failed.node_label))

    assert (await till.send(invreq)).invoice.status is Status.PAID
    await check(till, pair)


async def test_two_tills_share_a_label(pair: Pair, database_url: str) -> None:
    """Concurrent calls return the same payment."""
    invreq = await requested(pair, single_use=False)
    async with a_till(pair, database_url) as one, a_till(pair, database_url) as two:
        sent = await asyncio.gather(*(each.send(invreq) for each in (one, two, one, two)))

        assert len({each.invoice.payment_hash for each in sent}) == 1
        await check(one, pair)


async def test_a_lost_store_gets_its_sent_invoices_back(till: Parts, pair: Pair, tmp_path: Path) -> None:
    """Under their ids, as other invoices; without --lost-store they count as another Till's."""
    sent = await till.send(await requested(pair))
    new = Parts(tmp_path, f"sqlite:///{tmp_path / 'new.db'}", rpc="b")

    for lost_store in (False, True):
        await Importing(new.store, new.node, "dakk", "imported", lost_store=lost_store).run()
        assert (await new.store.totals()).volume_msat == (1000 if lost_store else 0)

    found = await new.store.get(sent.invoice.invoice_id)
    assert found
    assert (found.bolt11, found.payment) == (sent.invoice.bolt11, sent.invoice.payment)
    assert (found.description, found.created_at) == ("a refund", sent.invoice.created_at)
    await new.close()


async def test_a_key_with_a_type_sends_only_this_type(till: Parts, pair: Pair) -> None:
    key = Caller("dakk", frozenset(Scope), type="till-1")
    invreq = await requested(pair)

    with pytest.raises(PermissionDenied):
        await till.send(invreq, caller=key, metadata='{"type":"till-2"}')
    sent = await till.send(invreq, caller=key)

    assert sent.invoice.metadata == '{"type":"till-1"}'
    with pytest.raises(Conflict, match="^label is in use; use another label$"):
        await till.send(invreq, caller=replace(key, type="till-2"))


async def waiting(till: Parts, count: int) -> None:
    """Wait until this many calls queue for the node."""
    async with asyncio.timeout(10):
        while till.collecting.turns.waiting != count:
            await asyncio.sleep(0.01)


async def test_one_key_does_not_block_others(till: Parts, pair: Pair) -> None:
    """A call of another key is sent after at most one more turn, ahead of a hundred calls of one key."""
    dead = await requested(pair)
    await of_node(pair, "a", "disableinvoicerequest", invreq_id=await invreq_id_of(pair, dead))
    flood = [asyncio.create_task(till.send(dead, label=f"{n}", timeout=300)) for n in range(100)]
    await waiting(till, 97)
    began = asyncio.get_running_loop().time()

    other = replace(ANOTHER, key_id="another key!")
    sent = await till.send(await requested(pair), other, timeout=5)

    assert sent.invoice.status is Status.PAID
    assert asyncio.get_running_loop().time() - began < 2
    for task in flood:
        task.cancel()
    await asyncio.wait(flood)


async def test_a_cancelled_call_leaves_the_queue(till: Parts, pair: Pair) -> None:
    """Calls that were not sent yet leave no attempt behind."""
    dead = await requested(pair)
    await of_node(pair, "a", "disableinvoicerequest", invreq_id=await invreq_id_of(pair, dead))
    flood = [asyncio.create_task(till.send(dead, label=f"{n}", timeout=300)) for n in range(30)]
    await waiting(till, 27)

    for task in flood:
        task.cancel()
    await asyncio.wait(flood)

    await waiting(till, 0)
    sent = await till.send(await requested(pair), label="29", timeout=5)
    assert sent.invoice.status is Status.PAID
    async with asyncio.timeout(10):
        while till.collecting.under_way:
            await asyncio.sleep(0.01)


async def invreq_id_of(pair: Pair, bolt12: str) -> str:
    listed = (await of_node(pair, "a", "listinvoicerequests"))["invoicerequests"]
    return next(str(each["invreq_id"]) for each in listed if each["bolt12"] == bolt12)
