"""Headers of requests, and bodies of responses."""

import re
from typing import Any

import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from tilld.errors import InvalidRequest

Context = grpc.aio.ServicerContext[Any, Any]

# RFC 8941, section 3.3.3.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')


def json_body(data: bytes) -> HttpBody:
    """Return JSON as the body of a response."""
    return HttpBody(content_type="application/json", data=data)


def header(context: Context, name: str) -> str | None:
    """Return the last value of a header, or None."""
    return next(reversed(_values(context, name)), None)


def idempotency_key(context: Context) -> str | None:
    """Return the header Idempotency-Key, or None.

    Accepts a plain value, or a quoted string (draft-ietf-httpapi-idempotency-key-header). Raises
    InvalidRequest if the header is malformed or repeated.
    """
    given = _values(context, "idempotency-key")
    if len(given) > 1:
        raise InvalidRequest("the header Idempotency-Key is repeated; send it once")
    return _unquoted(given[0]) if given else None


def _values(context: Context, wanted: str) -> list[str]:
    return [str(value) for name, value in context.invocation_metadata() or () if name == wanted]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    string = _STRING.fullmatch(value)
    if not string:
        raise InvalidRequest(
            "the header Idempotency-Key is not a string of RFC 8941; close it with a quotation mark, "
            "and escape those within by a backslash"
        )
    return re.sub(r"\\(.)", r"\1", string[1])
