"""Compares the store with the node, and settles invoices by the node's state."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from tilld.auth.caller import Creator
from tilld.config import USUAL, Intervals
from tilld.event_log.entry import LogAudit
from tilld.event_log.repository import EventLog
from tilld.invoices.invoice import Invoice, NodeInvoice
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.totals import Totals
from tilld.runtime.progress import Progress
from tilld.storage.nodes import NodeStore

# Differences that concurrent changes cause are transient. Repeated lookups remove them.
LOOKS = 3

Found = Mapping[str, NodeInvoice]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between an invoice and the node's invoice with this label."""

    what: str
    label: str
    payment_hash: str


@dataclass(slots=True)
class Report:
    """The compared ranges, the counts, and the differences.

    Ranges: the node's invoices by created index, its updates by updated index, the store's invoices by
    creation time.

    `deleted` counts invoices that are final in the store and gone at the node.

    `missing` lists invoices paid at the node under a label of Till's format, but absent from the store.

    `without_preimage` counts payments that were stored without their preimage; a repair adds it.

    `unpaid` counts such invoices without a payment; they are no difference. A crash between node and store
    leaves one that no caller saw, and a retry adopts it.
    """

    node_id: str
    created_index: int = 0
    updated_index: int = 0
    followed: int = 0
    invoices: int = 0
    first: datetime | None = None
    last: datetime | None = None
    of_other_nodes: int = 0
    deleted: int = 0
    unpaid: int = 0
    unreadable: int = 0
    without_preimage: int = 0
    missing: list[NodeInvoice] = field(default_factory=list)
    settled: list[Invoice] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    logs: list[LogAudit] = field(default_factory=list)
    totals: Mapping[Creator, Totals] = field(default_factory=dict)
    counted: Mapping[Creator, Totals] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """True if all rows were readable, no paid invoice and no event is missing, and nothing differs."""
        differs = self.differences or self.missing or self.unreadable or self.incomplete_logs
        return not differs and self.totals == self.counted

    @property
    def incomplete_logs(self) -> list[LogAudit]:
        """The event logs in which an event is missing. A repair does not invent events."""
        return [each for each in self.logs if not each.is_complete]


