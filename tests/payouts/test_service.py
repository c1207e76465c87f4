"""Payouts on a store and nodes: a request is offered once, and spending stays within the limits."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Never

import pytest

from tests.support.node_pair import Pair
from tests.support.payouts import ANY_SUM, CASHIER, PayingTill, an_offer
from tests.support.rpc import Rpc
from tests.support.samples import NOON
from tests.support.scripted_node import GETINFO, Request, error, result, scripted_node
from tests.support.waiting import eventually
from tilld.auth.caller import Creator
from tilld.errors import (
    Conflict,
    InvalidRequest,
    NodeFailed,
    NodeOffline,
    NotActive,
    PermissionDenied,
    TooMany,
    Unavailable,
)
from tilld.invoices.totals import Totals
from tilld.lightningd.errors import MayExist
from tilld.payouts.invreq import Invreq, NodeInvreq, PaymentPart, PayoutLimits
from tilld.payouts.service import OnItsWay


async def at_node(rpc: Rpc) -> dict[str, Any]:
    """Return the active requests at a node, by their label there."""
    listed = await rpc.result("listinvoicerequests", active_only=True)
    return {each["label"]: each for each in listed["invoicerequests"]}


class Crash(BaseException):
    """Ends the process."""


async def crashed(till: PayingTill, monkeypatch: pytest.MonkeyPatch, seam: str, label: str | None) -> None:
    """Create a request, and crash before the node is called, or after that but before the store commits."""

    async def crash(*_: object) -> Never:
        raise Crash

    before_node: tuple[object, str] = (till.payouts.node, "create")
    after_node: tuple[object, str] = (till.payouts.store, "complete")
    with monkeypatch.context() as patch:
        patch.setattr(*before_node if seam == "before the node" else after_node, crash)
        with pytest.raises(Crash):
            await till.offer(label=label)


@pytest.mark.parametrize("seam", ["before the node", "after the node"])
async def test_after_a_crash_the_same_label_gives_one_request(
    till: PayingTill, ours: Rpc, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    """It counts once towards the daily limit."""
    await crashed(till, monkeypatch, seam, "prize")

    with pytest.raises(Conflict, match="another amount$"):
        await till.offer(label="prize", amount_msat=999)
    made = await till.offer(label="prize")

    # The string of the request that the crash left at the node was never returned.
    listed = (await ours.result("listinvoicerequests"))["invoicerequests"]
    assert [each["label"] for each in listed] == [made.id] * (2 if seam == "after the node" else 1)
    assert made.invreq_id in {each["invreq_id"] for each in listed}
    assert await till.offer(label="prize") == made
    assert await till.payouts.page(CASHIER, "", 10, "after") == [made]
    assert await till.offered() == 1000


@pytest.mark.parametrize("label", ["prize", None])
@pytest.mark.parametrize("seam", ["before the node", "after the node"])
async def test_a_request_begun_before_a_crash_is_swept_up(
    till: PayingTill, ours: Rpc, monkeypatch: pytest.MonkeyPatch, seam: str, label: str | None
) -> None:
    """It no longer counts: its string was never returned, so it cannot be collected."""
    await crashed(till, monkeypatch, seam, label)
    [pending] = await till.payouts.store.pending(await till.node.identity(), datetime.max.replace(tzinfo=UTC))

    async with till.spending():
        await asyncio.sleep(0.1)
        assert await till.offered() == 1000, "swept before it was 30 s old"
        till.late = timedelta(seconds=31)
        async with asyncio.timeout(10):
            while await till.payouts.store.get_by_id(pending.id):
                await asyncio.sleep(0.01)

    assert await till.offered() == 0
    assert (await till.offer(label=label)).active


@pytest.mark.parametrize("received", [True, False])
async def test_after_a_lost_reply_the_same_label_gives_one_request(
    till: PayingTill, monkeypatch: pytest.MonkeyPatch, received: bool
) -> None:
    """The node may have created one, whose string was never returned. The label counts once."""
    create = till.payouts.node.create

    async def lose(invreq: Invreq) -> Never:
        if received:
            await create(invreq)
        raise MayExist

    with monkeypatch.context() as patch:
        patch.setattr(till.payouts.node, "create", lose)
        with pytest.raises(NodeOffline):
            await till.offer(label="prize")

    made = await till.offer(label="prize")

    assert await till.offer(label="prize") == made
    assert await till.offered() == 1000


async def test_only_requests_of_till_are_listed(till: PayingTill, monkeypatch: pytest.MonkeyPatch) -> None:
    """lightningd keeps all requests and lists them without pages: listing thousands would block the node."""
    listed, call = [], till.node.rpc.call

    async def watched(method: str, params: Any = None, **options: Any) -> Any:
        listed.extend([params] if method == "listinvoicerequests" else [])
        return await call(method, params, **options)

    monkeypatch.setattr(till.node.rpc, "call", watched)
    await crashed(till, monkeypatch, "after the node", "prize")
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    over = await till.offer(absolute_expiry=expiry)
    await till.offer(label="prize")
    await crashed(till, monkeypatch, "after the node", "another")
    till.late = timedelta(hours=1)

    async with till.spending():
        await till.until(over, active=False)
        async with asyncio.timeout(10):
            while await till.payouts.store.get_by_label("cashier", "another"):
                await asyncio.sleep(0.01)

    assert {each.get("invreq_id") for each in listed} == {over.invreq_id}


async def test_a_hanging_step_of_the_sweep_does_not_block_the_others(
    till: PayingTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node does not answer for a failed request; the expired request is still disabled."""
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    over = await till.offer(absolute_expiry=expiry)
    till.late = timedelta(hours=1)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(till.payouts.store, "failed", hang)
    monkeypatch.setattr(till.payouts.store, "pending", hang)

    async with till.spending():
        await till.until(over, active=False)


