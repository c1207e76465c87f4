"""Webhooks: the delay of an event, what they add to a create, and deliveries after an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc.aio

from benchmarks import names, stores
from benchmarks.bench import Bench, Node, Subject
from benchmarks.figures import Figures
from benchmarks.load import percentile
from benchmarks.processes import cpu_seconds
from benchmarks.receiver import ACCEPTED
from benchmarks.till import Till, create_key
from benchmarks.webhooks import Owner, Receiver, receiving
from tilld.errors import OperatorError
from tilld.webhooks.outage import PATIENCE

PAYMENTS = 200
PAYMENTS_PER_SECOND = 40
CREATES_PER_SECOND = 20
# Creates with webhooks and without take turns of this length, so that a slower machine slows both.
CREATES_PER_TURN = 10
PER_USER = 16
HANGING = 50
# 100,000 would take two minutes in each round.
WAITING = 20_000
UNAVAILABLE = 503
PAID = "invoice.paid"


@asynccontextmanager
async def delivering(bench: Bench) -> AsyncIterator[list[Subject]]:
    """Measure the delay of events, creates beside webhooks, and events that waited."""
    shop = await bench.fresh_shop("webhooks", WAITING, are_open=2 * PAYMENTS)
    usernames = ["plain", "busy", *(f"hanging-{number}" for number in range(-(-HANGING // PER_USER)))]
    keys = [await create_key(shop.url, name, bench.directory / "key.log") for name in usernames]
    allowed = {"TILLD_WEBHOOK_ALLOW": "127.0.0.1"}
    async with (
        bench.node() as node,
        receiving(bench) as receiver,
        bench.till(shop, node.socket, allowed) as till,
        grpc.aio.insecure_channel(till.grpc) as channel,
    ):
        owner = Owner(till, channel, shop.key)
        plain, busy, *hanging = (Owner(till, channel, key) for key in keys)
        first, second = (range(WAITING - many * PAYMENTS, WAITING - (many - 1) * PAYMENTS) for many in (2, 1))
        turns = Turns(plain, busy, receiver)
        yield [
            Subject(names.BARE_POST, lambda seconds: _bare(bench, receiver, seconds)),
            Subject(names.DELIVERED, lambda _: _of_webhook(owner, node, receiver, first)),
            Subject(names.DELIVERED_OF_CREATE, lambda _: _of_creates(owner, node, receiver)),
            Subject(names.CREATE_WITHOUT_WEBHOOKS, turns.without),
            Subject(names.CREATE_WITH_WEBHOOKS, turns.beside),
            Subject(names.WAITED, lambda _: _waited(owner, receiver), names.BARE_POST),
            Subject(
                names.DELIVERED_BESIDE, lambda _: _beside_hanging(owner, hanging, node, receiver, second)
            ),
        ]


async def _bare(bench: Bench, receiver: Receiver, seconds: float) -> Figures:
    """Post to the receiver one by one with nothing else."""
    figures = await bench.bare("post", f"{receiver.url}/bare", str(seconds))
    await receiver.arrivals("/bare", 1)
    return figures


async def _of_webhook(owner: Owner, node: Node, receiver: Receiver, numbers: Sequence[int]) -> Figures:
    """Pay invoices of the owner of one webhook."""
    webhook_id = await owner.add(f"{receiver.url}/one", PAID)
    hashes = [stores.payment_hash(each) for each in numbers]
    ids = [stores.invoice_id(each) for each in numbers]
    figures = await _delays(owner.till, node, receiver, "/one", dict(zip(hashes, ids, strict=True)))
    await owner.delete(webhook_id)
    return figures


async def _of_creates(owner: Owner, node: Node, receiver: Receiver) -> Figures:
    """Pay invoices that have a webhook each."""
    made = [(await owner.create(f"{receiver.url}/each")).invoice for _ in range(PAYMENTS)]
    return await _delays(
        owner.till, node, receiver, "/each", {each.payment_hash: each.invoice_id for each in made}
    )


async def _beside_hanging(
    owner: Owner, hanging: Sequence[Owner], node: Node, receiver: Receiver, numbers: Sequence[int]
) -> Figures:
    """Pay while the receivers of other users hang."""
    await receiver.answer("/hanging", 0)
    for number in range(HANGING):
        await hanging[number // PER_USER].add(f"{receiver.url}/hanging")
    for each in hanging:
        await each.create()
    await receiver.arrivals("/hanging", HANGING)
    return await _of_webhook(owner, node, receiver, numbers)


async def _delays(till: Till, node: Node, receiver: Receiver, path: str, ids: dict[str, str]) -> Figures:
    """Pay at a steady pace; return the time from each report to the arrival of its event."""
    pids, paid_at = till.tilld["tilld"], {}
    used, started = cpu_seconds(pids), time.monotonic()
    for position, (payment_hash, invoice_id) in enumerate(ids.items()):
        await _until(started + position / PAYMENTS_PER_SECOND)
        paid_at[invoice_id] = await node.pay([payment_hash])
    arrivals = await receiver.arrivals(path, len(ids))
    used = cpu_seconds(pids) - used
    if {each.invoice_id for each in arrivals} != set(paid_at):
        raise OperatorError("the events that arrived are not those of the payments")
    took = sorted((each.at - paid_at[each.invoice_id]) * 1000 for each in arrivals)
    return {
        "p50_ms": percentile(took, 50),
        "p99_ms": percentile(took, 99),
        "last_ms": took[-1],
        "cpu_us_tilld": used / len(took) * 1e6,
    }


class Turns:
    """Creates at a fixed pace by two users in turn: one has no webhooks, the other as many as possible."""

    def __init__(self, plain: Owner, busy: Owner, receiver: Receiver) -> None:
        self._plain = plain
        self._busy = busy
        self._receiver = receiver
        self._beside: Figures = {}

    async def without(self, seconds: float) -> Figures:
        """Measure both; return the figures without webhooks."""
        for _ in range(PER_USER):
            await self._busy.add(f"{self._receiver.url}/busy")
        plain, busy = _Creates(self._plain), _Creates(self._busy)
        await self._plain.create()
        await self._busy.create()
        await self._receiver.arrivals("/busy", PER_USER)
        for _ in range(max(round(seconds * CREATES_PER_SECOND / CREATES_PER_TURN), 1)):
            await plain.take_turn()
            await busy.take_turn()
            await self._receiver.arrivals("/busy", PER_USER * CREATES_PER_TURN)
            busy.end_turn()
        self._beside = busy.figures()
        return plain.figures()

    async def beside(self, _: float) -> Figures:
        """Return the figures with webhooks."""
        return self._beside


class _Creates:
    """The creates of one user."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._took_ms: list[float] = []
        self._cpu = 0.0
        self._before = 0.0

    async def take_turn(self) -> None:
        self._before = self._used()
        started = time.monotonic()
        for position in range(CREATES_PER_TURN):
            await _until(started + position / CREATES_PER_SECOND)
            asked_at = time.monotonic()
            await self._owner.create()
            self._took_ms.append((time.monotonic() - asked_at) * 1000)
        self.end_turn()

    def end_turn(self) -> None:
        """Count the CPU time until now."""
        now = self._used()
        self._cpu, self._before = self._cpu + now - self._before, now

    def figures(self) -> Figures:
        ordered = sorted(self._took_ms)
        return {
            "p50_ms": percentile(ordered, 50),
            "p99_ms": percentile(ordered, 99),
            "cpu_us_tilld": self._cpu / len(ordered) * 1e6,
        }

    def _used(self) -> float:
        return cpu_seconds(self._owner.till.tilld["tilld"])


