"""Amounts in every form of the manual page: read exactly, or rejected."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilld.errors import InvalidRequest
from tilld.formats import amounts

WHOLE = st.integers(0, 10**25)
MSAT_OF = {"": 1, "msat": 1, "sat": 1000, "btc": 100_000_000_000}


def digits(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=least, max_size=most)


FORMS = st.one_of(
    st.tuples(WHOLE.map(str), st.sampled_from(["", "msat", "sat"])),
    st.tuples(st.builds("{}.{}".format, WHOLE, digits(3, 3)), st.just("sat")),
    st.tuples(st.builds("{}.{}".format, WHOLE, digits(1, 11)), st.just("btc")),
)


@given(FORMS)
def test_an_amount_is_read_exactly(form: tuple[str, str]) -> None:
    """Every digit counts, however large the number is."""
    number, unit = form

    assert amounts.msat(number + unit, "amount") == Fraction(number) * MSAT_OF[unit]


@given(WHOLE)
def test_a_number_is_millisatoshi(number: int) -> None:
    assert amounts.msat(number, "amount") == number


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    try:
        assert amounts.msat(text, "amount") == int(text.removesuffix("msat"))
    except InvalidRequest as refused:
        assert "amount must be a whole number of millisatoshi" in refused.message


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("10000sat", 10_000_000), ("1000msat", 1000), ("0.00001btc", 1_000_000), ("1.001sat", 1001),
        ("20999999.99999999999btc", 2_099_999_999_999_999_999), ("0.1btc", 10_000_000_000), ("007", 7),
    ],
)  # fmt: skip
def test_some_amounts(text: str, exact: int) -> None:
    assert amounts.msat(text, "amount") == exact


@pytest.mark.parametrize(
    "text",
    ["1.5sat", "1.sat", ".001sat", "1.0000sat", "1btc", "0.000000000001btc", "1.5", "1.5msat", "1 sat",
     " 1", "1\n", "-1", "+1", "1e3", "0x1", "٣", "1_000", "1,5btc", "1SAT", "", "sat", "9" * 31],
)  # fmt: skip
def test_no_amounts(text: str) -> None:
    with pytest.raises(InvalidRequest, match="amount must be"):
        amounts.msat(text, "amount")
