"""The header Idempotency-Key, as it is or as a quoted string (draft-ietf-httpapi-idempotency-key-header)."""

import re
from typing import Any

import grpc.aio

from tilld.errors import InvalidRequest

# RFC 8941, section 3.3.3.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


def idempotency_key(context: grpc.aio.ServicerContext[Any, Any]) -> str | None:
    """Return the key of a call, or None. Raises InvalidRequest where it is malformed, or comes twice."""
    given = [str(value) for name, value in context.invocation_metadata() or () if name == "idempotency-key"]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest("the header Idempotency-Key comes more than once: send one")
    return plain(given[0])


def plain(value: str) -> str:
    """Read a value: what begins with a quotation mark is a string of RFC 8941. Raises InvalidRequest."""
    if not value.startswith('"'):
        return value
    string = _STRING.fullmatch(value)
    if not string:
        raise InvalidRequest(
            "the header Idempotency-Key is no string of RFC 8941: close it with a quotation mark, "
            "and put a backslash before those within"
        )
    return re.sub(r"\\(.)", r"\1", string[1])
