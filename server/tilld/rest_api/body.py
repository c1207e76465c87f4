"""Reads the body of a request: one JSON object, and its members."""

import reprlib
from collections.abc import Collection
from typing import Any

from tilld.errors import InvalidRequest, TooLarge
from tilld.formats import strict_json
from tilld.formats.strict_json import Member

MAX_BODY_BYTES = 64 * 1024


def object_of(body: bytes, known: Collection[str], *, required: Collection[str]) -> dict[str, Member]:
    """Read a body that is one JSON object: what is required must be there, and nothing unknown.

    Null for what is optional means that it is absent. Raises InvalidRequest or TooLarge.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body must have at most {MAX_BODY_BYTES} bytes")
    members = strict_json.members(body, "the body")
    for name in members.keys() - known:
        raise InvalidRequest(f"unknown field {reprlib.repr(name)}: there are {', '.join(known)}")
    for name in required:
        if name not in members:
            raise InvalidRequest(f"{name} is missing")
    return {name: each for name, each in members.items() if each.value is not None or name in required}


def text(values: dict[str, Any], name: str) -> str | None:
    """A member that must be a string, if it is there. Raises InvalidRequest."""
    value = values.get(name)
    if name in values and not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string")
    return value


def flag(values: dict[str, Any], name: str) -> bool | None:
    """A member that must be true or false, if it is there. Raises InvalidRequest."""
    value = values.get(name)
    if name in values and not isinstance(value, bool):
        raise InvalidRequest(f"{name} must be true or false")
    return value


def whole(values: dict[str, Any], name: str, what: str = "a whole number") -> int | None:
    """A member that must be a whole number, if it is there; `what` says of what. Raises InvalidRequest."""
    value = values.get(name)
    if name in values and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidRequest(f"{name} must be {what}")
    return value


def label(values: dict[str, Any], idempotency_key: str | None) -> str | None:
    """The label, which the header Idempotency-Key may give as well. Raises InvalidRequest."""
    given = text(values, "label")
    if given is None or idempotency_key in (None, given):
        return idempotency_key if given is None else given
    raise InvalidRequest("label and the header Idempotency-Key differ: give one of them")


def seconds(values: dict[str, Any], name: str) -> float | None:
    """A member that must be a number of seconds, if it is there. Raises InvalidRequest."""
    value = values.get(name)
    if name in values and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise InvalidRequest(f"{name} must be a number of seconds")
    return value
