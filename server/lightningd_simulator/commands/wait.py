"""The command that waits until a subsystem's index reaches a value."""

import asyncio
from collections.abc import Awaitable, Callable

from lightningd_simulator.commands.invoices import details as invoice_details
from lightningd_simulator.indexes import IndexName
from lightningd_simulator.node import Node
from lightningd_simulator.payment_ledger import PaymentChange
from lightningd_simulator.rpc.answers import Result
from lightningd_simulator.waiters import AnyChange

SUBSYSTEMS = ("invoices", "sendpays")


def wait(node: Node, *, subsystem: str, indexname: IndexName, nextvalue: int) -> Result | Awaitable[Result]:
    """Wait until an index reaches a value."""
    counts = (node.ledger if subsystem == "invoices" else node.spending).counts
    if counts[indexname] >= nextvalue:
        return {"subsystem": subsystem, indexname: counts[indexname]}
    if subsystem == "invoices":
        return _told(subsystem, node.waiters.for_index(indexname, nextvalue), invoice_details)
    return _told(subsystem, node.payment_waiters.for_index(indexname, nextvalue), _payment_details)


async def _told(
    subsystem: str, waiting: asyncio.Future[AnyChange], tell: Callable[[AnyChange], Result]
) -> Result:
    change = await waiting
    details = tell(change)
    return {"subsystem": subsystem, change.index: change.number, "details": details, subsystem: details}


def _payment_details(change: PaymentChange) -> Result:
    started = change.payment.started
    return {
        "status": change.payment.status,
        "partid": 1,
        "groupid": started.groupid,
        "payment_hash": started.payment_hash,
    }
