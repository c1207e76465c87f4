"""JSON read strictly (RFC 8259 and no more), each member's text kept as it came; JSON written compactly."""

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, NoReturn, TypeVar

from tilld.errors import InvalidRequest

Found = TypeVar("Found")

MAX_LEVELS = 32
MAX_DIGITS = 100

# The largest that both databases can store.
MAX_WHOLE = 2**63 - 1

write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_skip_space = re.compile(r"[ \t\n\r]*").match
_tokens = re.compile(r'"(?:[^"\\]|\\.)*"|[^ \t\n\r"]+').findall


class Member(NamedTuple):
    """A member of an object: its value, and its JSON text."""

    value: Any
    text: str


def members(document: bytes | str, name: str) -> dict[str, Member]:
    """Read one JSON object, with the text of each of its members; `name` is what errors call it.

    Raises InvalidRequest for all that is not one JSON object in UTF-8, with duplicate names, NaN or
    infinities, or with more than 32 levels.
    """
    return _read(document, name, _object)


def values(document: bytes | str, name: str) -> dict[str, Any]:
    """Read one JSON object, as `members` does, in a third of the time."""
    return _read(document, name, _plain_object)


def _read(document: bytes | str, name: str, read: Callable[[str], dict[str, Found]]) -> dict[str, Found]:
    try:
        text = document if isinstance(document, str) else document.decode("utf-8-sig")
        found = read(text)
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name} is not UTF-8") from None
    except json.JSONDecodeError as wrong:
        where = f" at character {wrong.pos}" if wrong.doc else ""
        raise InvalidRequest(f"{name} is not a JSON object: {wrong.msg}{where}") from None
    except RecursionError:
        raise InvalidRequest(_too_deep(name)) from None
    if _levels([each.value if isinstance(each, Member) else each for each in found.values()]) > MAX_LEVELS:
        raise InvalidRequest(_too_deep(name))
    return found


def text(value: Any) -> str:
    """A value that must be text.

    Raises ValueError, also for half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise ValueError(f"no text: {reprlib.repr(value)}")
    value.encode()
    return value


def whole(value: Any) -> int:
    """A value that must be a whole number, at least 0.

    Raises ValueError.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WHOLE:
        raise ValueError(f"no whole number: {reprlib.repr(value)}")
    return value


def same(one: str, other: str) -> bool:
    """Whether two JSON texts have the same value: neither order of names nor spelling counts."""
    return one == other or _compared.decode(one) == _compared.decode(other)


def compact(text: str) -> str:
    """The same JSON without white space; every token stays as it is."""
    return "".join(_tokens(text))


def _plain_object(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        _expect("{", text, 0)
    found: dict[str, Any] = _decoder.decode(text)
    return found


def _object(text: str) -> dict[str, Member]:
    """The members of the one object that the text is: json.loads would not tell where each stands."""
    found: dict[str, Member] = {}
    at = _expect("{", text, 0)
    while text[at : at + 1] != "}":
        if found:
            at = _expect(",", text, at)
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("expected a name in double quotes", text, at)
        key, after = _value(text, at)
        if key in found:
            raise json.JSONDecodeError(f"duplicate name {reprlib.repr(key)}", text, at)
        start = _expect(":", text, _space(text, after))
        value, end = _value(text, start)
        found[key] = Member(value, text[start:end])
        at = _space(text, end)
    at = _expect("}", text, at)
    if at != len(text):
        raise json.JSONDecodeError("text after its end", text, at)
    return found


def _expect(mark: str, text: str, at: int) -> int:
    """Where the text goes on after the mark and white space."""
    at = _space(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"expected {mark!r}", text, at)
    return _space(text, at + 1)


def _space(text: str, at: int) -> int:
    match = _skip_space(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> tuple[Any, int]:
    return _decoder.raw_decode(text, at)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise json.JSONDecodeError(f"duplicate name {reprlib.repr(twice)}", "", 0)
    return found


def _refuse(constant: str) -> NoReturn:
    raise json.JSONDecodeError(f"{constant} is not JSON", "", 0)


def _whole(digits: str) -> int | float:
    # Python refuses to read integers of thousands of digits, and nobody here needs their value.
    return int(digits) if len(digits) < MAX_DIGITS else math.copysign(math.inf, -digits.startswith("-"))


def _number(token: str) -> int | float:
    # JSON Schema counts 5000.0 and 5e3 as integers. The exponent comes first: 1e999999999 has as many digits.
    number = _decimal(token)
    if number is not None and number.adjusted() < MAX_DIGITS and number == number.to_integral_value():
        return int(number)
    return float(token)


def _decimal(token: str) -> Decimal | None:
    """A number with all of its digits; None where the exponent itself has more than 18."""
    try:
        return Decimal(token)
    except InvalidOperation:
        return None


def _comparable(token: str) -> tuple[Decimal | str]:
    # In a tuple: to Python 1 and true are equal.
    number = _decimal(token)
    return (token if number is None else number,)


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_whole, parse_float=_number
)
_compared = json.JSONDecoder(parse_int=_comparable, parse_float=_comparable)


def _levels(value: Any) -> int:
    """How deeply objects and arrays are nested in a value."""
    levels, layer = 0, [value]
    while layer := [each for each in layer if isinstance(each, dict | list)]:
        levels += 1
        layer = [inner for each in layer for inner in (each.values() if isinstance(each, dict) else each)]
    return levels


def _too_deep(name: str) -> str:
    return f"{name} has more than {MAX_LEVELS} levels"
