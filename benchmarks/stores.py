"""Stores that have been at work: so many invoices, most of them paid, made by Till's own statements."""

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
    """Put invoices into an empty store; the last `are_open` of them are not paid yet.

    Raises OperatorError where there are some already.
    """
    database = open_database(url)
    try:
        transactions = InvoiceTransactions(database)
        if transactions.rows(transactions.sql.after_id(id="", limit=1)):
            raise OperatorError("the benchmark fills a store itself: give it an empty database")
        if isinstance(database, peewee.SqliteDatabase):
            # What is lost in a crash is made anew; and keys in no order need the whole index at hand.
            database.pragma("synchronous", "off")
            database.pragma("cache_size", -1024 * 1024)
        with Progress(f"making a store of {count} invoices", count) as progress:
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
    """The public id of the invoice that was put in as this one."""
    return derived_public_id(b"benchmark", str(number))


def payment_hash(number: int) -> str:
    """Its payment hash."""
    return sha256(f"benchmark {number}".encode()).hexdigest()


def many(count: int) -> Sequence[int]:
    """Numbers of invoices all over a store: always the same, in no order, each once."""
    return Random(1).sample(range(count), min(count, 50_000))


def _invoice(creator: Creator, number: int, *, is_paid: bool) -> Invoice:
    now = datetime.now(UTC).replace(microsecond=0)
    issued = IssuedInvoice(NODE_ID, payment_hash(number), BOLT11, now + timedelta(seconds=ORDER.expiry))
    invoice = Invoice.opened(invoice_id(number), creator, ORDER, issued)
    return invoice._replace(payment=Payment(number + 1, AMOUNT_MSAT, now)) if is_paid else invoice
