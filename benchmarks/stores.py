"""Stores filled with invoices of all states and two types, by Till's own statements."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random

import peewee

from benchmarks.stand_in import AMOUNT_MSAT, BOLT11, NODE_ID
from tilld.auth.caller import Creator
from tilld.errors import OperatorError
from tilld.formats.ids import derived_public_id
from tilld.invoices.invoice import Invoice, IssuedInvoice, Payment, Status
from tilld.invoices.terms import InvoiceTerms
from tilld.invoices.transactions import InvoiceTransactions
from tilld.runtime.progress import Progress
from tilld.storage.database import close_database, open_database

METADATA = '{"type":"shop","order":"8f14e45f"}'
AT_ONCE = 1000
ORDER = InvoiceTerms(AMOUNT_MSAT, "a coffee", 30 * 86400, METADATA, None)
# Seconds from one invoice to the next: open invoices must not expire, and a million take a year.
APART = timedelta(seconds=30)
UNTIL_PAID = timedelta(minutes=1)
# Invoices of each customer, all over the store.
PER_CUSTOMER = 125


def fill(url: str, creator: Creator, count: int, are_open: int) -> None:
    """Fill an empty store; the last `are_open` invoices are unpaid, half of the others are paid.

    Raises OperatorError if the store has invoices already.
    """
    database = open_database(url)
    try:
        transactions = InvoiceTransactions(database, b"")
        if transactions.rows(transactions.sql.after_id(id="", limit=1)):
            raise OperatorError("the database has invoices; the benchmark needs an empty one")
        if isinstance(database, peewee.SqliteDatabase):
            # Data lost in a crash is simply recreated; and random keys need the whole index in memory.
            database.pragma("synchronous", "off")
            database.pragma("cache_size", -1024 * 1024)
        begun = datetime.now(UTC).replace(microsecond=0) - count * APART
        with Progress(f"creating a store of {count} invoices", count) as progress:
            for start in range(0, count, AT_ONCE):
                numbers = range(start, min(start + AT_ONCE, count))
                transactions.add(
                    [
                        (
                            _invoice(creator, at, count, begun + at * APART, is_open=at >= count - are_open),
                            None,
                        )
                        for at in numbers
                    ]
                )
                progress.at(numbers.stop)
        if isinstance(database, peewee.SqliteDatabase):
            database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[no-untyped-call]
    finally:
        close_database(database)


def invoice_id(number: int) -> str:
    """Return the public id of an invoice by its number."""
    return derived_public_id(b"benchmark", str(number))


def payment_hash(number: int) -> str:
    """Return the payment hash of an invoice by its number."""
    return sha256(f"benchmark {number}".encode()).hexdigest()


def label(number: int) -> str:
    """Return the label of an invoice by its number."""
    return f"order-{number:07}"


def customer(number: int, count: int) -> str:
    """Return the member "customer" of an invoice in a store of this size."""
    return f"c{number % (count // PER_CUSTOMER)}"


def many(count: int) -> Sequence[int]:
    """Return distinct invoice numbers from all over a store, in a fixed random order."""
    return Random(1).sample(range(count), min(count, 50_000))


def _invoice(creator: Creator, number: int, count: int, created_at: datetime, *, is_open: bool) -> Invoice:
    kind = "shop" if number % 3 else "cafe"
    metadata = f'{{"type":"{kind}","order":"{number:08x}","customer":"{customer(number, count)}"}}'
    order = replace(ORDER, metadata=metadata, label=label(number))
    paid_hash = payment_hash(number)
    issued = IssuedInvoice(NODE_ID, paid_hash, BOLT11, created_at + timedelta(seconds=ORDER.expiry))
    invoice = Invoice.opened(invoice_id(number), creator, order, issued)
    if is_open:
        return invoice
    if number % 2:
        return invoice._replace(status=(Status.EXPIRED, Status.CANCELED)[number // 2 % 2])
    preimage = paid_hash[::-1]
    payment = Payment(number + 1, AMOUNT_MSAT, created_at + UNTIL_PAID, preimage)
    return invoice._replace(status=Status.PAID, payment=payment)
