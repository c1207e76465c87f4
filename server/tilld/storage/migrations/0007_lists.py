"""Columns and indexes of lists, cancellations, preimages, and the counts of removed invoices."""

import json
from collections import defaultdict

from peewee import (
    SQL,
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    CompositeKey,
    Model,
    SqliteDatabase,
    TextField,
)
from playhouse.migrate import migrate

from tilld.formats.members import digest, members
from tilld.runtime.progress import Progress

ROWS = 1000


def up(migrator, db):
    is_local = isinstance(db, SqliteDatabase)

    class Invoices(Model):
        id = CharField(24, primary_key=True)
        username = CharField()
        label = CharField(null=True)
        metadata = TextField()
        type = TextField()
        expires_at = BigIntegerField()
        expired = BooleanField()
        status = CharField(8)
        pay_index = BigIntegerField(null=True)
        paid_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "invoices"

    class Members(Model):
        digest = BigIntegerField()
        id = CharField(24)

        class Meta:
            database = db
            primary_key = CompositeKey("digest", "id")
            table_name = "invoice_members"
            without_rowid = is_local

    class Cancellations(Model):
        payment_hash = CharField(64, primary_key=True)
        node_id = CharField(66)

        class Meta:
            database = db
            table_name = "cancellations"

    class RemovedInvoices(Model):
        username = CharField()
        key_id = CharField(12)
        invoices = BigIntegerField()

        class Meta:
            database = db
            primary_key = CompositeKey("username", "key_id")
            table_name = "removed_invoices"

    db.create_tables([Members, Cancellations, RemovedInvoices])
    type_column = TextField(default="", constraints=[SQL("DEFAULT ''")])
    status_column = CharField(8, default="unpaid", constraints=[SQL("DEFAULT 'unpaid'")])
    migrate(
        # The defaults of the columns avoid writing each row here.
        migrator.add_column("invoices", "type", type_column, allow_not_null=True),
        migrator.add_column("invoices", "status", status_column, allow_not_null=True),
        migrator.add_column("invoices", "payment_preimage", CharField(64, null=True)),
    )
    status = Case(
        None, [(Invoices.paid_at.is_null(is_null=False), "paid"), (Invoices.expired, "expired")], "unpaid"
    )
    # Peewee takes longer to build a statement of a thousand rows than the database to execute it.
    insert = f"INSERT INTO invoice_members (digest, id) VALUES ({db.param}, {db.param})"  # noqa: S608
    after, read = "", 0
    columns = (Invoices.id, Invoices.username, Invoices.metadata)
    pages = Invoices.select(*columns).order_by(Invoices.id).limit(ROWS).tuples()
    with Progress("preparing the invoices for lists", Invoices.select().count()) as progress:
        while page := list(pages.where(Invoices.id > after)):
            of_types, found = defaultdict(list), {}
            for invoice, username, metadata in page:
                kind, its_members = _read(metadata)
                of_types[kind].append(invoice)
                found |= dict.fromkeys((digest(username, each), invoice) for each in its_members)
            for kind, ids in of_types.items():
                Invoices.update(type=kind, status=status).where(Invoices.id.in_(ids)).execute()
            if found:
                db.cursor().executemany(insert, list(found))
            after = page[-1][0]
            read += len(page)
            progress.at(read)
    migrate(
        migrator.drop_index("invoices", "invoices_expires_at"),
        migrator.drop_column("invoices", "expired"),
    )
    is_paid = Invoices.paid_at.is_null(is_null=False)
    for index in (
        Invoices.index(Invoices.expires_at, where=SQL("status = 'unpaid'")),
        Invoices.index(
            Invoices.expires_at,
            name="invoices_ended_expires_at",
            where=SQL("status IN ('expired', 'canceled')"),
        ),
        Invoices.index(Invoices.username, Invoices.status, Invoices.id),
        Invoices.index(Invoices.username, Invoices.type, Invoices.status, Invoices.id),
        # SQLite prefers the older one of two indexes that seem equal.
        Invoices.index(
            Invoices.username, Invoices.type, Invoices.paid_at, Invoices.pay_index, Invoices.id, where=is_paid
        ),
        Invoices.index(Invoices.username, Invoices.paid_at, Invoices.pay_index, Invoices.id, where=is_paid),
    ):
        db.execute(index)
    if not is_local:
        # Byte order, in which the labels with a prefix are neighbours. SQLite's unique index has it already.
        label = SQL('label COLLATE "C"')
        db.execute(Invoices.index(Invoices.username, label, name="invoices_username_label_c"))


def _read(metadata):
    """Return the type and the searchable members of metadata; an unreadable row has none."""
    try:
        return str(json.loads(metadata)["type"]), members(metadata)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", []
