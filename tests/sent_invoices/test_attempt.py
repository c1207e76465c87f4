"""Send attempts: their terms and their durations, and how texts from other nodes are cleaned."""

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.samples import DAKK, an_order
from tilld.errors import Conflict, Expired, InvalidRequest, NodeFailed, NotPaid, TillError, TooLarge
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.sent_invoices.attempt import (
    DecodedInvreq,
    SendAttempt,
    SendTerms,
    attempt_seconds,
    cleaned,
    harmless,
)

US, THEM = "02" + "ab" * 32, "03" + "cd" * 32
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def ordered(**fields: Any) -> SendTerms:
    good = {"invreq": "lnr1qqqq", "label": "x", "amount_msat": None, "timeout": None, "quantity": None}
    return SendTerms.checked(**(good | {"metadata": None, "key_type": None} | fields))


def requested(**fields: Any) -> DecodedInvreq:
    good: dict[str, Any] = {"payer_id": THEM, "amount_msat": 1000, "has_quantity": False, "expires_at": None}
    return DecodedInvreq(**(good | fields))


def test_omitted_fields_have_defaults() -> None:
    order = ordered()

    assert (order.timeout, order.type, order.amount_msat) == (90, "sendinvoice", None)
    assert ordered(key_type="till-1").type == "till-1"


def test_a_string_is_taken_as_people_and_qr_codes_write_it() -> None:
    assert ordered(invreq=" LIGHTNING:LNR1QQQQ\n").invreq == "lnr1qqqq"


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"invreq": "lno1qqqq"}, InvalidRequest, "lnr1"),
        ({"invreq": "lnr1qq\nqq"}, InvalidRequest, "lnr1"),
        ({"invreq": "lnr1" + "q" * 8192}, TooLarge, "8192"),
        ({"label": ""}, InvalidRequest, "label"),
        ({"label": "é" * 65}, TooLarge, "128"),
        ({"amount_msat": 0}, InvalidRequest, "at least 1"),
        ({"amount_msat": MAX_AMOUNT_MSAT + 1}, InvalidRequest, "at most 1844674407370955161"),
        ({"timeout": 0}, InvalidRequest, "timeout"),
        ({"timeout": 301}, InvalidRequest, "5 minutes"),
        ({"timeout": 1.5}, InvalidRequest, "whole seconds"),
        ({"quantity": 0}, InvalidRequest, "quantity"),
        ({"quantity": 2**63}, InvalidRequest, "quantity"),
        ({"metadata": "{}"}, InvalidRequest, "type"),
    ],
)
def test_fields_beyond_a_limit_are_refused(
    fields: dict[str, Any], error: type[TillError], message: str
) -> None:
    with pytest.raises(error, match=message):
        ordered(**fields)


@pytest.mark.parametrize(
    ("request_", "order", "error"),
    [
        ({"payer_id": US}, {}, InvalidRequest),
        ({"expires_at": int(NOW.timestamp())}, {}, Expired),
        ({"has_quantity": True}, {}, InvalidRequest),
        ({}, {"quantity": 1}, InvalidRequest),
        ({}, {"amount_msat": 1001}, InvalidRequest),
        ({"amount_msat": None}, {}, InvalidRequest),
        ({"amount_msat": 0}, {}, InvalidRequest),
        ({"amount_msat": 2**64 - 1}, {}, InvalidRequest),
        ({"has_quantity": True}, {"quantity": 2, "amount_msat": 2001}, InvalidRequest),
    ],
)
def test_terms_that_do_not_fit_the_request_are_refused(
    request_: dict[str, Any], order: dict[str, Any], error: type[TillError]
) -> None:
    with pytest.raises(error):
        requested(**request_).check(ordered(**order), US, NOW)


@pytest.mark.parametrize(
    ("request_", "order"),
    [
        ({}, {}),
        ({"expires_at": int(NOW.timestamp()) + 1}, {"amount_msat": 1}),
        ({"has_quantity": True}, {"quantity": 2, "amount_msat": 2000}),
        ({"amount_msat": None}, {"amount_msat": 5}),
        ({"amount_msat": 2**64 - 1}, {"amount_msat": 5}),
    ],
)
def test_terms_that_fit_the_request_are_accepted(request_: dict[str, Any], order: dict[str, Any]) -> None:
    """An amount below the requested one may be collected."""
    requested(**request_).check(ordered(**order), US, NOW)


def test_the_timeout_may_differ_in_a_retry() -> None:
    ordered(timeout=5).check_repeats(ordered(timeout=6))
    with pytest.raises(Conflict, match="another amount_msat and metadata"):
        ordered().check_repeats(ordered(amount_msat=5, metadata='{"type":"b"}'))


@pytest.mark.parametrize(
    ("metadata", "is_same"),
    [
        ('{"n":1.0,"type":"a","m":{"y":[2],"x":null}}', True),
        ('{"m":{"x":null,"y":[2e0]},"type":"\\u0061","n":1}', True),
        ('{"type":"a","n":1,"m":{"x":null,"y":[true]}}', False),
        ('{"type":"a","n":1,"m":{"x":false,"y":[2]}}', False),
    ],
)
def test_metadata_is_the_same_by_its_value(metadata: str, is_same: bool) -> None:
    first = ordered(metadata='{"type":"a","n":1,"m":{"x":null,"y":[2]}}')

    with nullcontext() if is_same else pytest.raises(Conflict, match="another metadata"):
        ordered(metadata=metadata).check_repeats(first)


def test_each_attempt_has_its_own_unguessable_label() -> None:
    """The first has the node label of an ordinary invoice with this label, so that only one can exist."""
    labels = [ordered().node_label("dakk", b"secret", attempt) for attempt in (1, 2, 3)]

    assert labels[0] == an_order(label="x").invoice_id("dakk", b"secret")
    assert len({*labels, ordered().node_label("dakk", b"another", 2)}) == 4


@pytest.mark.parametrize(
    ("timeout", "attempts"), [(1, [1]), (59, [59]), (90, [20, 70]), (300, [20, 40, 240])]
)
def test_attempts_share_the_time(timeout: int, attempts: list[int]) -> None:
    """The first attempts are short, since a dropped message shows only as a timeout."""
    shares: list[int] = []
    left = timeout
    while left:
        # A fraction of the second has already passed.
        shares.append(attempt_seconds(len(shares) + 1, left - 0.01, 20))
        left -= shares[-1]

    assert shares == attempts


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Failed invoice lni1qqqqzz: invoice amount is too large", "invoice amount is too large"),
        ("a\nb\x1b[31m\u202ec \x00 d", "a b [31m c d"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_messages_of_other_nodes_are_cleaned(said: str, told: str) -> None:
    assert cleaned(said) == told


def test_a_description_of_another_node_can_be_stored() -> None:
    assert harmless("a\x00b\n\tc\x7f") == "a b\n\tc "


@pytest.mark.parametrize("failure", [NotPaid("not in time"), NodeFailed("it could not")], ids=repr)
def test_a_stored_failure_is_returned_unchanged(failure: TillError) -> None:
    sending = SendAttempt.reserved(
        DAKK.creator, ordered(), attempt=1, node_id=US, node_label="", timeout=20, created_at=NOW
    )

    again = sending.failed(failure).failure

    assert (type(again), again.message) == (type(failure), failure.message)
