"""Tables of invoices, nodes and the Till."""

import secrets

from peewee import BigIntegerField, BooleanField, CharField, Model, TextField


def up(migrator, db):
    class Invoices(Model):
        id = CharField(24, primary_key=True)
        invoice_id = CharField(21, unique=True)
        username = CharField()
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
            database = db
            table_name = "invoices"
            indexes = ((("username", "label"), True),)

    class Nodes(Model):
        id = CharField(66, primary_key=True)
        updated_index = BigIntegerField()
        info = TextField()
        seen_at = BigIntegerField()

        class Meta:
            database = db
            table_name = "nodes"

    class Till(Model):
        invoices = BigIntegerField()
        volume_msat = BigIntegerField()
        secret = CharField(64)

        class Meta:
            database = db
            table_name = "till"

    # Open invoices are few.
    Invoices.add_index(Invoices.expires_at, where=Invoices.paid_at.is_null() & ~Invoices.expired)
    db.create_tables([Invoices, Nodes, Till])
    Till.create(invoices=0, volume_msat=0, secret=secrets.token_hex(32))
