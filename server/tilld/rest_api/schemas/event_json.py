"""Events in the documented JSON."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from tilld.event_log.entry import EventType
from tilld.events.event import ChangedInvreq, DisabledWebhook, Event, InvoiceImport
from tilld.events.terms import MAX_PAGE_SIZE
from tilld.formats.strict_json import write
from tilld.rest_api.schemas import invoice_json, invreq_json
from tilld.rest_api.schemas.fields import PUBLIC_ID, Time, described, extensible, optional


class InvoiceImportJson(Struct):
    """An import of invoices that another application created at the node.

    The log has no `invoice.created` events for them.
    """

    invoices: Annotated[int, described("Number of imported invoices.", minimum=1)]


class DisabledWebhookJson(Struct):
    """A webhook that Till has disabled."""

    id: Annotated[str, described("Id of the webhook.", pattern=PUBLIC_ID)]
    url: Annotated[str, described("Where events were sent.")]
    reason: Annotated[str, described("Why, and what to do.")]


EVENT_ID = "^evt_[A-Za-z0-9_~]{21}$"
_DATA = {
    "anyOf": [
        {"$ref": f"#/components/schemas/{name}"}
        for name in ("Invoice", "Invreq", "InvoiceImport", "DisabledWebhook")
    ]
}


class EventJson(Struct):
    """A change of an invoice, an invoice request or a webhook, as the log of its user has it."""

    id: Annotated[
        str,
        described(
            "Unique id, the same in every delivery of the event: deduplicate by it.",
            pattern=EVENT_ID,
        ),
    ]
    sequence: Annotated[
        int, described("Position in the user's log: 1, 2, 3 and so on, without gaps.", minimum=1)
    ]
    type: Annotated[str, described("What happened. Later versions may add others.", **extensible(EventType))]
    timestamp: Annotated[Time, described("When the event was recorded.")]
    data: Annotated[
        Any,
        described(
            "What changed, in its state after this event: an invoice for `invoice.…`, an invoice request for "
            "`invoice_request.…`, the number of invoices for `invoices.imported`, the webhook for "
            "`webhook.disabled`.",
            **_DATA,
        ),
    ]
    username: Annotated[str, described("The user whose log has the event, with `all_users`.")] | UnsetType = (
        UNSET
    )
    cursor: Annotated[str, described("The cursor behind this event, with `all_users`.")] | UnsetType = UNSET


class EventPageJson(Struct):
    """A page of events."""

    events: Annotated[
        list[EventJson],
        described(
            "The events, oldest first: at most `limit`. A page may have fewer, or none, before the end.",
            maxItems=MAX_PAGE_SIZE,
        ),
    ]
    next: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": 0})] | str,
        described(
            "`after` of the next request, also if no event matched: a sequence, or a cursor with `all_users`."
        ),
    ]
    has_more: Annotated[bool, described("Whether there may be more events now.")]
    log_began_at: Annotated[
        Time, described("When the log began. Earlier changes are not in it: read those invoices by a list.")
    ]


class GapJson(Struct, omit_defaults=True):
    """The data of `event: gap` in a stream: events were removed before they were read."""

    after: Annotated[
        Annotated[int, Meta(extra_json_schema={"minimum": 0})] | str,
        described("Where the stream should have continued."),
    ]
    oldest: (
        Annotated[
            int,
            described(
                "The oldest sequence left, where the stream continues; absent with `all_users`.", minimum=1
            ),
        ]
        | UnsetType
    ) = UNSET


def event(event: Event, cursor: str) -> EventJson:
    """Return an event with the documented fields; `cursor` is empty for the log of one user."""
    entry = event.entry
    return EventJson(
        id=entry.id,
        sequence=entry.sequence,
        type=entry.type,
        timestamp=invoice_json.time(entry.recorded_at),
        data=_data(event),
        username=entry.username if cursor else UNSET,
        cursor=optional(cursor or None),
    )


def page(events: list[EventJson], after: int | str, began_at: datetime, *, has_more: bool) -> bytes:
    """Return a page as JSON."""
    return write(EventPageJson(events, after, has_more, invoice_json.time(began_at)))


def gap(after: int | str, oldest: int | None) -> bytes:
    """Return the data of a gap as JSON."""
    return write(GapJson(after, optional(oldest)))


def _data(event: Event) -> object:
    match event.data:
        case ChangedInvreq(invreq):
            return invreq_json.answer(invreq)
        case InvoiceImport(invoices):
            return InvoiceImportJson(invoices)
        case DisabledWebhook(webhook_id, url, reason):
            return DisabledWebhookJson(webhook_id, url, reason)
        case invoice:
            return invoice_json.answer(invoice)
