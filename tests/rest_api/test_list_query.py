"""The query parameters of lists: any text is read, or refused with the name of its parameter."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from till_rest.v1 import invoice_service_pb2 as pb
from tilld.errors import InvalidRequest, TooLarge
from tilld.lists.terms import MAX_PAGE_SIZE
from tilld.rest_api import list_query

NAMES = [field.name for field in pb.ListInvoicesRequest.DESCRIPTOR.fields]
# What an error may name besides the parameter itself.
ALIASES = {"payreq": "payreq|rhash"}
plausible = st.sampled_from(
    ["", "0", "7", "paid", "-paid", "a:b", "ab" * 32, "UTC", "2026-11-26", "9998-12-31T23:59:59-23:59"]
)  # fmt: skip
texts = plausible | st.text(st.characters(codec="utf-8"), max_size=300)


@given(st.dictionaries(st.sampled_from(NAMES), texts, max_size=5))
def test_any_text_is_read_or_refused_by_its_name(query: dict[str, str]) -> None:
    """No text causes an internal error."""
    fields: dict[str, Any] = query | ({"status": [query["status"]]} if "status" in query else {})
    try:
        terms = list_query.list_terms(pb.ListInvoicesRequest(**fields))
    except (InvalidRequest, TooLarge) as refused:
        assert any(re.search(rf"\b({ALIASES.get(name, name)})\b", refused.message) for name in query)
    else:
        assert 1 <= terms.page_size <= MAX_PAGE_SIZE


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("007", 7), ("1000", 1000), ("1001", 1000)])
def test_a_limit_beyond_the_largest_page_is_the_largest_page(text: str, size: int) -> None:
    assert list_query.list_terms(pb.ListInvoicesRequest(limit=text)).page_size == size


def test_a_date_begins_in_the_time_zone() -> None:
    query = pb.ListInvoicesRequest(created_from="2026-11-26", paid_to="2026-11-26T00:00:00Z", tz="Asia/Tokyo")

    wanted = list_query.list_terms(query).filter

    assert str(wanted.created.start) == "2026-11-25 15:00:00+00:00"
    assert str(wanted.paid.end) == "2026-11-26 00:00:00+00:00"
