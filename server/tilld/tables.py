"""The tables, as Peewee models, and invoices as rows. Only the store reads and writes them."""

import json
from typing import Any

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, IntegerField, Model, TextField

from tilld.invoice import Invoice, Payment
from tilld.node_info import NodeInfo
from tilld.rows import Rows
from tilld.times import stored_time, unix_seconds


class Invoices(Model):
    """A row for each invoice. Times are seconds since 1970; a paid one has the last three columns."""

    id = CharField(24, primary_key=True)
    invoice_id = CharField(21, unique=True)
    username = CharField()
    key_id = CharField(12)
    label = CharField(null=True)
    amount_msat = BigIntegerField(null=True)
    description = TextField(null=True)
    metadata = TextField()
    node_id = CharField(66)
    payment_hash = CharField(64, unique=True)
    bolt11 = TextField()
    created_at = BigIntegerField()
    expires_at = BigIntegerField()
    expired = BooleanField()
    pay_index = BigIntegerField(null=True)
    amount_received_msat = BigIntegerField(null=True)
    paid_at = BigIntegerField(null=True)

    class Meta:
        """A label is unique for each user; rows without one do not collide."""

        table_name = "invoices"
        indexes = ((("username", "label"), True),)


class Nodes(Model):
    """A row for each node ever seen: how far its updates were followed, and its last getinfo."""

    id = CharField(66, primary_key=True)
    updated_index = BigIntegerField()
    info = TextField()
    seen_at = BigIntegerField()

    class Meta:
        """Its name."""

        table_name = "nodes"


class Keys(Model):
    """A row for each API key ever made; of the key itself only a hash. Scopes have spaces between them."""

    id = CharField(12, primary_key=True)
    digest = CharField(64)
    username = CharField()
    scopes = CharField()
    type = CharField(null=True)
    created_at = BigIntegerField()
    expires_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)

    class Meta:
        """Its name."""

        table_name = "keys"


class Tallies(Model):
    """A row for each key that did anything: its totals, kept in the transactions that change them."""

    username = CharField()
    key_id = CharField(12)
    invoices = BigIntegerField()
    open_invoices = BigIntegerField()
    volume_msat = BigIntegerField()
    volume_out_msat = BigIntegerField()

    class Meta:
        """Without a key it is an empty one."""

        table_name = "tallies"
        primary_key = CompositeKey("username", "key_id")


class Sendings(Model):
    """A row for each attempt to send an invoice; `node_label` is the invoice_id of what came of it."""

    username = CharField()
    key_id = CharField(12)
    label = CharField()
    attempt = IntegerField()
    node_id = CharField(66)
    node_label = CharField(21, unique=True)
    invreq = TextField()
    amount_msat = BigIntegerField(null=True)
    quantity = BigIntegerField(null=True)
    metadata = TextField()
    timeout = IntegerField()
    created_at = BigIntegerField()
    state = CharField(8)
    code = CharField(8)
    reason = TextField()

    class Meta:
        """Its name, and what each attempt is known by."""

        table_name = "sendings"
        primary_key = CompositeKey("username", "label", "attempt")


class Till(Model):
    """One row: the secret behind derived ids."""

    secret = CharField(64)

    class Meta:
        """Its name."""

        table_name = "till"


# The open ones, which are few.
Invoices.add_index(Invoices.expires_at, where=Invoices.paid_at.is_null() & ~Invoices.expired)
# Those of which the outcome is not known yet, which are few.
Sendings.add_index(Sendings.created_at, where=Sendings.state == "sending")


def row_of(invoice: Invoice) -> tuple[Any, ...]:
    """An invoice in the order of the table's columns."""
    payment = invoice.payment
    return (
        invoice.id,
        invoice.invoice_id,
        invoice.username,
        invoice.key_id,
        invoice.label,
        invoice.amount_msat,
        invoice.description,
        invoice.metadata,
        invoice.node_id,
        invoice.payment_hash,
        invoice.bolt11,
        unix_seconds(invoice.created_at),
        unix_seconds(invoice.expires_at),
        invoice.expired,
        payment and payment.pay_index,
        payment and payment.amount_received_msat,
        payment and unix_seconds(payment.paid_at),
    )


def invoice_of(row: tuple[Any, ...]) -> Invoice:
    """An invoice from its row. Raises ValueError for half a payment."""
    *asked, created_at, expires_at, expired, pay_index, amount_received_msat, paid_at = row
    payment = None
    if paid_at is not None:
        if pay_index is None or amount_received_msat is None:
            raise ValueError("paid_at is there without pay_index and amount_received_msat")
        payment = Payment(pay_index, amount_received_msat, stored_time(paid_at))
    return Invoice(*(*asked, stored_time(created_at), stored_time(expires_at), payment, bool(expired)))


INVOICES = Rows(Invoices.invoice_id, invoice_of, lambda invoice: invoice.type)
NODES = Rows(Nodes.id, lambda row: NodeInfo.from_json(json.loads(row[2])))


def compiled(query: Any) -> str:
    """The SQL of a query; its parameters come in the order in which it names columns."""
    text: str = query.sql()[0]
    return text
