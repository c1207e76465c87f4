"""A tilld that is killed at a chosen point: python -m tests.support.killed POINT PASSES run …

The process sends itself SIGKILL when it reaches the point for the PASSES-th time. With 0 it is killed when it
first reaches the point after SIGUSR1.
"""

import functools
import inspect
import itertools
import os
import signal
import sys
import threading
from typing import Any

from tilld.cli import main
from tilld.event_log.transactions import LogTransactions
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.invoices.transactions import InvoiceTransactions
from tilld.sent_invoices.lightningd import SentInvoiceNode
from tilld.sent_invoices.repository import AttemptStore
from tilld.webhooks.attempts import Attempts
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.transactions import WebhookTransactions

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
# The same for webhooks. Their place in line is stored some time after an answer, other attempts immediately.
WEBHOOKS = {
    "between an event and its webhook": (Attempts, "post", True),
    "between the answer and the store": (WebhookTransactions, "_advance_webhook", True),
    "when the place in line is stored": (WebhookStore, "advance", False),
    "when an attempt is stored": (WebhookStore, "attempted", False),
}


def program(point: str, passes: int = 0) -> tuple[str, ...]:
    """Return the module that is killed at a point, and its arguments before those of tilld."""
    return "tests.support.killed", point, str(passes)


def kill_at(point: str, passes: int) -> None:
    """Patch the method of a point, so that it kills the process on the given pass."""
    owner, name, is_before = (POINTS | SENDING | WEBHOOKS)[point]
    method = getattr(owner, name)
    count = itertools.count(1)
    armed = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: armed.set())

    def arrive() -> None:
        if next(count) == passes or armed.is_set():
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
