"""The tables of webhooks, as Peewee models. Only repositories use them.

Times are milliseconds since 1970.
"""

from peewee import SQL, BigIntegerField, BooleanField, CharField, CompositeKey, IntegerField, Model, TextField


class WebhookTable(Model):
    """A URL that receives the events of a user, or with `invoice_id` the final state of one invoice.

    `sequence` is that of the last event that is no longer in line; 0 for an open invoice. `version` counts
    the changes by callers. A process sends the events while its lease lasts: `owner` is its name.
    """

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
        """A process finds its webhooks by the owner."""

        table_name = "webhooks"
        indexes = ((("owner",), False),)


class DeliveryTable(Model):
    """The delivery of an event that did not succeed at the first attempt, or is among the last that did."""

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
        """Deliveries are listed by event."""

        table_name = "webhook_deliveries"
        primary_key = CompositeKey("webhook_id", "sequence")


# Webhooks of users are few beside those of invoices, and open invoices are few beside the others.
WebhookTable.add_index(
    WebhookTable.username,
    WebhookTable.created_at,
    WebhookTable.id,
    name="webhooks_of_users",
    where=SQL("invoice_id IS NULL"),
)
WebhookTable.add_index(
    WebhookTable.id, name="webhooks_of_open_invoices", where=SQL("invoice_id IS NOT NULL AND sequence = 0")
)
# Deliveries that are due are few.
DeliveryTable.add_index(
    DeliveryTable.next_attempt_at, name="webhook_deliveries_pending", where=SQL("state = 'pending'")
)
