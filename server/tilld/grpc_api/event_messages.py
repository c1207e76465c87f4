"""Converts between events and the messages of till.v1."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from till.v1 import event_pb2
from till.v1 import event_service_pb2 as pb
from tilld.errors import InvalidRequest
from tilld.events.event import ChangedInvreq, DisabledWebhook, Event, InvoiceImport
from tilld.events.terms import Cursor, EventTerms, Place, Start
from tilld.formats.times import milliseconds
from tilld.grpc_api import messages

_PLACES = {pb.LOG_POSITION_BEGINNING: Place.BEGINNING, pb.LOG_POSITION_NOW: Place.NOW}


def list_terms(request: pb.ListEventsRequest) -> EventTerms:
    """Return the terms of a page. Raises InvalidRequest or TooLarge, which name the field and the limit."""
    start = _start(request)
    return _terms(request, Place.BEGINNING if start is None else start, request.page_size)


def watch_terms(request: pb.WatchEventsRequest) -> EventTerms:
    """Return the terms of a stream. Raises InvalidRequest or TooLarge, which name the field and the limit."""
    start = _start(request)
    if start is None:
        raise InvalidRequest("one of after, cursor and from is required")
    return _terms(request, start)


def event(event: Event, cursor: str) -> event_pb2.Event:
    """Return an event as a message."""
    entry, data = event
    message = event_pb2.Event(
        id=entry.id,
        sequence=entry.sequence,
        type=entry.type,
        username=entry.username,
        cursor=cursor,
    )
    _set_time(message.timestamp, entry.recorded_at)
    if isinstance(data, ChangedInvreq):
        message.invreq.CopyFrom(messages.invreq(data.invreq, data.status))
    elif isinstance(data, InvoiceImport):
        message.invoice_import.invoices = data.invoices
    elif isinstance(data, DisabledWebhook):
        message.disabled_webhook.id = data.webhook_id
        message.disabled_webhook.url = data.url
        message.disabled_webhook.reason = data.reason
    else:
        message.invoice.CopyFrom(messages.invoice(data))
    return message


def timestamp(time: datetime) -> Timestamp:
    """Return a time as a message, to the millisecond."""
    message = Timestamp()
    _set_time(message, time)
    return message


def _set_time(message: Timestamp, time: datetime) -> None:
    message.seconds, thousandths = divmod(milliseconds(time), 1000)
    message.nanos = thousandths * 1_000_000


def _terms(
    request: pb.ListEventsRequest | pb.WatchEventsRequest, start: Start, page_size: int | None = None
) -> EventTerms:
    given = request.filter
    return EventTerms.checked(
        start,
        given.types,
        given.metadata_type if given.HasField("metadata_type") else None,
        all_users=request.all_users,
        page_size=page_size,
    )


def _start(request: pb.ListEventsRequest | pb.WatchEventsRequest) -> Start | None:
    match request.WhichOneof("start"):
        case "after":
            return request.after
        case "cursor":
            return Cursor(request.cursor)
        case "from":
            place = _PLACES.get(getattr(request, "from"))
            if place is None:
                raise InvalidRequest(f"from must be among {', '.join(map(pb.LogPosition.Name, _PLACES))}")
            return place
    return None
