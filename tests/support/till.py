"""The parts of a Till without its servers: store, node, hub and services."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.databases import sqlite_database
from tests.support.samples import DAKK, PLENTY, an_order, any_url
from tilld.auth.caller import Caller
from tilld.auth.limits import Allowance, Limits
from tilld.config import USUAL, Intervals, Pauses
from tilld.events.feed import Feed
from tilld.events.follower import LogFollower
from tilld.events.service import Events
from tilld.invoices.follower import Follower
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import Invoice, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.service import Invoices
from tilld.lists.service import InvoiceLists
from tilld.sent_invoices.attempt import SendTerms, Sent
from tilld.sent_invoices.lightningd import SentInvoiceNode
from tilld.sent_invoices.repository import AttemptStore
from tilld.sent_invoices.service import SentInvoices
from tilld.storage.database import open_database
from tilld.storage.nodes import NodeStore

# No sweep runs during a test. A first attempt takes a tenth of the usual time, because tests wait for it.
CALM = USUAL._replace(first_attempt_seconds=2)
# All repeated work runs within milliseconds.
FAST = CALM._replace(
    retry=Pauses(0.001, 0.01),
    sweep_seconds=0.02,
    unable_seconds=0.01,
    recovery_seconds=0.1,
    young_seconds=0,
    settling_seconds=0,
)


class Parts:
    """A store, and a connection to the node whose socket is in the directory; `late` moves the clock."""

    def __init__(
        self,
        directory: Path,
        database: str | None = None,
        allowance: Allowance = PLENTY,
        rpc: str = "rpc",
        intervals: Intervals = CALM,
    ) -> None:
        self.intervals = intervals
        opened = open_database(database or sqlite_database(directory / "till.db"))
        self.store = Store(opened, intervals=intervals)
        self.node = InvoiceNode(directory / rpc, intervals=intervals)
        self.sent_node = SentInvoiceNode(self.node)
        self.attempts = AttemptStore(self.store)
        self.hub = Hub()
        self.feed = Feed()
        self.log_follower = LogFollower(self.store, self.feed, self.hub, intervals)
        self.late = timedelta(0)
        limits = Limits(allowance)
        self.invoicing = Invoices(
            self.store, self.node, self.hub, limits, self.attempts.has_label, any_url, self._now, intervals
        )
        self.events = Events(self.store, self.feed, limits)
        self.log = self.events.log
        self.lists = InvoiceLists(self.store, self.node, limits, self._now)
        self.collecting = SentInvoices(
            self.store, self.attempts, self.sent_node, self.hub, limits, self._now, intervals
        )

    def _now(self) -> datetime:
        return datetime.now(UTC) + self.late

    async def create(self, **fields: Any) -> Invoice:
        """Create an invoice."""
        return (await self.invoicing.create(DAKK, an_order(**fields))).invoice

    async def send(self, invreq: str, caller: Caller = DAKK, **fields: Any) -> Sent:
        """Send an invoice for an invoice request."""
        order = {"label": "x", "amount_msat": None, "timeout": None, "quantity": None, "metadata": None}
        given = {"invreq": invreq, "key_type": caller.type} | order | fields
        return await self.collecting.send(caller, SendTerms.checked(**given))

    async def status(self, invoice: Invoice) -> Status:
        """Return the status of an invoice in the store."""
        found = await self.store.get(invoice.invoice_id)
        assert found
        return found.status

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Follower]:
        """Run a follower of the node, and that of the event log, until the context ends."""
        follower = Follower(self.node, self.store, self._now, self.intervals)
        async with self.reading_events(), running(follower.run()):
            yield follower

    @asynccontextmanager
    async def reading_events(self) -> AsyncIterator[None]:
        """Run the follower of the event log, which notifies watchers, until the context ends."""
        async with running(self.log_follower.run()):
            yield

    async def followed(self, node_id: str, updated_index: int) -> None:
        """Wait until the store's cursor for a node has reached an index."""
        async with asyncio.timeout(10):
            while await NodeStore(self.store).updated_index(node_id, "invoices") < updated_index:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Close the node and the store."""
        await self.collecting.stop()
        await self.node.close()
        await self.store.close()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run background work until the context ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
