"""SQL statements of webhooks and deliveries."""

from collections.abc import Callable
from functools import cache
from typing import Any

import peewee

from tilld.auth.caller import Scope
from tilld.event_log.entry import EventType
from tilld.formats.times import milliseconds, utc_of_milliseconds
from tilld.storage.event_tables import EventTable
from tilld.storage.mapper import Conversion
from tilld.storage.rows import Rows
from tilld.storage.statements import Statement, compiled, param, param_list, whole_rows
from tilld.storage.tables import InvoiceTable
from tilld.storage.webhook_tables import DeliveryTable, WebhookTable
from tilld.webhooks.delivery import Delivery, DeliveryState
from tilld.webhooks.webhook import Webhook

_OF_USERS = WebhookTable.invoice_id.is_null()
_OF_INVOICES = WebhookTable.invoice_id.is_null(is_null=False)
# What callers change.
CHANGED = (
    "url",
    "types",
    "enabled",
    "disabled_reason",
    "secret",
    "old_secret",
    "old_secret_until",
    "failing_since",
    "version",
)
_PENDING = peewee.SQL("state = 'pending'")


class WebhookSQL:
    """Statements in the dialect of a database."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        with database.bind_ctx([WebhookTable, DeliveryTable, EventTable, InvoiceTable]):
            self._prepare_webhooks()
            self._prepare_leases()
            self._prepare_deliveries()
        self.claim = cache(self._claim)

    def _prepare_webhooks(self) -> None:
        webhooks = WebhookTable.select()
        has_id = WebhookTable.id == param("id")
        self.by_id = compiled(webhooks.where(has_id))
        of_user = (WebhookTable.username == param("username")) & _OF_USERS
        self.of_user = compiled(
            webhooks.where(of_user).order_by(WebhookTable.created_at, WebhookTable.id).limit(param("limit"))
        )
        of_all = webhooks.where(_OF_USERS).order_by(
            WebhookTable.username, WebhookTable.created_at, WebhookTable.id
        )
        self.of_all_users = compiled(of_all)
        self.add = compiled(WebhookTable.insert_many(whole_rows(WebhookTable)).on_conflict_ignore())
        fields = [getattr(WebhookTable, name) for name in CHANGED]
        is_unchanged = WebhookTable.version == param("version") - 1
        change = WebhookTable.update({each: param(each.name) for each in fields}).where(has_id, is_unchanged)
        self.change = compiled(change.returning(WebhookTable))
        # Without an owner, so that the progress of the present one does not count.
        move = WebhookTable.update(
            sequence=param("sequence"),
            version=WebhookTable.version + 1,
            failing_since=None,
            owner="",
            lease_until=0,
        )
        self.move = compiled(move.where(has_id).returning(WebhookTable))
        self.remove = compiled(WebhookTable.delete().where(has_id).returning(WebhookTable))
        self.remove_deliveries = compiled(
            DeliveryTable.delete().where(
                DeliveryTable.webhook_id == param("id"), DeliveryTable.sequence > param("after")
            )
        )

    def _prepare_leases(self) -> None:
        is_free = (WebhookTable.owner != param("owner")) & (WebhookTable.lease_until < param("now"))
        ids = WebhookTable.select(WebhookTable.id)
        is_enabled = WebhookTable.enabled
        is_due = _PENDING & (DeliveryTable.next_attempt_at <= param("now"))
        # Without DISTINCT, for which SQLite would read all deliveries. That of an invoice has one delivery.
        of_invoices = (
            ids.join(DeliveryTable, on=(DeliveryTable.webhook_id == WebhookTable.id))
            .where(is_due, _OF_INVOICES, is_enabled)
            .limit(param("limit"))
        )
        self.free_of_users = compiled(ids.where(_OF_USERS, is_enabled, is_free))
        self.free_of_invoices = compiled(of_invoices.where(is_free))
        self.due_of_invoices = compiled(of_invoices)
        mine = WebhookTable.owner == param("owner")
        self.held = compiled(WebhookTable.select().where(mine))
        self.renew = compiled(WebhookTable.update(lease_until=param("until")).where(mine))
        deliveries = DeliveryTable.select(peewee.SQL("1")).where(DeliveryTable.webhook_id == WebhookTable.id)
        self.due_webhooks = compiled(ids.where(mine, peewee.fn.EXISTS(deliveries.where(is_due))))
        self.release = compiled(
            WebhookTable.update(owner="", lease_until=0).where(mine, WebhookTable.id == param("id"))
        )
        self.release_all = compiled(WebhookTable.update(owner="", lease_until=0).where(mine))
        self.any_open_invoice = compiled(
            ids.where(_OF_INVOICES, WebhookTable.sequence == peewee.SQL("0")).limit(1)
        )

    def _prepare_deliveries(self) -> None:
        deliveries = DeliveryTable.select()
        of_webhook = DeliveryTable.webhook_id == param("webhook_id")
        newest = DeliveryTable.sequence.desc()
        before = DeliveryTable.sequence < param("before")
        page = deliveries.where(of_webhook, before).order_by(newest).limit(param("limit"))
        self.deliveries = compiled(page)
        self.deliveries_in = compiled(page.where(DeliveryTable.state == param("state")))
        self.delivery = compiled(
            deliveries.where(of_webhook, DeliveryTable.event_id == param("event_id")).limit(1)
        )
        pending = (
            deliveries.where(of_webhook, _PENDING).order_by(DeliveryTable.sequence).limit(param("limit"))
        )
        self.pending = compiled(pending)
        due = pending.where(DeliveryTable.next_attempt_at <= param("now"))
        self.due = compiled(due)
        self.due_first = compiled(due.where(DeliveryTable.first_attempt_at.is_null()))
        next_due = DeliveryTable.select(peewee.fn.MIN(DeliveryTable.next_attempt_at))
        self.next_due = compiled(next_due.where(of_webhook, _PENDING))
        hurry = DeliveryTable.update(next_attempt_at=param("now"))
        self.hurry = compiled(hurry.where(of_webhook, _PENDING, DeliveryTable.next_attempt_at > param("now")))
        kept = {
            field: getattr(peewee.EXCLUDED, field.name) for field in DeliveryTable._meta.sorted_fields[4:]
        }
        insert = DeliveryTable.insert_many(whole_rows(DeliveryTable))
        # One that a caller wants again stays due.
        self.put_new = compiled(insert.on_conflict_ignore())
        put = insert.on_conflict(
            conflict_target=[DeliveryTable.webhook_id, DeliveryTable.sequence], update=kept
        )
        self.put = compiled(put)
        is_held = (WebhookTable.id == param("webhook_id")) & (WebhookTable.owner == param("owner"))
        progress = WebhookTable.update(sequence=param("sequence"), failing_since=param("failing_since"))
        self.progress = compiled(progress.where(is_held).returning(WebhookTable.id))
        disable = WebhookTable.update(enabled=False, disabled_reason=param("reason"))
        self.disable = compiled(disable.where(is_held).returning(WebhookTable.id))
        succeeded = of_webhook & (DeliveryTable.state == DeliveryState.SUCCEEDED.value)
        oldest_kept = (
            DeliveryTable.select(DeliveryTable.sequence)
            .where(succeeded)
            .order_by(newest)
            .offset(param("kept"))
            .limit(1)
        )
        self.forget = compiled(DeliveryTable.delete().where(succeeded, DeliveryTable.sequence <= oldest_kept))
        event = EventTable.select(EventTable.sequence, EventTable.type).where(
            EventTable.username == param("username"), EventTable.id == param("event_id")
        )
        self.event = compiled(event.limit(1))
        self._prepare_backlog()
        self.disabled = compiled(
            WebhookTable.select(peewee.fn.COUNT(WebhookTable.id)).where(
                _OF_USERS,
                ~WebhookTable.enabled,
            )
        )

    def _prepare_backlog(self) -> None:
        # An event in line begins to wait when it is recorded, a failed one with its first attempt.
        in_line = (
            EventTable.select(EventTable.recorded_at)
            .join(
                WebhookTable,
                on=(WebhookTable.username == EventTable.username)
                & (EventTable.sequence == WebhookTable.sequence + 1),
            )
            .where(_OF_USERS, WebhookTable.enabled)
        )
        failed = (
            DeliveryTable.select(
                peewee.fn.COALESCE(DeliveryTable.first_attempt_at, DeliveryTable.next_attempt_at)
            )
            .join(WebhookTable, on=(WebhookTable.id == DeliveryTable.webhook_id))
            .where(_PENDING, WebhookTable.enabled)
        )
        waiting = in_line.union_all(failed).alias("waiting")
        self.oldest = compiled(peewee.Select([waiting], [peewee.fn.MIN(waiting.c.recorded_at)]))
        counted = (peewee.fn.COUNT(EventTable.id), peewee.fn.MIN(EventTable.recorded_at))
        line = EventTable.select(*counted).where(
            EventTable.username == param("username"), EventTable.sequence > param("after")
        )
        self.line = compiled(line.where(EventTable.type.in_(param_list("types", len(EventType)))))
        of_type = InvoiceTable.select(peewee.SQL("1")).where(
            InvoiceTable.invoice_id == EventTable.subject, InvoiceTable.type == param("metadata_type")
        )
        self.line_of_type = compiled(
            line.where(EventTable.type.in_(param_list("types", len(EventType))), peewee.fn.EXISTS(of_type))
        )
        first = peewee.fn.COALESCE(DeliveryTable.first_attempt_at, DeliveryTable.next_attempt_at)
        states = DeliveryTable.select(
            DeliveryTable.state, peewee.fn.COUNT(DeliveryTable.sequence), peewee.fn.MIN(first)
        )
        of_webhook = DeliveryTable.webhook_id == param("webhook_id")
        self.states = compiled(states.where(of_webhook).group_by(DeliveryTable.state))
        of_invoices = states.join(WebhookTable, on=(WebhookTable.id == DeliveryTable.webhook_id))
        self.states_of_invoices = compiled(of_invoices.where(_OF_INVOICES).group_by(DeliveryTable.state))
        of_nobody = DeliveryTable.webhook_id.not_in(WebhookTable.select(WebhookTable.id))
        self.of_nobody = compiled(
            DeliveryTable.select(peewee.fn.COUNT(DeliveryTable.webhook_id)).where(of_nobody)
        )
        self.remove_of_nobody = compiled(DeliveryTable.delete().where(of_nobody))

    def _claim(self, count: int) -> Statement:
        with self._database.bind_ctx([WebhookTable]):
            is_free = (WebhookTable.owner != param("owner")) & (WebhookTable.lease_until < param("now"))
            claim = WebhookTable.update(owner=param("owner"), lease_until=param("until"))
            return compiled(claim.where(WebhookTable.id.in_(param_list("values", count)), is_free))


def _unless_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


_TIME = Conversion(milliseconds, utc_of_milliseconds)
_OPTIONAL_TIME = Conversion(_unless_none(milliseconds), _unless_none(utc_of_milliseconds))

WEBHOOKS = Rows(
    WebhookTable.id,
    Webhook,
    types=Conversion(" ".join, lambda text: tuple(text.split())),
    scopes=Conversion(
        lambda scopes: " ".join(sorted(scopes)),
        lambda text: frozenset(scope for scope in Scope if scope in text.split()),
    ),
    old_secret_until=_OPTIONAL_TIME,
    created_at=_TIME,
    failing_since=_OPTIONAL_TIME,
    lease_until=_TIME,
)
DELIVERIES = Rows(
    DeliveryTable.event_id,
    Delivery,
    first_attempt_at=_OPTIONAL_TIME,
    next_attempt_at=_OPTIONAL_TIME,
    last_attempt_at=_OPTIONAL_TIME,
    # Empty after a success, and only then.
    last_error=Conversion(),
)
