"""The strict reader of JSON objects."""

import json
import math
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.json_values import json_values
from tilld.errors import InvalidRequest
from tilld.formats.strict_json import MAX_LEVELS, compact, metadata_of, same, values, write


def by_value(token: str) -> int | float:
    """Return a whole number below 10**100 as an integer, in any notation."""
    exact = Fraction(token)
    return int(exact) if exact.denominator == 1 and abs(exact) < 10**100 else float(token)


@given(st.dictionaries(st.text(), json_values), st.sampled_from([None, 1, "\t", "\r\n"]), st.booleans())
def test_every_object_is_read_unchanged(
    document: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    """Members have the values that Python reads, with any white space and escapes."""
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)

    assert values(text, "the body") == values(text.encode(), "the body")
    assert values(text, "the body") == json.loads(text, parse_float=by_value)


@given(
    st.dictionaries(st.text(), json_values),
    json_values,
    st.sampled_from([None, 1, "\t", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_metadata_keeps_its_text(
    others: dict[str, Any], value: Any, indent: int | str | None, ascii_only: bool, has_mark: bool
) -> None:
    """The text is the same byte for byte, at any position."""
    written = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    rest = json.dumps({name: each for name, each in others.items() if name != "metadata"})[1:]
    comma = "" if rest == "}" else ","
    document = f'{{ "metadata" : {written} {comma}{rest}'.encode("utf-8-sig" if has_mark else "utf-8")

    assert metadata_of(document) == written


@given(json_values)
def test_writing_equals_pythons_compact_output(value: Any) -> None:
    """Floats are excluded: they have several forms, and Till writes none."""
    wanted = json.loads(json.dumps(value), parse_float=lambda _: None)

    assert write(wanted).decode() == json.dumps(wanted, ensure_ascii=False, separators=(",", ":"))


@given(json_values)
def test_compacting_equals_pythons_compact_output(value: Any) -> None:
    """Only white space between tokens is removed."""
    assert compact(json.dumps(value, indent=3)) == json.dumps(value, separators=(",", ":"))


@given(st.binary())
def test_any_bytes_are_an_object_or_an_invalid_request(raw: bytes) -> None:
    """No input raises another exception."""
    try:
        values(raw, "the body")
    except InvalidRequest as refused:
        assert refused.message.startswith("the body ")
    else:
        assert isinstance(json.loads(raw), dict)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "expected '{'"),
        (b"[]", "expected '{'"),
        (b"null", "expected '{'"),
        # Python's own message, which varies with its version.
        (b'{"a":1,}', "at character"),
        (b'{,"a":1}', "at character 1"),
        (b'{"a":1 "b":2}', "at character 7"),
        (b"{a:1}", "at character 1"),
        (b"{'a':1}", "at character 1"),
        (b'{"a"}', "at character 4"),
        (b'{"a":01}', "at character 6"),
        (b'{"a":1.}', "at character 6"),
        (b'{"a":.5}', "Expecting value"),
        (b'{"a":+1}', "Expecting value"),
        (b'{"a":\x0b1}', "Expecting value"),
        (b'{"a":"\x00"}', "Invalid control character"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":[-Infinity]}', "-Infinity is not JSON"),
        (b'{"a":1}x', "Extra data"),
        (b'{"a":1}{}', "Extra data"),
        (b'{"a":1', "at character 6"),
        (b'{"a":1,"a":2}', "duplicate name 'a'"),
        (b'{"a":1,"\\u0061":2}', "duplicate name 'a'"),
        (b'{"b":{"a":1,"a":2}}', "duplicate name 'a'"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":' + b"[" * 60_000, "more than 32 levels"),
        (b'{"a":' + b"[" * MAX_LEVELS + b"]" * MAX_LEVELS + b"}", "more than 32 levels"),
    ],
)
def test_a_malformed_object_is_refused(document: bytes, says: str) -> None:
    """The message says what is wrong, and where."""
    with pytest.raises(InvalidRequest, match="the body") as refused:
        values(document, "the body")
    assert says in refused.value.message


@pytest.mark.parametrize("text", ["", " ", "[]", "nothing", "1", "'", '{"a":1} {}', "{", "{]"])
def test_text_is_refused_as_bytes_are(text: str) -> None:
    for document in (text, text.encode()):
        with pytest.raises(InvalidRequest, match="the body is not a JSON object"):
            values(document, "the body")


def test_a_value_other_than_an_object_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"expected '\{' at character 1"):
        values(" []", "metadata")


def test_32_levels_are_read() -> None:
    """The limit itself is allowed: the object is one level, the arrays are the others."""
    arrays = "[" * (MAX_LEVELS - 1) + "]" * (MAX_LEVELS - 1)

    assert json.dumps(values(f'{{"a":{arrays}}}', "the body")["a"]) == arrays


def test_brackets_in_a_string_are_no_levels() -> None:
    assert values(json.dumps({"a": "[" * 100}), "the body") == {"a": "[" * 100}


def test_tokens_are_copied_unchanged() -> None:
    """Numbers and escapes are copied: 1.0 stays 1.0, and a long number keeps every digit."""
    tokens = (
        '[1.0,1e400,-0,10000000000000000000000000000001,"\\u00e9\\/","é","\\ud83d\\ude00","\\ud800",'
        '"\\uDFFF","\\\\ud800","\\\\","\\""]'
    )

    spaced = tokens.replace(",", " , ")

    assert metadata_of(f'{{"metadata" : {spaced}}}'.encode()) == spaced
    assert compact(spaced) == tokens


def test_a_number_of_thousands_of_digits_is_read() -> None:
    """Python's own limit would reject the number."""
    digits = "9" * 5000

    assert values(f'{{"metadata":{digits}}}', "the body")["metadata"] == math.inf
    assert metadata_of(f'{{"metadata":{digits}}}'.encode()) == digits


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("5000.0", 5000), ("5e3", 5000), ("-5E+3", -5000), ("50000e-1", 5000), ("0e9", 0), ("-0.0", 0),
        ("9007199254740993.0", 2**53 + 1), ("1.8446744073709551615e19", 2**64 - 1),
        ("9223372036854775807." + "0" * 60_000, 2**63 - 1),
    ],
)  # fmt: skip
def test_a_whole_number_in_any_notation_is_an_integer(number: str, value: int) -> None:
    """JSON Schema defines integers by value; every digit is kept."""
    [found] = values(f'{{"a":{number}}}', "the body").values()

    assert (type(found), found) == (int, value)


