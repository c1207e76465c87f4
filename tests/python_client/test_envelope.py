"""The JSON of events that the command makes is that of REST."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.json_values import json_values
from tests.support.samples import NODE_ID, NOON, an_invoice
from till.events import event as client_event
from till.v1.event_pb2 import Event as EventMessage
from till_cli.envelope import envelope, one_line
from tilld.event_log.entry import Entry, EventType
from tilld.events.event import ChangedInvreq, DisabledWebhook, Event, InvoiceImport
from tilld.formats.strict_json import write
from tilld.grpc_api import event_messages
from tilld.invoices.invoice import Invoice, Payment, Status
from tilld.payouts.invreq import Invreq, InvreqState, InvreqStatus
from tilld.rest_api.schemas import event_json

RECORDED_AT = datetime(2026, 11, 25, 22, 20, 49, 7000, tzinfo=UTC)
texts = st.none() | st.text(st.characters(codec="utf-8"), min_size=1)


def an_event(type_: EventType, data: Invoice | ChangedInvreq | InvoiceImport | DisabledWebhook) -> Event:
    return Event(Entry(7, "dakk", 4711, "evt_abc", type_, "subject", "", RECORDED_AT), data)


def check(event: Event, cursor: str = "") -> None:
    """Check that the envelope of the event's message has exactly the bytes of REST."""
    expected = write(event_json.event(event, cursor))

    made = envelope(client_event(event_messages.event(event, cursor)))

    assert made.encode() == expected
    line = one_line(made)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == json.loads(expected)


@given(
    metadata=st.dictionaries(st.text(), json_values),
    description=texts,
    label=texts,
    amount_msat=st.none() | st.integers(1, 2**62),
    payment=st.none() | st.builds(
        Payment, st.integers(1, 2**62), st.integers(1, 2**62), st.just(NOON), st.none() | st.just("ab" * 32)
    ),
    is_sent=st.booleans(),
)  # fmt: skip
def test_an_invoice_is_that_of_rest(
    metadata: object,
    description: str | None,
    label: str | None,
    amount_msat: int | None,
    payment: Payment | None,
    is_sent: bool,
) -> None:
    invoice = an_invoice(
        metadata=json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
    )._replace(description=description, label=label, amount_msat=amount_msat)  # fmt: skip
    if is_sent:
        invoice = invoice._replace(bolt11="lni1qq")
    if payment:
        invoice = invoice._replace(status=Status.PAID, payment=payment)

    check(an_event(EventType.INVOICE_PAID if payment else EventType.INVOICE_CREATED, invoice))


@pytest.mark.parametrize(
    ("type_", "single_use", "state"),
    [
        (EventType.INVREQ_CREATED, True, InvreqState(InvreqStatus.ACTIVE, active=True, used=False)),
        (EventType.INVREQ_COLLECTED, True, InvreqState(InvreqStatus.USED, active=False, used=True)),
        (EventType.INVREQ_COLLECTED, False, InvreqState(InvreqStatus.ACTIVE, active=True, used=True)),
        (EventType.INVREQ_COLLECTED, False, InvreqState(InvreqStatus.BEING_PAID, active=True, used=True)),
        (EventType.INVREQ_DISABLED, True, InvreqState(InvreqStatus.DISABLED, active=False, used=False)),
        (EventType.INVREQ_DISABLED, False, InvreqState(InvreqStatus.DISABLED, active=False, used=True)),
        (EventType.INVREQ_DISABLED, True, InvreqState(InvreqStatus.EXPIRED, active=False, used=False)),
        (EventType.INVREQ_DISABLED, True, InvreqState(InvreqStatus.FAILED, active=False, used=False)),
    ],
)
def test_an_invoice_request_is_that_of_rest(type_: EventType, single_use: bool, state: InvreqState) -> None:
    invreq = Invreq(
        "id", "ab" * 32, "dakk", "key", "täble", 5000, "a", None, single_use, None, NODE_ID, "lnr1qq", NOON
    )  # fmt: skip
    entry = an_event(type_, InvoiceImport(1)).entry._replace(detail=str(state))

    check(Event(entry, ChangedInvreq.by(entry, invreq)))


def test_a_disabled_webhook_is_that_of_rest() -> None:
    check(
        an_event(
            EventType.WEBHOOK_DISABLED, DisabledWebhook("id", "https://shop.example/ä", "it answered 410")
        )
    )


def test_an_event_of_all_users_has_its_user_and_cursor() -> None:
    check(an_event(EventType.INVOICES_IMPORTED, InvoiceImport(17)), "a.cursor")


def test_an_event_of_the_future_has_no_data() -> None:
    message = EventMessage(id="evt_1", sequence=1, type="coffee.spilled")

    assert json.loads(envelope(client_event(message)))["data"] == {}
