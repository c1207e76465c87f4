"""The tables of invoice requests and what was paid for them, and these as rows. Only the store uses them."""

from typing import Any

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, Model, TextField

from tilld.invreq import Invreq
from tilld.rows import Rows
from tilld.times import stored_time, unix_seconds


class Invreqs(Model):
    """A row for each invoice request. One that the node is not known to have has no invreq_id."""

    id = CharField(21, primary_key=True)
    invreq_id = CharField(64, null=True, unique=True)
    username = CharField()
    key_id = CharField(12)
    label = CharField(null=True)
    amount_msat = BigIntegerField()
    description = TextField()
    issuer = TextField(null=True)
    single_use = BooleanField()
    absolute_expiry = BigIntegerField(null=True)
    node_id = CharField(66)
    bolt12 = TextField()
    created_at = BigIntegerField()
    active = BooleanField()
    used = BooleanField()
    failed_at = BigIntegerField(null=True)

    class Meta:
        """A label is unique for each user; rows without one do not collide."""

        table_name = "invreqs"
        indexes = ((("username", "label"), True), (("username", "created_at", "id"), False))


class Payouts(Model):
    """A row for each part of a payment that was made for an invoice request; the sum is with its fee."""

    payment_hash = CharField(64)
    created_index = BigIntegerField()
    invreq = CharField(21)
    username = CharField()
    key_id = CharField(12)
    amount_sent_msat = BigIntegerField()
    paid_at = BigIntegerField()

    class Meta:
        """The node's index tells the parts apart."""

        table_name = "payouts"
        primary_key = CompositeKey("payment_hash", "created_index")


class Budgets(Model):
    """A row for each key and day (since 1970) with the sum of what it has offered."""

    key_id = CharField(12)
    day = BigIntegerField()
    msat = BigIntegerField()

    class Meta:
        """Its name."""

        table_name = "budgets"
        primary_key = CompositeKey("key_id", "day")


class PaymentCursors(Model):
    """A row for each node: how far the updates of its payments were followed."""

    node_id = CharField(66, primary_key=True)
    updated_index = BigIntegerField()

    class Meta:
        """Its name."""

        table_name = "payment_cursors"


def row_of_invreq(invreq: Invreq) -> tuple[Any, ...]:
    """An invoice request in the order of the table's columns."""
    return (
        invreq.id,
        invreq.invreq_id or None,
        invreq.username,
        invreq.key_id,
        invreq.label,
        invreq.amount_msat,
        invreq.description,
        invreq.issuer,
        invreq.single_use,
        invreq.absolute_expiry and unix_seconds(invreq.absolute_expiry),
        invreq.node_id,
        invreq.bolt12,
        unix_seconds(invreq.created_at),
        invreq.active,
        invreq.used,
        invreq.failed_at and unix_seconds(invreq.failed_at),
    )


def place_of(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what a user's list is sorted by, of a row that may be unreadable."""
    return row[12], row[0]


def invreq_of(row: tuple[Any, ...]) -> Invreq:
    """An invoice request from its row."""
    internal_id, invreq_id, *asked, single_use, expiry, node_id, bolt12, created_at = row[:13]
    active, used, failed_at = row[13:]
    facts = (
        bool(single_use),
        None if expiry is None else stored_time(expiry),
        node_id,
        bolt12,
        stored_time(created_at),
        bool(active),
        bool(used),
        None if failed_at is None else stored_time(failed_at),
    )
    return Invreq(*(internal_id, invreq_id or "", *asked, *facts))


INVREQS = Rows(Invreqs.id, invreq_of)
