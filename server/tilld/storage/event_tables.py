"""The tables of the event log, as Peewee models. Only repositories use them."""

from peewee import SQL, BigIntegerField, CharField, CompositeKey, Model, TextField


class EventLogTable(Model):
    """The log of a user's events, or with an empty name that of all users.

    `sequence` is that of the newest event, `removed` that of the last one that was removed. `imported` counts
    invoices of imports that have no event yet.
    """

    username = CharField(primary_key=True)
    sequence = BigIntegerField()
    removed = BigIntegerField()
    imported = BigIntegerField()

    class Meta:
        """The name of the table."""

        table_name = "event_logs"


class EventTable(Model):
    """An event: a reference to what changed, and what that does not tell later.

    `position` is the sequence in the log of all users. `recorded_at` is in milliseconds since 1970.
    """

    position = BigIntegerField(unique=True)
    username = CharField()
    sequence = BigIntegerField()
    id = CharField(25)
    type = CharField(32)
    subject = CharField(64)
    detail = TextField()
    recorded_at = BigIntegerField()

    class Meta:
        """Sequences are unique for each user. SQLite stores a user's events in their order."""

        table_name = "events"
        primary_key = CompositeKey("username", "sequence")


# The end of an invoice, which stays in the store as long as the event.
EventTable.add_index(
    EventTable.subject,
    name="events_ended_subject",
    where=SQL("type IN ('invoice.expired', 'invoice.canceled')"),
)
