"""lightningd's replies as types, which also define the fields to request."""

from functools import cache
from typing import Annotated, Any, cast

from msgspec import Meta, Struct, inspect, structs

from tilld.formats.strict_json import MAX_WHOLE
from tilld.formats.times import LAST, unix_seconds

Whole = Annotated[int, Meta(ge=0, le=MAX_WHOLE)]
# Since 1970. lightningd accepts expiries beyond the last year of datetime.
Seconds = Annotated[int, Meta(ge=0, le=unix_seconds(LAST))]
# Versions before v23.08 append "msat" to the number.
Msat = Whole | Annotated[str, Meta(pattern=r"\A[0-8]?[0-9]{1,18}(msat)?\Z")]
# An untrusted amount of up to 64 bits.
AnyMsat = Annotated[int, Meta(ge=0)] | Annotated[str, Meta(pattern=r"\A[0-9]{1,20}(msat)?\Z")]


class Reply(Struct, frozen=True):
    """A result, or a row of one. Other fields are ignored."""

    def __post_init__(self) -> None:
        # lightningd passes unpaired surrogates through. Neither database can store them.
        for value in structs.astuple(self):
            if value.__class__ is str:
                value.encode()


@cache
def fields(reply: type[Struct]) -> dict[str, Any]:
    """Return the filter that requests only the fields of a reply (lightningd-rpc(7))."""
    return cast("dict[str, Any]", _filter(inspect.type_info(reply)))


def _filter(field: inspect.Type) -> Any:
    match field:
        case inspect.StructType():
            return {each.encode_name: _filter(each.type) for each in field.fields}
        case inspect.UnionType():
            # For an object, lightningd takes true as a filter that names none of its members.
            return next((each for each in map(_filter, field.types) if each is not True), True)
        case inspect.ListType() | inspect.VarTupleType():
            return [_filter(field.item_type)]
        case _:
            return True


def msat(amount: int | str) -> int:
    """Return an amount in millisatoshi."""
    return amount if isinstance(amount, int) else int(amount.removesuffix("msat"))