@pytest.mark.parametrize(
    "number",
    [
        "1.5", "9007199254740993.5", "1." + "0" * 60_000 + "1", "1e-1", "1e999999999",
        "-1e999999999999999999", "1e-999999999999999999", "1e99999999999999999999", "1e-99999999999999999999",
        "0.1e" + "9" * 60_000,
    ],
)  # fmt: skip
def test_fractions_and_huge_exponents_are_not_integers(number: str) -> None:
    """A huge exponent takes no extra time."""
    started = time.process_time()

    [found] = values(f'{{"a":{number}}}', "the body").values()

    assert isinstance(found, float)
    assert same(f"[{number},1]", f"[{number},1.0]")
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}'),
        ('["é/","\\n"]', '["\\u00e9\\/","\\u000a"]'),
        ("[100,0,0.5,1e999999999]", "[1e2,-0.0,5E-1,10e999999998]"),
        ("12345678901234567890123456789012345", "1234567890123456789012345678901234500e-2"),
    ],
)
def test_the_same_value_may_be_spelled_in_many_ways(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1]", "[true]"), ("[0]", "[false]"), ("[0]", "[null]"), ("[0]", '["0"]'), ("[]", "{}"),
        ("[1,2]", "[2,1]"), ('{"a":1}', '{"a":1,"b":null}'), ('["e\u0301"]', '["\u00e9"]'),
        ("[12345678901234567890123456789012345]", "[12345678901234567890123456789012346]"),
        ("[0.1]", "[0.1000000000000000055511151231257827]"), ("[1e400]", "[1e401]"),
        ("[1e99999999999999999999]", '["1e99999999999999999999"]'),
    ],
)  # fmt: skip
def test_other_values_are_not_the_same(one: str, other: str) -> None:
    """Floats keep every digit, and true differs from 1."""
    assert not same(one, other)


@given(json_values, st.sampled_from([None, 1]), st.booleans())
def test_every_value_is_the_same_as_itself(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    assert same(json.dumps(value), json.dumps(value, indent=indent, ensure_ascii=ascii_only, sort_keys=True))


def test_long_names_are_not_echoed() -> None:
    """Every error fits in a header."""
    name = "x" * 10_000

    with pytest.raises(InvalidRequest) as refused:
        values(f'{{"{name}":1,"{name}":2}}', "the body")

    assert len(refused.value.message) < 200


def test_many_names_take_linear_time() -> None:
    """A body of 64 KiB, with a duplicate at the end, must not delay other callers."""

    def seconds(count: int) -> float:
        names = ",".join(f'"{number}":1' for number in range(count))
        started = time.process_time()
        with pytest.raises(InvalidRequest, match=f"duplicate name '{count - 1}'"):
            values(f'{{"a":{{{names},"{count - 1}":1}}}}', "the body")
        return time.process_time() - started

    # For 8 times as many names a linear reader takes 8 times as long, a quadratic one 64 times.
    # One fast run suffices: other processes can only add to the time.
    assert any(seconds(8000) < 24 * seconds(1000) for _ in range(20))
