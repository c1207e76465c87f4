"""A tilld that is killed at a chosen point: python -m tests.support.killed POINT PASSES run …

The process sends itself SIGKILL when it reaches the point for the PASSES-th time.
"""

import functools
import inspect
import itertools
import os
import signal
import sys
from typing import Any

from tilld.cli import main
from tilld.event_log.transactions import LogTransactions
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.transactions import InvoiceTransactions
from tilld.sent_invoices.lightningd import SentInvoiceNode
from tilld.sent_invoices.repository import AttemptStore

# Each point is a method, and True for a kill before the call or False for a kill after it.
POINTS = {
    "before the node call": (InvoiceNode, "invoice", True),
    "between node and store": (InvoiceNode, "invoice", False),
    "between store and reply": (Store, "add", False),
    "within a batch": (InvoiceTransactions, "add_to_totals", True),
    "between a change and its events": (LogTransactions, "add", True),
    "between settling and telling": (Store, "settle", False),
}
# The same for sent invoices.
SENDING = {
    "before an attempt is written down": (AttemptStore, "reserve", True),
    "before the node is told to send": (SentInvoiceNode, "send", True),
    "when an invoice was sent and paid": (SentInvoiceNode, "send", False),
    "before what was sent is in the store": (AttemptStore, "add", True),
    "between the invoice and its outcome": (AttemptStore, "end", True),
    "between the outcome and the reply": (AttemptStore, "end", False),
}


def kill_at(point: str, passes: int) -> None:
    """Patch the method of a point, so that it kills the process on the given pass."""
    owner, name, is_before = (POINTS | SENDING)[point]
    method = getattr(owner, name)
    count = itertools.count(1)

    def arrive() -> None:
        if next(count) == passes:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(method)
    def killing(*arguments: Any, **named: Any) -> Any:
        if is_before:
            arrive()
        return method(*arguments, **named)

    @functools.wraps(method)
    async def killing_after(*arguments: Any, **named: Any) -> Any:
        done = await method(*arguments, **named)
        arrive()
        return done

    assert is_before or inspect.iscoroutinefunction(method)
    setattr(owner, name, killing if is_before else killing_after)


if __name__ == "__main__":
    _, chosen, number, *sys.argv[1:] = sys.argv
    kill_at(chosen, int(number))
    main()
