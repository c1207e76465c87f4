"""Invoices sent for invoice requests of other nodes: each attempt."""

from peewee import BigIntegerField, CharField, CompositeKey, IntegerField, Model, TextField


def up(migrator, db):
    class Sendings(Model):
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
            database = db
            primary_key = CompositeKey("username", "label", "attempt")
            table_name = "sendings"

    # Attempts without outcome are few.
    Sendings.add_index(Sendings.created_at, where=Sendings.state == "sending")
    db.create_tables([Sendings])
