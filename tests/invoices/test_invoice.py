"""Invoice terms: their limits. Invoices: their status."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.samples import DAKK, NOON, a_bolt11, an_invoice, an_order, expired, paid
from tilld.errors import Conflict, InvalidRequest, TooLarge
from tilld.formats.ids import is_id, is_invoice_id
from tilld.invoices.invoice import Invoice, InvoiceUpdate, IssuedInvoice, NodeInvoice, Status
from tilld.invoices.terms import InvoiceTerms

BTC = 100_000_000_000


@pytest.mark.parametrize("amount_msat", [None, 1, 5000, 18_446_744 * BTC, 2**64 // 10])
def test_amounts_that_the_node_can_ask_for(amount_msat: int | None) -> None:
    assert an_order(amount_msat=amount_msat).amount_msat == amount_msat


@pytest.mark.parametrize("amount_msat", [0, -1, 2**64 // 10 + 1, 18_446_745 * BTC, 21_000_000 * BTC, 2**64])
def test_other_amounts_are_refused(amount_msat: int) -> None:
    """lightningd cannot read its own bolt11 for amounts above 2^64 / 10 msat, even whole bitcoins."""
    with pytest.raises(InvalidRequest, match="^msat "):
        an_order(amount_msat=amount_msat, amount_field="msat")


def test_a_type_is_read_beside_any_number() -> None:
    """Python's json refuses integers of more than 4,300 digits."""
    assert an_order(metadata='{"type":"shop","n":%s}' % ("9" * 5000)).type == "shop"


@pytest.mark.parametrize("expiry", [0, -1, 365 * 86400 + 1, 2**60, 1.5, float("inf")])
def test_an_expiry_of_less_than_a_second_or_more_than_a_year_is_refused(expiry: float) -> None:
    with pytest.raises(InvalidRequest, match="^expiry "):
        an_order(expiry=expiry)


@pytest.mark.parametrize(("expiry", "seconds"), [(None, 3600), (1, 1), (365 * 86400, 365 * 86400)])
def test_an_expiry_is_one_hour_if_none_is_given(expiry: int | None, seconds: int) -> None:
    assert an_order(expiry=expiry).expiry == seconds


@pytest.mark.parametrize("description", ["a\tb\r\nc", "é☕😀", "x" * 8192, "\x7f"])
def test_descriptions_that_are_taken(description: str) -> None:
    assert an_order(description=description).description == description


@pytest.mark.parametrize("description", ["a\0b", "\x1b[31m", "\x08"])
def test_control_characters_in_a_description_are_refused(description: str) -> None:
    """Control characters need \\u escapes in JSON, which lightningd does not accept."""
    with pytest.raises(InvalidRequest, match="^description "):
        an_order(description=description)


@pytest.mark.parametrize(
    ("field", "text"),
    [("description", "é" * 4097), ("label", "é" * 65), ("metadata", '{"type":"' + "x" * 16_384 + '"}')],
)
def test_texts_with_too_many_bytes_are_too_large(field: str, text: str) -> None:
    """Limits are in bytes of UTF-8."""
    with pytest.raises(TooLarge, match=f"^{field} "):
        an_order(**{field: text})


@pytest.mark.parametrize("label", ["", "a\nb", "\0"])
def test_a_label_is_a_line_of_text(label: str) -> None:
    with pytest.raises(InvalidRequest, match="^label "):
        an_order(label=label)


@pytest.mark.parametrize("field", ["description", "label"])
def test_an_unpaired_surrogate_is_refused(field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field} "):
        an_order(**{field: "\ud800"})


@pytest.mark.parametrize("metadata", ["", "{}", "[]", "5", '{"type":1}', '{"type":null}', '{"typ":"shop"}'])
def test_metadata_is_an_object_with_a_type(metadata: str) -> None:
    with pytest.raises(InvalidRequest, match="^metadata "):
        an_order(metadata=metadata)


def test_an_empty_description_is_none() -> None:
    assert an_order(description="").description is None


def test_ids_have_the_documented_form() -> None:
    """Two ids differ."""
    one, other = an_invoice(), an_invoice()

    assert is_invoice_id(one.invoice_id)
    assert is_id(one.id)
    assert one.invoice_id != other.invoice_id
    assert one.id != other.id


def test_an_id_begins_with_its_time() -> None:
    """The documented example agrees: 5ca4b225… is 2019-04-03."""
    invoice = an_invoice()

    assert int(invoice.id[:8], 16) == int(invoice.created_at.timestamp())