async def _waited(owner: Owner, receiver: Receiver) -> Figures:
    """Let a receiver accept all events of a log after it was unavailable."""
    await receiver.answer("/waited", UNAVAILABLE)
    webhook_id = await owner.add(f"{receiver.url}/waited")
    await owner.replay(webhook_id)
    # Fewer rejected events in a row are no outage, and are repeated beside later events.
    await receiver.arrivals("/waited", PATIENCE)
    await receiver.answer("/waited", ACCEPTED)
    pids = owner.till.tilld["tilld"]
    early = await receiver.arrivals("/waited", 1)
    used, started = cpu_seconds(pids), time.monotonic()
    arrivals = early + await receiver.arrivals("/waited", WAITING - len(early))
    took, used = time.monotonic() - started, cpu_seconds(pids) - used
    await owner.delete(webhook_id)
    sequences = [each.sequence for each in arrivals]
    if sequences != list(range(1, len(arrivals) + 1)):
        raise OperatorError(f"events that waited did not arrive in order, each once: {sequences[:9]}…")
    if len({each.event_id for each in arrivals}) < len(arrivals):
        raise OperatorError("two events arrived with the same id")
    count = len(arrivals) - len(early)
    return {"rate": count / took, "cpu_us_tilld": used / count * 1e6}


async def _until(at: float) -> None:
    await asyncio.sleep(max(at - time.monotonic(), 0))
