"""Webhooks, and the deliveries that did not succeed immediately, beside the last that did."""

from peewee import (
    SQL,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    IntegerField,
    Model,
    SqliteDatabase,
    TextField,
)


def up(migrator, db):
    class Webhooks(Model):
        id = CharField(21, primary_key=True)
        username = CharField()
        key_id = CharField(12)
        url = TextField()
        types = TextField()
        metadata_type = TextField(null=True)
        scopes = CharField()
        invoice_id = CharField(21, null=True, unique=True)
        secret = TextField()
        old_secret = TextField(null=True)
        old_secret_until = BigIntegerField(null=True)
        enabled = BooleanField()
        disabled_reason = TextField()
        created_at = BigIntegerField()
        version = BigIntegerField()
        sequence = BigIntegerField()
        failing_since = BigIntegerField(null=True)
        owner = CharField(21)
        lease_until = BigIntegerField()

        class Meta:
            database = db
            table_name = "webhooks"
            indexes = ((("owner",), False),)
            without_rowid = isinstance(db, SqliteDatabase)

    class WebhookDeliveries(Model):
        webhook_id = CharField(21)
        sequence = BigIntegerField()
        event_id = CharField(25)
        type = CharField(32)
        state = CharField(9)
        attempts = IntegerField()
        first_attempt_at = BigIntegerField(null=True)
        next_attempt_at = BigIntegerField(null=True)
        last_attempt_at = BigIntegerField(null=True)
        last_milliseconds = BigIntegerField(null=True)
        last_status = IntegerField(null=True)
        last_error = TextField(null=True)

        class Meta:
            database = db
            table_name = "webhook_deliveries"
            primary_key = CompositeKey("webhook_id", "sequence")
            without_rowid = isinstance(db, SqliteDatabase)

    db.create_tables([Webhooks, WebhookDeliveries])
    of_users = Webhooks.index(
        Webhooks.username,
        Webhooks.created_at,
        Webhooks.id,
        name="webhooks_of_users",
        where=SQL("invoice_id IS NULL"),
    )
    of_open_invoices = Webhooks.index(
        Webhooks.id, name="webhooks_of_open_invoices", where=SQL("invoice_id IS NOT NULL AND sequence = 0")
    )
    pending = WebhookDeliveries.index(
        WebhookDeliveries.next_attempt_at, name="webhook_deliveries_pending", where=SQL("state = 'pending'")
    )
    for index in (of_users, of_open_invoices, pending):
        db.execute(index)