async def test_disabling_needs_a_setting(tmp_path: Path, database_url: str, pair: Pair, ours: Rpc) -> None:
    """A payment that begins during a disable crashes lightningd permanently; errors name the setting."""
    till = PayingTill(tmp_path, database_url, PayoutLimits(5000, 10_000))
    offer = await till.offer()
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    with pytest.raises(PermissionDenied, match="TILLD_ALLOW_INVREQ_DISABLE=true"):
        await till.payouts.disable(CASHIER, offer.invreq_id)
    with pytest.raises(InvalidRequest, match=r"^expires_at is not allowed.*TILLD_ALLOW_INVREQ_DISABLE=true"):
        await till.offer(absolute_expiry=expiry)

    assert (await at_node(ours)).keys() == {offer.id}
    await till.close()


async def test_without_the_setting_expired_requests_stay_active(
    till: PayingTill, tmp_path: Path, database_url: str, ours: Rpc, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request was created while disabling was allowed; one warning says it can still be collected."""
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    over = await till.offer(absolute_expiry=expiry)
    strict = PayingTill(tmp_path, database_url, PayoutLimits(5000, 10_000))
    strict.late = timedelta(hours=2)

    async with strict.spending(), asyncio.timeout(10):
        while "can still be collected" not in (said := capsys.readouterr().out):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        said += capsys.readouterr().out

    assert said.count("can still be collected") == 1
    assert over.id in await at_node(ours)
    await strict.close()


async def test_a_request_that_the_node_rejects_does_not_count(tmp_path: Path, database_url: str) -> None:
    async def answer(request: Request) -> bytes:
        if request["method"] == "getinfo":
            return result(request, GETINFO)
        return error(request, -1, "no more")

    till = PayingTill(tmp_path, database_url)
    async with scripted_node(tmp_path / "rpc", answer):
        with pytest.raises(NodeFailed, match="could not do this"):
            await till.offer(label="prize")

    assert await till.offered() == 0
    assert await till.payouts.store.get_by_label("cashier", "prize") is None
    await till.close()


async def test_concurrent_requests_never_exceed_the_daily_limit(
    till: PayingTill, tmp_path: Path, database_url: str, ours: Rpc
) -> None:
    """Across several Tills; each key has its own limit."""
    others = [PayingTill(tmp_path, database_url) for _ in range(2)]
    offers = [each.offer() for each in (till, *others) for _ in range(10)]

    results = await asyncio.gather(*offers, return_exceptions=True)

    refused = [each for each in results if isinstance(each, TooMany)]
    assert (len(refused), len(await at_node(ours))) == (20, 10)
    assert 0 < refused[0].retry_seconds <= 86400
    assert await till.offered() == 10_000
    await till.payouts.create(replace(CASHIER, key_id="another key!"), an_offer())
    till.late = timedelta(days=1)
    await till.offer()
    for each in others:
        await each.close()


async def test_concurrent_requests_with_one_label_get_one_request(
    till: PayingTill, tmp_path: Path, database_url: str, ours: Rpc
) -> None:
    """Across several Tills; surplus requests at the node are disabled."""
    another = PayingTill(tmp_path, database_url)
    offers = [each.offer(label="prize") for each in (till, another) for _ in range(5)]

    made = await asyncio.gather(*offers)

    assert len({each.invreq_id for each in made}) == 1
    [left] = (await at_node(ours)).values()
    assert left["invreq_id"] == made[0].invreq_id
    assert await till.offered() == 1000
    await another.close()


async def test_a_collected_request_is_settled_with_its_volume(till: PayingTill, theirs: Rpc) -> None:
    """Payments are settled once, both while following and when catching up."""
    early = await till.offer(amount_msat=3000)
    await theirs.result("sendinvoice", invreq=early.bolt12, label="early")
    async with till.spending():
        await till.until(early, used=True, active=False)
        late = await till.offer()
        await theirs.result("sendinvoice", invreq=late.bolt12, label="late", amount_msat=700)
        await till.until(late, used=True, active=False)
    node_id = early.node_id
    again = await till.payouts.node.updates(0, 0)

    assert await till.payouts.store.settle(node_id, again.items, again.updated_index) == []
    assert await till.store.totals("cashier") == Totals(0, 0, 0, 3700)
    assert await till.store.totals("another") == Totals()
    kept, counted = await till.store.audit()
    assert kept == counted == {Creator("cashier", CASHIER.key_id): Totals(0, 0, 0, 3700)}
    await till.store.recount()
    assert await till.store.totals() == Totals(0, 0, 0, 3700)
    assert await till.payouts.store.updated_index(node_id) == 2
    assert await till.offered() == 4000


async def test_failed_settlements_are_the_lag_of_the_follower(
    till: PayingTill, theirs: Rpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lag is 0 once the payment is settled."""

    async def fail(*_: object) -> Never:
        raise Unavailable

    offer = await till.offer()
    async with till.spending() as follower:
        await eventually(lambda: follower.updates.is_following)
        with monkeypatch.context() as patch:
            patch.setattr(till.payouts.store, "settle", fail)
            await theirs.result("sendinvoice", invreq=offer.bolt12, label="x")
            await eventually(lambda: follower.updates.lag == 1)
        await eventually(lambda: follower.updates.lag == 0)

    assert (await till.read(offer)).used


async def test_a_request_for_many_is_paid_many_times(
    tmp_path: Path, database_url: str, pair: Pair, theirs: Rpc
) -> None:
    till = PayingTill(tmp_path, database_url, ANY_SUM)
    async with till.spending():
        offer = await till.offer(single_use=False)
        for number in range(3):
            await theirs.result("sendinvoice", invreq=offer.bolt12, label=f"{number}")
        async with asyncio.timeout(10):
            while (await till.store.totals()).volume_out_msat < 3000:
                await asyncio.sleep(0.01)
        await till.until(offer, used=True, active=True)

        ended = await till.payouts.disable(CASHIER, offer.invreq_id)

    assert (ended.used, ended.active) == (True, False)
    # The paid amount keeps counting towards the daily limit.
    assert await till.offered() == 1000
    await till.close()


async def test_other_payments_of_the_node_are_left_alone(till: PayingTill, ours: Rpc, theirs: Rpc) -> None:
    made = await ours.result("invoicerequest", amount=1000, description="another's", label="x")
    async with till.spending():
        await theirs.result("sendinvoice", invreq=made["bolt12"], label="another's")
        mine = await till.offer()
        await theirs.result("sendinvoice", invreq=mine.bolt12, label="mine")
        await till.until(mine, used=True)

    assert await till.store.totals() == Totals(0, 0, 0, 1000)


async def start_and_hold(pair: Pair, theirs: Rpc, invreq: Invreq, label: str, seconds: int = 90) -> int:
    """Start a payment that stays in flight until it is released."""
    pair.ways["b"].hold("dev-htlc")
    sending = await theirs.start("sendinvoice", invreq=invreq.bolt12, label=label, timeout=seconds)
    await pair.ways["b"].waiting.acquire()
    return sending


async def test_a_request_is_not_disabled_while_a_payment_is_in_flight(
    till: PayingTill, pair: Pair, ours: Rpc, theirs: Rpc
) -> None:
    """Disabling then would crash the node permanently. Owner and expiry both wait for the payment."""
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    offer = await till.offer(absolute_expiry=expiry)
    other = await till.offer()
    async with till.spending():
        sending = await start_and_hold(pair, theirs, offer, "held")
        till.late = timedelta(hours=2)

        with pytest.raises(OnItsWay, match="in flight"):
            await till.payouts.disable(CASHIER, offer.invreq_id)
        await till.payouts.disable(CASHIER, other.invreq_id)
        await asyncio.sleep(0.1)
        assert (await till.read(offer)).active
        assert await till.statuses(offer, other) == ["being_paid", "disabled"]
        pair.ways["b"].release()

        assert (await theirs.reply_to(sending))["result"]["status"] == "paid"
        await till.until(offer, used=True, active=False)
    assert await till.statuses(offer) == ["used"]
    assert (await ours.result("getinfo"))["id"] == offer.node_id
    with pytest.raises(NotActive):
        await till.payouts.disable(CASHIER, offer.invreq_id)


async def test_a_payment_not_yet_settled_counts_as_in_flight(
    till: PayingTill, pair: Pair, theirs: Rpc
) -> None:
    """A payment that is not settled yet may have failed, and may be retried."""
    offer = await till.offer()
    await theirs.result("sendinvoice", invreq=offer.bolt12, label="x")
    async with asyncio.timeout(10):
        while await till.node.latest("updated", "sendpays") < 1:
            await asyncio.sleep(0.01)

    with pytest.raises(OnItsWay):
        await till.payouts.disable(CASHIER, offer.invreq_id)


async def test_after_a_failed_payment_a_single_use_request_is_disabled(
    till: PayingTill, pair: Pair, ours: Rpc, theirs: Rpc
) -> None:
    """The node could pay it twice from then on. Disabled when retries have ended; it no longer counts."""
    offer = await till.offer()
    async with till.spending():
        sending = await start_and_hold(pair, theirs, offer, "too late", seconds=2)
        pair.pass_time(3)
        pair.ways["b"].release()
        assert "error" in await theirs.reply_to(sending)
        async with asyncio.timeout(10):
            while (await till.read(offer)).failed_at is None:
                await asyncio.sleep(0.01)
        with pytest.raises(Unavailable, match="has failed"):
            await till.payouts.disable(CASHIER, offer.invreq_id)
        assert (await till.read(offer)).active
        assert await till.statuses(offer) == ["being_paid"]

        till.late = timedelta(seconds=80)
        await till.until(offer, active=False, used=False)
        assert await till.statuses(offer) == ["failed"]

    assert await at_node(ours) == {}
    assert await till.offered() == 0


async def test_expired_requests_are_disabled_at_the_next_start(till: PayingTill, ours: Rpc) -> None:
    """Unpaid requests no longer count."""
    expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    over, still = await till.offer(absolute_expiry=expiry), await till.offer()
    till.late = timedelta(hours=1)
    day = over.day

    async with till.spending():
        await till.until(over, active=False)
        assert await till.statuses(over, still) == ["expired", "active"]

    assert set(await at_node(ours)) == {still.id}
    assert await till.payouts.store.offered_msat(CASHIER.key_id, day) == 1000


async def test_a_request_disabled_at_the_node_is_not_active(till: PayingTill, ours: Rpc) -> None:
    offer = await till.offer()
    await ours.result("disableinvoicerequest", invreq_id=offer.invreq_id)

    with pytest.raises(NotActive):
        await till.payouts.disable(CASHIER, offer.invreq_id)

    assert not (await till.read(offer)).active
    assert await till.offered() == 0


async def test_a_request_of_another_node_is_not_disabled(
    till: PayingTill, pair: Pair, tmp_path: Path
) -> None:
    offer = await till.offer()
    await till.node.close()
    (tmp_path / "rpc").unlink()
    (tmp_path / "rpc").symlink_to(pair.rpc_file("b"))

    with pytest.raises(NodeOffline, match="another lightning node"):
        await till.payouts.disable(CASHIER, offer.invreq_id)

    assert (await till.read(offer)).active


async def test_a_node_that_has_forgotten_payments_is_read_from_the_start(
    till: PayingTill, theirs: Rpc
) -> None:
    """A node restored from an old backup reuses payment numbers that were already followed."""
    offer = await till.offer()
    await till.payouts.store.settle(offer.node_id, [], 100)

    async with till.spending():
        await theirs.result("sendinvoice", invreq=offer.bolt12, label="x")
        await till.until(offer, used=True)

    assert await till.payouts.store.updated_index(offer.node_id) == 1


def test_the_amount_of_one_request_has_a_limit() -> None:
    """The smaller of the two limits applies."""
    assert PayoutLimits(5000, 3000).most_msat == 3000
    assert PayoutLimits(5000, None).most_msat == 5000
    an_offer(amount_msat=5000).check_against(PayoutLimits(5000, None), NOON)


async def test_a_payment_during_a_disable_still_counts(
    till: PayingTill, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payment begins just before the disable, and completes while Till checks the outcome."""
    offered, node, is_on_its_way = await till.offer(), till.payouts.node, True
    find, disable = node.find, node.disable

    def seen() -> bool:
        nonlocal is_on_its_way
        was, is_on_its_way = is_on_its_way, False
        return was

    async def found(invreq_id: str) -> NodeInvreq:
        made = await find(invreq_id)
        assert made
        return replace(made, used=not seen())

    async def pending() -> list[PaymentPart]:
        return [PaymentPart(offered.invreq_id, "ab" * 32, 1, "pending", 0, None)] if seen() else []

    async def disabled(invreq_id: str) -> None:
        await disable(invreq_id)
        monkeypatch.setattr(node, "find", found)
        monkeypatch.setattr(node, "pending", pending)

    monkeypatch.setattr(node, "disable", disabled)

    await till.payouts.disable(CASHIER, offered.invreq_id)

    assert await till.offered() == 1000
