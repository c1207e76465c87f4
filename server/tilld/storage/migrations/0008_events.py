"""The event log. Earlier changes are not in it."""

import time

from peewee import SQL, BigIntegerField, CharField, CompositeKey, Model, SqliteDatabase, TextField
from playhouse.migrate import migrate


def up(migrator, db):
    class EventLogs(Model):
        username = CharField(primary_key=True)
        sequence = BigIntegerField()
        removed = BigIntegerField()
        imported = BigIntegerField()

        class Meta:
            database = db
            table_name = "event_logs"
            without_rowid = isinstance(db, SqliteDatabase)

    class Events(Model):
        position = BigIntegerField(unique=True)
        username = CharField()
        sequence = BigIntegerField()
        id = CharField(25)
        type = CharField(32)
        subject = CharField(64)
        detail = TextField()
        recorded_at = BigIntegerField()

        class Meta:
            database = db
            primary_key = CompositeKey("username", "sequence")
            table_name = "events"
            without_rowid = isinstance(db, SqliteDatabase)

    class Till(Model):
        log_began_at = BigIntegerField()

        class Meta:
            database = db
            primary_key = False
            table_name = "till"

    db.create_tables([EventLogs, Events])
    ended = Events.index(
        Events.subject,
        name="events_ended_subject",
        where=SQL("type IN ('invoice.expired', 'invoice.canceled')"),
    )
    db.execute(ended)
    column = BigIntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    migrate(migrator.add_column("till", "log_began_at", column, allow_not_null=True))
    Till.update(log_began_at=time.time_ns() // 1_000_000).execute()
