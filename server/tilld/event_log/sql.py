"""SQL statements of the event log."""

from functools import cache

import peewee

from tilld.event_log.entry import Entry, EventType
from tilld.formats.times import milliseconds, utc_of_milliseconds
from tilld.storage.event_tables import EventLogTable, EventTable
from tilld.storage.mapper import Conversion
from tilld.storage.rows import Rows
from tilld.storage.statements import Statement, compiled, param, param_list, whole_rows
from tilld.storage.tables import TillTable
from tilld.storage.webhook_tables import DeliveryTable, WebhookTable


class EventSQL:
    """Statements in the dialect of a database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx([EventLogTable, EventTable, TillTable, WebhookTable, DeliveryTable]):
            of_user = EventLogTable.username == param("username")
            bounds = EventLogTable.select(EventLogTable.sequence, EventLogTable.removed)
            self.bounds = compiled(bounds.where(of_user))
            events = EventTable.select()
            beyond = events.where(EventTable.position > param("after")).order_by(EventTable.position)
            self.after_position = compiled(beyond.limit(param("limit")))
            of_owner = (EventTable.username == param("username")) & (EventTable.sequence > param("after"))
            self.after_sequence = compiled(
                events.where(of_owner).order_by(EventTable.sequence).limit(param("limit"))
            )
            oldest = EventTable.select(EventTable.recorded_at).order_by(EventTable.position).limit(1)
            self.oldest_recorded_at = compiled(oldest)
            self.remove = compiled(EventTable.delete().where(EventTable.position <= param("position")))
            # The newest of a batch counts; replicas may remove the same events.
            is_news = of_user & (EventLogTable.removed < param("removed"))
            self.set_removed = compiled(EventLogTable.update(removed=param("removed")).where(is_news))
            imported = EventLogTable.select(EventLogTable.imported).where(of_user)
            self.imported = compiled(imported)
            more = EventLogTable.update(imported=EventLogTable.imported + param("count"))
            self.add_imported = compiled(more.where(of_user))
            self.audit = compiled(_audit())
            self.began_at = compiled(TillTable.select(TillTable.log_began_at))
            self._prepare_webhooks()
        self.advance = cache(self._advance)
        self.add = cache(self._add)
        self.webhooks_of_invoices = cache(self._webhooks_of_invoices)

    def _prepare_webhooks(self) -> None:
        has_id = WebhookTable.id == param("id")
        self.end_webhook = compiled(WebhookTable.update(sequence=param("sequence")).where(has_id))
        due = DeliveryTable.insert(
            webhook_id=param("id"),
            sequence=param("sequence"),
            event_id=param("event_id"),
            type=param("type"),
            state="pending",
            attempts=0,
            next_attempt_at=param("now"),
        )
        self.add_delivery = compiled(due.on_conflict_ignore())
        is_enabled = WebhookTable.enabled
        in_line = WebhookTable.select(WebhookTable.username, WebhookTable.sequence).where(
            is_enabled, WebhookTable.invoice_id.is_null()
        )
        pending = (
            DeliveryTable.select(WebhookTable.username, DeliveryTable.sequence - peewee.SQL("1"))
            .join(WebhookTable, on=(WebhookTable.id == DeliveryTable.webhook_id))
            .where(is_enabled, peewee.SQL("state = 'pending'"))
        )
        needed = in_line.union_all(pending).alias("needed")
        username = needed.c.username
        self.needed = compiled(
            peewee.Select([needed], [username, peewee.fn.MIN(needed.c.sequence)]).group_by(username)
        )
        of_user = WebhookTable.username == param("username")
        of_user_ids = WebhookTable.select(WebhookTable.id).where(of_user)
        self.remove_deliveries = compiled(
            DeliveryTable.delete().where(
                DeliveryTable.webhook_id.in_(of_user_ids), DeliveryTable.sequence <= param("removed")
            )
        )
        self.remove_webhooks = compiled(
            WebhookTable.delete().where(
                of_user,
                WebhookTable.invoice_id.is_null(is_null=False),
                WebhookTable.sequence.between(1, param("removed")),
            )
        )

    def _advance(self, logs: int) -> Statement:
        """Return a statement that reserves the next sequences of logs, and returns their last ones.

        Its row locks are held until the commit, so that the order of commits is that of sequences.
        """
        with self._database.bind_ctx([EventLogTable]):
            advance = EventLogTable.insert_many(whole_rows(EventLogTable, logs)).on_conflict(
                conflict_target=[EventLogTable.username],
                update={EventLogTable.sequence: EventLogTable.sequence + peewee.EXCLUDED.sequence},
            )
            return compiled(advance.returning(EventLogTable.username, EventLogTable.sequence))

    def _webhooks_of_invoices(self, count: int) -> Statement:
        with self._database.bind_ctx([WebhookTable]):
            webhooks = WebhookTable.select(WebhookTable.id, WebhookTable.invoice_id)
            return compiled(webhooks.where(WebhookTable.invoice_id.in_(param_list("values", count))))

    def _add(self, count: int) -> Statement:
        with self._database.bind_ctx([EventTable]):
            return compiled(EventTable.insert_many(whole_rows(EventTable, count)))


def _audit() -> peewee.Query:
    """Return a query of the bounds of each log, then the bounds and the number of the events there.

    A single statement, since the logs grow meanwhile.
    """
    newest, oldest, count = peewee.fn.MAX, peewee.fn.MIN, peewee.fn.COUNT
    expected = EventLogTable.select(
        EventLogTable.username, EventLogTable.sequence, EventLogTable.removed, peewee.SQL("-1")
    )
    sequence, position = EventTable.sequence, EventTable.position
    of_users = EventTable.select(
        EventTable.username, newest(sequence), oldest(sequence) - peewee.SQL("1"), count(sequence)
    ).group_by(EventTable.username)
    of_all = EventTable.select(
        peewee.SQL("''"), newest(position), oldest(position) - peewee.SQL("1"), count(position)
    )
    return expected.union_all(of_users).union_all(of_all)


ENTRIES = Rows(
    EventTable.id,
    Entry,
    recorded_at=Conversion(milliseconds, utc_of_milliseconds),
    # A look-up takes a tenth of the time of calling the enumeration.
    type=Conversion(str, {each.value: each for each in EventType}.__getitem__),
)
