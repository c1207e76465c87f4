"""Strict JSON (RFC 8259, without extensions): parsing, comparison by value, compact writing."""

import codecs
import json
import math
import re
import reprlib
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec

from tilld.errors import InvalidRequest

MAX_LEVELS = 32
MAX_DIGITS = 100

# The largest integer that both databases can store.
MAX_WHOLE = 2**63 - 1

write = msgspec.json.Encoder().encode


class _WithMetadata(msgspec.Struct):
    metadata: msgspec.Raw


_with_metadata = msgspec.json.Decoder(_WithMetadata)
# msgspec rejects the escape of an unpaired surrogate, which RFC 8259 allows. Replacing its backslash by a
# byte that UTF-8 never contains hides it.
_surrogates = re.compile(rb"\\(?:(u[dD][89a-fA-F])|.)", re.DOTALL)
_HIDDEN = b"\xff"


def values(document: bytes | str, name: str) -> dict[str, Any]:
    """Parse one JSON object. Errors call it `name`. Numbers with a whole value become integers.

    Raises InvalidRequest unless it is one JSON object in UTF-8. Duplicate names, NaN, infinities and
    more than 32 levels are errors too.
    """
    try:
        text = document if isinstance(document, str) else document.decode("utf-8-sig")
        found = _object(text)
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name} is not UTF-8") from None
    except json.JSONDecodeError as wrong:
        where = f" at character {wrong.pos}" if wrong.doc else ""
        raise InvalidRequest(f"{name} is not a JSON object: {wrong.msg}{where}") from None
    except RecursionError:
        raise InvalidRequest(_too_deep(name)) from None
    if text.count("{") + text.count("[") > MAX_LEVELS and _levels(found) > MAX_LEVELS:
        raise InvalidRequest(_too_deep(name))
    return found


def metadata_of(document: bytes) -> str:
    """Return the verbatim text of the member `metadata` of a document that `values` has parsed."""
    hidden = _hide_surrogates(document.removeprefix(codecs.BOM_UTF8))
    return bytes(_with_metadata.decode(hidden).metadata).replace(_HIDDEN, b"\\").decode()


def compact(text: str) -> str:
    """Return a JSON text that `values` has parsed without white space; tokens are unchanged."""
    hidden = _hide_surrogates(text.encode())
    return msgspec.json.format(hidden, indent=-1).replace(_HIDDEN, b"\\").decode()


def _hide_surrogates(raw: bytes) -> bytes:
    if b"\\u" not in raw:
        return raw
    return _surrogates.sub(lambda escape: _HIDDEN + escape[1] if escape[1] else escape[0], raw)


def same(one: str, other: str) -> bool:
    """Return whether two JSON texts are equal by value, in any order of names and notation of numbers."""
    return one == other or _compared.decode(one) == _compared.decode(other)


def _object(text: str) -> dict[str, Any]:
    begin = len(text) - len(text.lstrip(" \t\n\r"))
    if text[begin : begin + 1] != "{":
        raise json.JSONDecodeError("expected '{'", text, begin)
    found: dict[str, Any] = _decoder.decode(text)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise json.JSONDecodeError(f"duplicate name {reprlib.repr(twice)}", "", 0)
    return found


def _refuse(constant: str) -> NoReturn:
    raise json.JSONDecodeError(f"{constant} is not JSON", "", 0)


def _whole(digits: str) -> int | float:
    # Python rejects integers of thousands of digits. No caller needs values of 100 digits or more.
    return int(digits) if len(digits) < MAX_DIGITS else math.copysign(math.inf, -digits.startswith("-"))


def _number(token: str) -> int | float:
    # JSON Schema counts 5000.0 and 5e3 as integers. The exponent first: 1e999999999 has a billion digits.
    number = _decimal(token)
    if number is not None and number.adjusted() < MAX_DIGITS and number == number.to_integral_value():
        return int(number)
    return float(token)


def _decimal(token: str) -> Decimal | None:
    """Return a number with all its digits, or None if the exponent has more than 18 digits."""
    try:
        return Decimal(token)
    except InvalidOperation:
        return None


def _comparable(token: str) -> tuple[Decimal | str]:
    # In a tuple, since 1 == True in Python.
    number = _decimal(token)
    return (token if number is None else number,)


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_whole, parse_float=_number
)
_compared = json.JSONDecoder(parse_int=_comparable, parse_float=_comparable)


def _levels(value: Any) -> int:
    """Return how deep objects and arrays are nested."""
    levels, layer = 0, [value]
    while layer := [each for each in layer if isinstance(each, dict | list)]:
        levels += 1
        layer = [inner for each in layer for inner in (each.values() if isinstance(each, dict) else each)]
    return levels


def _too_deep(name: str) -> str:
    return f"{name} has more than {MAX_LEVELS} levels"
