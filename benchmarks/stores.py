"""Stores filled with invoices, most of them paid, by Till's own statements."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random

import peewee

from benchmarks.stand_in import AMOUNT_MSAT, BOLT11, NODE_ID
from tilld.auth.caller import Creator
from tilld.errors import OperatorError
from tilld.formats.ids import derived_public_id
from tilld.invoices.invoice import Invoice, IssuedInvoice, Payment
from tilld.invoices.terms import InvoiceTerms
from tilld.invoices.transactions import InvoiceTransactions
from tilld.runtime.progress import Progress
from tilld.storage.database import close_database, open_database

METADATA = '{"type":"shop","order":"8f14e45f"}'
AT_ONCE = 1000
ORDER = InvoiceTerms(AMOUNT_MSAT, "a coffee", 30 * 86400, METADATA, None)


def fill(url: str, creator: Creator, count: int, are_open: int) -> None:
    """Fill an empty store with invoices; the last `are_open` of them are unpaid.

    Raises OperatorError if the store has invoices already.
    """
    database = open_database(url)
    try:
        transactions = InvoiceTransactions(database)
        if transactions.rows(transactions.sql.after_id(id="", limit=1)):
            raise OperatorError("the database has invoices; the benchmark needs an empty one")
        if isinstance(database, peewee.SqliteDatabase):
            # Data lost in a crash is simply recreated; and random keys need the whole index in memory.
            database.pragma("synchronous", "off")
            database.pragma("cache_size", -1024 * 1024)
        with Progress(f"creating a store of {count} invoices", count) as progress:
            for start in range(0, count, AT_ONCE):
                numbers = range(start, min(start + AT_ONCE, count))
                transactions.add(
                    [_invoice(creator, each, is_paid=each < count - are_open) for each in numbers]
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


def many(count: int) -> Sequence[int]:
    """Return distinct invoice numbers from all over a store, in a fixed random order."""
    return Random(1).sample(range(count), min(count, 50_000))


def _invoice(creator: Creator, number: int, *, is_paid: bool) -> Invoice:
    now = datetime.now(UTC).replace(microsecond=0)
    issued = IssuedInvoice(NODE_ID, payment_hash(number), BOLT11, now + timedelta(seconds=ORDER.expiry))
    invoice = Invoice.opened(invoice_id(number), creator, ORDER, issued)
    return invoice._replace(payment=Payment(number + 1, AMOUNT_MSAT, now)) if is_paid else invoice
