"""Imports the node's invoices of other applications into the store, where Till follows them."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from tilld.formats import bolt11
from tilld.invoices.invoice import Invoice, NodeInvoice, Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.terms import MAX_DESCRIPTION_BYTES
from tilld.runtime.progress import Progress

log = structlog.get_logger()


@dataclass(slots=True)
class Imported:
    """The counts of an import, up to a created index of the node.

    `passed_over` counts invoices of offers, invoices that a Till created, old unpaid ones, and invoices that
    the store cannot hold. The log names the last kind.
    """

    created_index: int = 0
    added: int = 0
    there_before: int = 0
    passed_over: int = 0


class Importing:
    """Reads the node's invoices page by page, and adds each page in one transaction.

    Existing invoices stay, and are settled by the node's state. A later run therefore completes an
    interrupted one.

    `lost_store` also imports invoices that a Till created, under their ids. Without it they stay for the
    retry of the Till that knows their owners.

    Unpaid invoices that expired before `expired_since` are skipped: Till would remove them again.
    """

    def __init__(
        self,
        store: Store,
        node: InvoiceNode,
        username: str,
        kind: str,
        *,
        lost_store: bool,
        expired_since: datetime | None = None,
    ) -> None:
        self._store = store
        self._node = node
        self._username = username
        self._kind = kind
        self._lost_store = lost_store
        self._expired_since = expired_since
        self.imported = Imported()

    async def run(self) -> None:
        """Import all invoices for a user, with metadata of one type; `imported` holds the progress.

        Raises NodeReplaced, NodeOffline, Unavailable.
        """
        node_id = await self._node.identity()
        told = self.imported
        with Progress("importing the node's invoices", await self._node.latest("created")) as progress:
            while (page := await self._node.invoices(told.created_index)).created_index > told.created_index:
                await self._node.check_is(node_id)
                await self._import(node_id, page.invoices)
                told.passed_over += page.passed_over
                told.created_index = page.created_index
                progress.at(page.created_index)
        await self._store.end_import(self._username)

    async def _import(self, node_id: str, page: list[NodeInvoice]) -> None:
        hashes = [found.issued.payment_hash for found in page]
        before = await self._here(hashes)
        wanted = [
            found for found in page if found.issued.payment_hash not in before and self._is_wanted(found)
        ]
        invoices = [each for found in wanted if (each := await self._invoice(found))]
        await self._store.adopt(invoices)
        holdable = {each.payment_hash for each in invoices}
        here = await self._here(hashes)
        for found in wanted:
            if found.issued.payment_hash in holdable.difference(here):
                log.warning("invoice not imported: its label is in use in the store", label=found.label)
        # The follower ignores a payment between listing and adding, since the store lacks the invoice. A
        # second lookup finds that payment.
        added = [each for each in here if each not in before]
        again = await asyncio.gather(*map(self._node.find_by_payment_hash, added))
        seen = [each.seen for each in (*page, *again) if each]
        await self._store.settle(node_id, seen)
        self.imported.there_before += len(before)
        self.imported.added += len(added)
        self.imported.passed_over += len(page) - len(here)

    def _is_wanted(self, found: NodeInvoice) -> bool:
        is_old = self._expired_since is not None and found.issued.expires_at < self._expired_since
        if is_old and found.seen.status is not Status.PAID:
            return False
        if found.is_labelled_by_till:
            return self._lost_store
        # Invoices of offers belong to other applications.
        return not found.issued.is_bolt12

    async def _here(self, hashes: list[str]) -> list[str]:
        return [each.payment_hash for each in await self._store.get_by_payment_hashes(hashes)]

    async def _invoice(self, found: NodeInvoice) -> Invoice | None:
        try:
            description = await self._description(found)
            return Invoice.imported(self._username, self._kind, found, description, self._store.secret)
        except ValueError as reason:
            log.warning("invoice not imported", label=found.label, reason=str(reason))
            return None

    async def _description(self, found: NodeInvoice) -> str | None:
        asked = bolt11.read(found.issued.bolt11)
        if asked.description_hash is None:
            return asked.description
        description = await self._node.description(found.issued.payment_hash)
        return description if len((description or "").encode()) <= MAX_DESCRIPTION_BYTES else None
