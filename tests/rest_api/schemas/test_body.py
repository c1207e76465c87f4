"""The documented request body, with arbitrary input."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.json_values import json_values
from tilld.errors import InvalidRequest, TooLarge
from tilld.formats.amounts import MAX_AMOUNT_MSAT
from tilld.formats.ids import is_invoice_id
from tilld.invoices.terms import InvoiceTerms
from tilld.rest_api.schemas.create_json import CreateInvoice, create_request

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
metadata = st.dictionaries(text, json_values, max_size=4).map(lambda fields: fields | {"type": "shop"})
good = st.fixed_dictionaries(
    {"msat": st.integers(1, 2**60) | st.just("any"), "metadata": metadata},
    optional={
        "description": text,
        "expiry": st.integers(1, 31_536_000),
        "label": text,
        "watch_token": st.booleans(),
    },
)
FIELDS = CreateInvoice.__struct_fields__
bad_values = st.dictionaries(st.sampled_from(FIELDS) | text, json_values)


@given(good, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_a_valid_body_becomes_its_order(
    body: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    """The form of the JSON does not matter; an omitted field gets its default."""
    written = json.dumps(body, indent=indent, ensure_ascii=ascii_only)

    asked = create_request(written.encode(errors="surrogatepass") if ascii_only else written.encode())
    ordered = asked.terms

    assert asked.watch_token == body.get("watch_token", False)
    assert ordered.amount_msat == (None if body["msat"] == "any" else body["msat"])
    assert ordered.description == body.get("description")
    assert ordered.expiry == body.get("expiry", 3600)
    assert ordered.label == body.get("label")
    assert json.loads(ordered.metadata) == body["metadata"]
    assert is_invoice_id(ordered.invoice_id("dakk", b"secret"))


@given(bad_values | good.flatmap(lambda body: bad_values.map(lambda bad: body | bad)))
def test_any_object_is_an_order_or_a_refusal_that_names_the_field(body: dict[str, Any]) -> None:
    """No other outcome is possible, and an accepted order is within the limits."""
    try:
        ordered = create_request(json.dumps(body).encode()).terms
    except (InvalidRequest, TooLarge) as refused:
        assert any(name in refused.message for name in (*FIELDS, "unknown field", "the body"))
        assert len(refused.message) < 300
    else:
        assert isinstance(ordered, InvoiceTerms)
        assert ordered.amount_msat is None or 1 <= ordered.amount_msat <= MAX_AMOUNT_MSAT


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_an_order(raw: bytes) -> None:
    try:
        create_request(raw)
    except (InvalidRequest, TooLarge) as refused:
        assert refused.message
