"""Invoice requests: their limits, their status, and the invreq_id of a string."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples import NODE_ID, NOON
from tilld.auth.caller import Creator, Scope
from tilld.auth.key import Key
from tilld.errors import Conflict, InvalidRequest
from tilld.formats import bolt12
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.payouts.invreq import STILL_TRYING, Invreq, InvreqTerms, PayoutLimits, seconds_to_midnight

CAPTURES = Path(__file__).parents[1] / "captures"
LIMITS = PayoutLimits(5000, 10_000, may_disable=True)
SHOP = Creator("shop", "k" * 12)
SECOND = timedelta(seconds=1)


def an_order(**fields: Any) -> InvreqTerms:
    good: dict[str, Any] = {
        "amount_msat": 1000, "description": "d", "issuer": None, "label": None, "absolute_expiry": None,
        "single_use": None,
    }  # fmt: skip
    return InvreqTerms.checked(**(good | fields))


def test_defaults_are_those_of_the_manual_page() -> None:
    order = an_order(issuer="")

    assert (order.single_use, order.issuer, order.label, order.absolute_expiry) == (True, None, None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount_msat": 1}, {"amount_msat": MAX_AMOUNT_MSAT}, {"description": "é" * 319 + "\t"},
        {"description": "a\n\r\t☕"}, {"issuer": "x" * 128}, {"label": "é" * 64}, {"single_use": False},
        {"absolute_expiry": NOON},
    ],
)  # fmt: skip
def test_fields_within_the_limits_are_accepted(fields: dict[str, Any]) -> None:
    order = an_order(**fields)

    assert {name: getattr(order, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount_msat": 0}, "^amount_msat must be at least 1"),
        ({"amount_msat": MAX_AMOUNT_MSAT + 1}, "^amount_msat must be at least 1 and at most"),
        ({"description": ""}, "^description must have 1 to 639 bytes"),
        ({"description": "\x1b"}, "^description must not have control characters"),
        ({"description": "\ud800"}, "^description is not valid Unicode"),
        ({"issuer": "\n"}, "^issuer must not have control"),
        ({"issuer": "\ud800"}, "^issuer is not valid Unicode"),
        ({"label": ""}, "^label must have 1 to 128 bytes"),
        ({"label": "\ud800"}, "^label is not valid Unicode"),
        (
            {"absolute_expiry": datetime.max.replace(tzinfo=UTC, microsecond=0)},
            "^expires_at must be before the year",
        ),
        ({"absolute_expiry": NOON + timedelta(microseconds=1)}, "^expires_at must be whole seconds"),
    ],
)
def test_fields_beyond_the_limits_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        an_order(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount_msat": 5001}, "at most 5000 msat"),
        ({"absolute_expiry": NOON}, "^expires_at must be in the future"),
        ({"absolute_expiry": NOON - timedelta(days=1)}, "in the future"),
        ({"single_use": False}, "single_use must be true"),
    ],
)
def test_an_offer_beyond_the_limits_of_the_key_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        an_order(**fields).check_against(LIMITS, NOON)

    an_order(amount_msat=5000, absolute_expiry=NOON + timedelta(seconds=1)).check_against(LIMITS, NOON)
    an_order(single_use=False).check_against(PayoutLimits(5000, None), NOON)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"amount_msat": 2}, "amount"), ({"description": "e"}, "description"), ({"issuer": "us"}, "issuer"),
        ({"absolute_expiry": NOON}, "expires_at"), ({"single_use": False}, "single_use"),
    ],
)  # fmt: skip
def test_a_label_is_for_one_order(fields: dict[str, Any], what: str) -> None:
    offer = Invreq.reserved(SHOP, an_order(label="prize"), NODE_ID, b"secret", NOON)

    assert offer.answering(an_order(label="prize")) == offer
    with pytest.raises(Conflict, match=f"another {what}$"):
        offer.answering(an_order(label="prize", **fields))


def test_a_label_of_a_user_has_one_id() -> None:
    """The id differs from the id of an invoice with this label; without a label each id is new."""

    def the_id(username: str, label: str | None) -> str:
        order = an_order(label=label)
        return Invreq.reserved(Creator(username), order, NODE_ID, b"secret", NOON).id

    assert the_id("shop", "prize") == the_id("shop", "prize")
    assert len({the_id("shop", "prize"), the_id("bar", "prize"), the_id("shop", "other")}) == 3
    assert the_id("shop", None) != the_id("shop", None)


def test_a_day_ends_at_midnight_utc() -> None:
    late = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)

    assert seconds_to_midnight(late) == 2
    order, day = an_order(), Invreq.reserved(SHOP, an_order(), NODE_ID, b"", late).day
    assert Invreq.reserved(SHOP, order, NODE_ID, b"", late + timedelta(seconds=2)).day == day + 1


@pytest.mark.parametrize(
    ("facts", "in_flight", "status"),
    [
        ({}, False, "active"),
        ({}, True, "being_paid"),
        ({"absolute_expiry": NOON + SECOND}, False, "active"),
        ({"absolute_expiry": NOON}, False, "expired"),
        ({"absolute_expiry": NOON}, True, "being_paid"),
        ({"active": False}, False, "disabled"),
        ({"active": False, "absolute_expiry": NOON}, False, "expired"),
        ({"failed_at": NOON - STILL_TRYING + SECOND}, False, "being_paid"),
        ({"failed_at": NOON - STILL_TRYING}, False, "failed"),
        ({"active": False, "failed_at": NOON - SECOND}, False, "failed"),
        ({"failed_at": NOON - STILL_TRYING, "single_use": False}, False, "active"),
        ({"active": False, "used": True}, False, "used"),
        ({"active": False, "used": True, "failed_at": NOON, "absolute_expiry": NOON}, False, "used"),
        ({"used": True, "single_use": False}, False, "active"),
        ({"used": True, "single_use": False}, True, "being_paid"),
        ({"active": False, "used": True, "single_use": False}, False, "disabled"),
    ],
)
def test_the_status_follows_from_the_facts(facts: dict[str, Any], in_flight: bool, status: str) -> None:
    """A payment overrides everything, and a payment in flight everything else."""
    made = replace(Invreq.reserved(SHOP, an_order(), NODE_ID, b"secret", NOON), active=True)

    assert replace(made, **facts).status_at(NOON, in_flight=in_flight) == status


def test_a_key_for_one_type_cannot_pay_out() -> None:
    with pytest.raises(InvalidRequest, match="scope payouts"):
        Key.new(username="shop", scopes=[Scope.PAYOUTS], type="till-1", created_at=NOON, expires_at=None)


def recorded(found: list[tuple[Any, Any]], value: Any) -> list[tuple[Any, Any]]:
    """Return the invoice requests, and their invoices, in a recording of a real node."""
    if isinstance(value, dict):
        found.append((value.get("bolt12"), value.get("invreq_id")))
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        recorded(found, inner)
    return found


def test_the_invreq_id_of_an_invoice_is_that_of_its_request() -> None:
    """The same as computed by a real node, for requests and for the invoices that it paid for them."""
    said = recorded([], [json.loads(path.read_text()) for path in CAPTURES.glob("*.json")])
    requests = {text: invreq_id for text, invreq_id in said if text and invreq_id}
    invoices = {text for text, _ in said if text and text.startswith("lni1")}

    assert {text: bolt12.invreq_id(text) for text in requests} == requests
    assert len(requests) > 30
    assert len(invoices) > 30
    assert len({bolt12.invreq_id(text) for text in invoices} & set(requests.values())) > 10


@given(st.one_of(st.text(), st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l").map("lni1".__add__)))
def test_nonsense_is_a_value_error(text: str) -> None:
    """Any other exception fails the test."""
    with suppress(ValueError):
        assert len(bolt12.invreq_id(text)) == 64
