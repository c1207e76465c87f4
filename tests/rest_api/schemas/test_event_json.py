"""Events in the documented JSON agree with the OpenAPI document."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support import golden
from tests.support.openapi import DOCUMENT, SCHEMAS, assert_valid
from tests.support.samples import NOON, an_invoice
from tilld.config import Config
from tilld.event_log.entry import Change, Entry, EventType
from tilld.events import terms
from tilld.events.cursor import cursor_at
from tilld.events.event import (
    OF_INVOICES,
    OF_INVREQS,
    ChangedInvreq,
    DisabledWebhook,
    Event,
    InvoiceImport,
    invoice_after,
)
from tilld.events.repository import max_json_bytes_of
from tilld.formats.strict_json import write
from tilld.invoices.invoice import Payment, Status
from tilld.payouts.invreq import Invreq, InvreqStatus, InvreqTerms
from tilld.rest_api import event_query
from tilld.rest_api.schemas import event_json, invoice_json, invreq_json

PAID = an_invoice()._replace(status=Status.PAID, payment=Payment(1, 5000, NOON, "ab" * 32))
INVREQ = replace(
    Invreq.reserved(PAID.creator, InvreqTerms(1000, "d", label="l"), PAID.node_id, b"", now=NOON),
    invreq_id="ab" * 32,
    bolt12="lnr1qq",
)


def an_event(kind: EventType, data: Any, sequence: int = 4711) -> Event:
    change = Change("dakk", kind, "a" * 21)
    recorded_at = NOON + timedelta(milliseconds=7)
    return Event(Entry.of(change, 10 * sequence, sequence, b"secret", recorded_at), data)


def an_event_of(kind: EventType) -> Event:
    if kind in OF_INVOICES:
        event = an_event(kind, PAID)
        return event._replace(data=invoice_after(event.entry, PAID, with_preimage=True))
    if kind in OF_INVREQS:
        return an_event(kind, ChangedInvreq(replace(INVREQ, active=False), InvreqStatus.USED))
    if kind is EventType.WEBHOOK_DISABLED:
        return an_event(kind, DisabledWebhook("a" * 21, "https://shop.example/till", "no event was accepted"))
    return an_event(kind, InvoiceImport(3))


@pytest.mark.parametrize("kind", EventType)
def test_each_event_is_as_documented(kind: EventType) -> None:
    """The envelope is the same for all; the data is the invoice or invoice request as reads have it."""
    event = an_event_of(kind)
    of: Any = event.data

    envelope = json.loads(write(event_json.event(event, "")))
    of_all = json.loads(write(event_json.event(event, "MQ.x")))

    assert_valid(envelope, "Event")
    data = envelope.pop("data")
    assert envelope == {
        "id": event.id,
        "sequence": 4711,
        "type": kind.value,
        "timestamp": "2026-11-21T12:00:00.007Z",
    }
    assert list(of_all) == list(SCHEMAS["Event"]["properties"])
    assert (of_all["username"], of_all["cursor"]) == ("dakk", "MQ.x")
    if kind in OF_INVOICES:
        assert_valid(data, "Invoice")
        assert data == json.loads(invoice_json.invoice(of))
    elif kind in OF_INVREQS:
        assert_valid(data, "Invreq")
        assert data == json.loads(invreq_json.invreq(of.invreq))
    elif kind is EventType.WEBHOOK_DISABLED:
        assert_valid(data, "DisabledWebhook")
        assert data == {"id": of.webhook_id, "url": of.url, "reason": of.reason}
    else:
        assert_valid(data, "InvoiceImport")
        assert data == {"invoices": 3}


def test_the_largest_event_is_not_larger_than_a_page_counts_it() -> None:
    """Envoy rejects a response of more than 1 MiB."""
    invoice = PAID._replace(
        username="u" * 64, label='"' * 128, payment=Payment(2**63 - 1, 2**63 - 1, NOON, "ab" * 32)
    )
    largest = an_event(EventType.INVOICES_IMPORTED, invoice, 2**59)
    entry = largest.entry._replace(username="u" * 64)

    for kind in EventType:
        event = largest._replace(entry=entry._replace(type=kind))
        cursor = cursor_at(b"secret", 2**63 - 1)
        assert len(write(event_json.event(event, cursor))) <= max_json_bytes_of(event)


@pytest.mark.parametrize("after", [4711, "MQ.x"])
def test_a_page_is_as_documented(after: int | str) -> None:
    event = event_json.event(an_event_of(EventType.INVOICE_PAID), "")

    page = json.loads(event_json.page([event], after, NOON, has_more=True))

    assert_valid(page, "EventPage")
    assert list(page) == list(SCHEMAS["EventPage"]["properties"])
    assert (page["next"], page["has_more"]) == (after, True)
    assert page["log_began_at"] == "2026-11-21T12:00:00.000Z"


def test_a_gap_is_as_documented() -> None:
    for data in (event_json.gap(12, 4711), event_json.gap("MQ.x", None)):
        assert_valid(json.loads(data), "Gap")
    assert event_json.gap(12, 4711) == b'{"after":12,"oldest":4711}'
    assert event_json.gap("MQ.x", None) == b'{"after":"MQ.x"}'


def test_the_documented_parameters_have_the_limits_of_the_code() -> None:
    listed, streamed = (
        {
            each["name"]: each
            for it in DOCUMENT["paths"][path]["get"]["parameters"]
            for each in [
                DOCUMENT["components"]["parameters"][it["$ref"].split("/")[-1]] if "$ref" in it else it
            ]
        }
        for path in ("/lightning/events", "/lightning/events/stream")
    )

    assert listed["wait"]["schema"]["maximum"] == event_query.MAX_WAIT_SECONDS
    assert listed["limit"]["schema"]["default"] == terms.PAGE_SIZE
    assert SCHEMAS["EventPage"]["properties"]["events"]["maxItems"] == terms.MAX_PAGE_SIZE
    assert listed["after"]["schema"]["default"] == terms.Place.BEGINNING
    assert streamed["after"]["schema"]["default"] == terms.Place.NOW
    assert SCHEMAS["Event"]["properties"]["type"]["x-extensible-enum"] == list(EventType)
    for parameters in (listed, streamed):
        given = re.compile(parameters["types"]["schema"]["pattern"]).fullmatch
        assert given(",".join(EventType))
        assert all(map(given, EventType))
        assert not given("invoice.x")
        assert set(re.findall(r"`([\w.]+)`", parameters["types"]["description"])) == set(EventType)
    described = DOCUMENT["paths"]["/lightning/events/stream"]["get"]["description"]
    assert f"heartbeat every {Config().heartbeat_seconds:.0f} s" in described


def test_the_examples_are_those_of_the_documents() -> None:
    """The list and the stream have the same event, whose invoice is the documented one, paid."""
    page = DOCUMENT["components"]["examples"]["EventPage"]["value"]
    stream = DOCUMENT["paths"]["/lightning/events/stream"]["get"]["responses"]["200"]["content"]
    gap, event = re.findall(r"^data: (.*)$", stream["text/event-stream"]["example"], re.MULTILINE)

    assert_valid(page, "EventPage")
    assert page["events"] == [json.loads(event)]
    assert page["events"][0]["data"].items() >= (json.loads(golden.INVOICE) | {"status": "paid"}).items()
    assert_valid(json.loads(gap), "Gap")
