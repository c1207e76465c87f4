"""Fields of requests and responses, as the OpenAPI document describes them.

The limits here are for the document only. The domain checks the terms of both APIs, with the same errors.
"""

from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Raw, UnsetType

from tilld.formats.amounts import FORMS, MAX_AMOUNT_MSAT
from tilld.formats.text import MAX_LABEL_BYTES

Value = TypeVar("Value")


def given(value: Value | UnsetType) -> Value | None:
    """Return the value of an optional field, or None if absent."""
    return None if isinstance(value, UnsetType) else value


def optional(value: Value | None) -> Value | UnsetType:
    """Return a value for an optional field; None becomes absent."""
    return UNSET if value is None else value


def described(description: str, *, must_be: str | None = None, **schema: Any) -> Meta:
    """Describe a field; `must_be` completes the error message for a wrong type."""
    extra = {"must_be": must_be} if must_be else None
    return Meta(description=description, extra_json_schema=schema or None, extra=extra)


def component(name: str, **schema: Any) -> Meta:
    """Name a type as a component of the document."""
    return Meta(title=name, extra_json_schema=schema)


LINE = "^[^\\u0000-\\u001f]*$"
TEXT = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f]*$"
HASH = "^[0-9a-f]{64}$"
PUBLIC_ID = "^[A-Za-z0-9_~]{21}$"

Label = Annotated[
    str,
    component("Label", minLength=1, maxLength=MAX_LABEL_BYTES, pattern=LINE),
    described(
        "Your own name for it, unique per user: a retry with the same label and request is safe. "
        f"1 to {MAX_LABEL_BYTES} bytes without control characters."
    ),
]

Metadata = Annotated[
    Raw,
    component(
        "Metadata",
        type="object",
        additionalProperties=True,
        required=["type"],
        properties={"type": {"type": "string", "description": "Names your application."}},
    ),
    described("Data of your application, returned unchanged with the invoice: at most 16 KiB of JSON."),
]

Amount = Annotated[
    Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_AMOUNT_MSAT})]
    | Annotated[
        str,
        Meta(
            extra_json_schema={
                "pattern": "^([0-9]{1,30}(msat|sat)?|[0-9]{1,30}\\.[0-9]{3}sat|[0-9]{1,30}\\.[0-9]{1,11}btc)$"
            }
        ),
    ],
    component("Amount"),
    described(
        'A number of millisatoshi, or a string such as `"1000msat"`, `"10000sat"`, `"1.000sat"` (three '
        'decimals), `"0.00001btc"` (1 to 11 decimals).',
        must_be=FORMS,
    ),
]

Time = Annotated[
    str,
    component("Time", format="date-time", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
]

# Types with their own component in the document.
COMPONENTS = (Amount, Label, Metadata, Time)


def extensible(values: Any) -> dict[str, Any]:
    """Declare the values of a string, which later versions may extend."""
    return {"x-extensible-enum": [*values]}