def test_the_same_label_of_the_same_user_is_the_same_invoice_id() -> None:
    """A retry finds the invoice of the first try, and the id does not reveal the label."""
    order = an_order(label="order-1")
    first = order.invoice_id("dakk", b"secret")

    assert is_invoice_id(first)
    assert order.invoice_id("dakk", b"secret") == first
    assert order.invoice_id("pino", b"secret") != first
    assert order.invoice_id("dakk", b"other secret") != first
    assert an_order(label="order-2").invoice_id("dakk", b"secret") != first


def test_times_come_from_the_clock_of_the_node() -> None:
    invoice = Invoice.opened(
        "x" * 21, DAKK.creator, an_order(expiry=60), IssuedInvoice("02", "00", "lnbcrt1", NOON)
    )

    assert invoice.expires_at == NOON
    assert invoice.created_at == NOON - timedelta(seconds=60)


def test_status_follows_the_facts() -> None:
    """A payment counts even after an expiry, and stays."""
    invoice = an_invoice()

    assert invoice.status is Status.UNPAID
    assert not invoice.is_final
    assert invoice.updated(expired(invoice)).status is Status.EXPIRED
    assert invoice.updated(expired(invoice)).updated(paid(invoice)).status is Status.PAID
    assert invoice.updated(paid(invoice)).updated(expired(invoice)).status is Status.PAID
    assert invoice.updated(paid(invoice)).is_final


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"amount_msat": 1}, "amount"),
        ({"amount_msat": None}, "amount"),
        ({"description": "tea"}, "description"),
        ({"expiry": 60}, "expiry"),
        ({"metadata": '{"type":"bar"}'}, "metadata"),
    ],
)
def test_another_order_with_the_label_is_a_conflict(changed: dict[str, Any], named: str) -> None:
    """The message names the field that differs."""
    invoice = an_invoice(label="order-1")

    with pytest.raises(Conflict, match=f"another {named}$"):
        invoice.answering(an_order(label="order-1", **changed))


def test_the_same_order_with_the_label_is_answered() -> None:
    """White space in the metadata makes no difference."""
    invoice = an_invoice(label="order-1")

    assert invoice.answering(an_order(label="order-1", metadata='{ "type": "shop" }')) == invoice


def at_the_node(order: InvoiceTerms, invoice_id: str) -> NodeInvoice:
    """Return the node's invoice for an order."""
    issued = IssuedInvoice("02", "00", a_bolt11(order), NOON)
    return NodeInvoice(invoice_id, 1, order.amount_msat, issued, InvoiceUpdate("00", Status.UNPAID, None))


@pytest.mark.parametrize("description", [None, "a coffee", "é" * 400])
def test_an_invoice_left_at_the_node_by_an_earlier_try_is_adopted(description: str | None) -> None:
    """Times are those of the first try, not of the second."""
    order = an_order(label="order-1", description=description, expiry=120)
    invoice_id = order.invoice_id("dakk", b"secret")
    found = at_the_node(order, invoice_id)

    adopted = Invoice.adopted(DAKK.creator, order, found)

    assert (adopted.invoice_id, adopted.bolt11, adopted.description) == (
        invoice_id, found.issued.bolt11, description
    )  # fmt: skip
    assert (adopted.created_at, adopted.expires_at) == (NOON - timedelta(seconds=120), NOON)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"amount_msat": 1}, "amount"),
        ({"description": "tea"}, "description"),
        ({"description": "é" * 400}, "description"),
        ({"expiry": 60}, "expiry"),
    ],
)
def test_an_invoice_left_at_the_node_by_another_order_is_not_adopted(
    fields: dict[str, Any], what: str
) -> None:
    """The message names the field that differs."""
    order = an_order(label="order-1")
    for first, second in ((order, replace(order, **fields)), (replace(order, **fields), order)):
        with pytest.raises(Conflict, match=f"another {what}$"):
            Invoice.adopted(DAKK.creator, second, at_the_node(first, "~" * 21))


def test_while_the_node_is_offline_expiry_follows_the_clock() -> None:
    """The clock shows that the invoice expired, but not that a payment in the last second is missing."""
    invoice = an_invoice()

    late = invoice.by_the_clock(NOON + timedelta(minutes=1))

    assert invoice.by_the_clock(NOON) == invoice
    assert (late.status, late.is_final) == (Status.EXPIRED, False)
    assert late.updated(paid(invoice)).status is Status.PAID
    assert invoice.updated(paid(invoice)).by_the_clock(NOON + timedelta(minutes=1)).status is Status.PAID
