"""Reads the JSON object in a request's body as a type, which also generates the OpenAPI document."""

import reprlib
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct, UnsetType, inspect, structs

from tilld.errors import InvalidRequest, TooLarge
from tilld.formats import strict_json

MAX_BODY_BYTES = 64 * 1024

Body = TypeVar("Body", bound=Struct)

# msgspec raises the second for an unpaired surrogate in place of a number.
_MISMATCH = (msgspec.ValidationError, UnicodeEncodeError)
_MUST_BE: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.RawType: "an object",
    inspect.StrType: "a string",
}


def read(body: bytes, kind: type[Body]) -> Body:
    """Return a body as a type. Null for an optional field means absent; metadata stays text.

    Raises InvalidRequest or TooLarge, which name the field.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body must have at most {MAX_BODY_BYTES} bytes")
    values = strict_json.values(body, "the body")
    # msgspec cannot report a name with an unpaired surrogate.
    for name in values.keys() - set(kind.__struct_encode_fields__):
        raise InvalidRequest(
            f"unknown field {reprlib.repr(name)}; the fields are {', '.join(kind.__struct_encode_fields__)}"
        )
    if None in values.values():
        optional = kind.__struct_fields__[len(kind.__struct_fields__) - len(kind.__struct_defaults__) :]
        values = {name: each for name, each in values.items() if each is not None or name not in optional}
    if isinstance(values.get("metadata"), dict):
        values["metadata"] = Raw(strict_json.metadata_of(body))
    try:
        return msgspec.convert(values, kind)
    except _MISMATCH:
        raise InvalidRequest(_complaint(values, kind)) from None


def label(given: str | UnsetType, idempotency_key: str | None) -> str | None:
    """Return the label from the body or the header Idempotency-Key. Raises InvalidRequest."""
    if isinstance(given, UnsetType):
        return idempotency_key
    if idempotency_key in (None, given):
        return given
    raise InvalidRequest("label and the header Idempotency-Key differ; send one of them")


def _complaint(values: dict[str, Any], kind: type[Struct]) -> str:
    """Return which field is missing or has the wrong type."""
    for field in structs.fields(kind):
        name = field.encode_name
        if name in values:
            try:
                msgspec.convert(values[name], field.type)
            except _MISMATCH:
                return f"{name} must be {_must_be(field.type)}"
        elif field.required:
            return f"{name} is missing"
    raise AssertionError(f"every field of {kind.__name__} is as it must be")


def _must_be(annotation: Any) -> str:
    field = inspect.type_info(annotation)
    extra: dict[str, Any] = {}
    while isinstance(field, inspect.Metadata):
        extra, field = field.extra or extra, field.type
    return extra.get("must_be") or _MUST_BE[type(field)]
