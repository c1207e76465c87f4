"""Compares a request with an earlier one with the same label. Pure."""

from collections.abc import Mapping

from tilld.errors import Conflict
from tilld.formats import strict_json


def check_repeats(stored: object, wanted: object, made: str, fields: Mapping[str, str]) -> None:
    """Check that a request repeats the one that created a stored row.

    `fields` maps names of the API to attributes of both. `metadata` is compared as JSON.
    Raises Conflict, naming `made` and the fields that differ.
    """
    differing = [
        name
        for name, attribute in fields.items()
        if not _is_same(attribute, getattr(stored, attribute), getattr(wanted, attribute))
    ]
    if differing:
        raise Conflict(f"label is in use for {made} with another {' and '.join(differing)}")


def _is_same(attribute: str, one: object, other: object) -> bool:
    if attribute == "metadata":
        return strict_json.same(str(one), str(other))
    return one == other