class Doctor:
    """Compares a store with its node, while both may be in use."""

    def __init__(self, store: Store, node: InvoiceNode, intervals: Intervals = USUAL) -> None:
        self._store = store
        self._node = node
        self._intervals = intervals

    async def examine(self, *, repair: bool) -> Report:
        """Compare all invoices, and the totals with their recount; `repair` applies the node's state.

        Raises NodeReplaced, NodeOffline, Unavailable.
        """
        report = Report(await self._node.identity())
        report.updated_index = await self._node.latest("updated")
        report.followed = await NodeStore(self._store).updated_index(report.node_id, "invoices")
        suspects, met = await self._read_node(report, repair=repair)
        suspects |= await self._read_store(report, met)
        for _ in range(LOOKS):
            if suspects:
                await asyncio.sleep(self._intervals.settling_seconds)
                report.differences = await self._look(report, suspects, repair=repair)
                suspects = {each.payment_hash for each in report.differences}
        report.logs = await EventLog(self._store).audit()
        report.totals, report.counted = await self._store.audit()
        if repair and report.totals != report.counted:
            await self._store.recount()
            report.totals, report.counted = await self._store.audit()
        return report

    async def _read_node(self, report: Report, *, repair: bool) -> tuple[set[str], set[bytes]]:
        """Return the payment hashes of apparent differences, and of invoices that both sides have."""
        suspects, met = set(), set()
        with Progress("reading the node's invoices", await self._node.latest("created")) as progress:
            while (
                page := await self._node.invoices(report.created_index)
            ).created_index > report.created_index:
                await self._node.check_is(report.node_id)
                hashes = [found.issued.payment_hash for found in page.invoices]
                stored = await self._stored(hashes)
                for found in page.invoices:
                    here = stored.get(found.issued.payment_hash)
                    if here and difference(here, found):
                        suspects.add(here.payment_hash)
                    if not here and found.is_labelled_by_till:
                        if found.seen.payment:
                            report.missing.append(found)
                        else:
                            report.unpaid += 1
                await self._complete(report, page.invoices, stored, repair=repair)
                met |= set(map(bytes.fromhex, stored))
                report.created_index = page.created_index
                progress.at(page.created_index)
        return suspects, met

    async def _complete(
        self, report: Report, page: list[NodeInvoice], stored: Mapping[str, Invoice], *, repair: bool
    ) -> None:
        """Count the payments of a page that lack their preimage; `repair` adds it."""
        seen = [
            found.seen
            for found in page
            if (here := stored.get(found.issued.payment_hash)) and lacks_preimage(here, found)
        ]
        report.without_preimage += len(seen)
        if repair and seen:
            await self._store.add_preimages(seen)

    async def _read_store(self, report: Report, met: set[bytes]) -> set[str]:
        """Return the payment hashes of the store's invoices that the node did not list."""
        suspects, read = set(), 0
        with Progress("reading the store's invoices", (await self._store.totals()).invoices) as progress:
            async for page, unreadable in self._store.pages():
                report.unreadable += unreadable
                ours = [invoice for invoice in page if invoice.node_id == report.node_id]
                if ours:
                    report.first = report.first or ours[0].created_at
                    report.last = ours[-1].created_at
                report.invoices += len(ours)
                report.of_other_nodes += len(page) - len(ours)
                suspects |= {
                    each.payment_hash for each in ours if bytes.fromhex(each.payment_hash) not in met
                }
                read += len(page) + unreadable
                progress.at(read)
        return suspects

    async def _look(self, report: Report, suspects: set[str], *, repair: bool) -> list[Difference]:
        """Look the suspects up again, and return the remaining differences."""
        differences, looked_at = [], 0
        are_few = len(suspects) <= self._intervals.looked_up_at_once
        again = self._look_up(suspects) if are_few else self._list(suspects)
        with Progress("checking the differences again", len(suspects)) as progress:
            async for hashes, found in again:
                await self._node.check_is(report.node_id)
                if repair:
                    seen = [each.seen for each in found.values()]
                    report.settled += await self._store.settle(report.node_id, seen)
                for payment_hash, here in (await self._stored(hashes)).items():
                    there = found.get(payment_hash)
                    report.deleted += here.is_final and not there
                    if differs := difference(here, there):
                        differences.append(differs)
                looked_at += len(hashes)
                progress.at(looked_at)
        return differences

    async def _look_up(self, suspects: set[str]) -> AsyncIterator[tuple[list[str], Found]]:
        """Yield payment hashes with the node's invoices, with one lookup for each hash."""
        looked_up = await asyncio.gather(*map(self._node.find_by_payment_hash, suspects))
        yield list(suspects), {each.issued.payment_hash: each for each in looked_up if each}

    async def _list(self, suspects: set[str]) -> AsyncIterator[tuple[list[str], Found]]:
        """Yield payment hashes with the node's invoices, by listing all invoices of the node."""
        left, after = set(suspects), 0
        while (page := await self._node.invoices(after)).created_index > after:
            found = {
                each.issued.payment_hash: each for each in page.invoices if each.issued.payment_hash in left
            }
            left.difference_update(found)
            if found:
                yield list(found), found
            after = page.created_index
        unlisted = iter(left)
        while hashes := list(islice(unlisted, self._intervals.store_page)):
            yield hashes, {}

    async def _stored(self, hashes: list[str]) -> dict[str, Invoice]:
        return {each.payment_hash: each for each in await self._store.get_by_payment_hashes(hashes)}


def difference(here: Invoice, there: NodeInvoice | None) -> Difference | None:
    """Return the difference between the store's invoice and the node's, or None."""
    what = ""
    if there is None:
        what = "" if here.is_final else "unpaid here, not at the node"
    elif (here.node_id, here.bolt11, here.amount_msat) != (
        there.issued.node_id, there.issued.bolt11, there.amount_msat
    ):  # fmt: skip
        what = "another payment request at the node"
    elif here.status != there.seen.status:
        what = f"{here.status} here, {there.seen.status} at the node"
    elif here.payment != there.seen.payment and not lacks_preimage(here, there):
        what = "another payment at the node"
    return Difference(what, here.invoice_id, here.payment_hash) if what else None


def lacks_preimage(here: Invoice, there: NodeInvoice) -> bool:
    """Return whether only the preimage of the node's payment is missing in the store."""
    payment = there.seen.payment
    return payment is not None and here.payment == payment._replace(payment_preimage=None) != payment
