"""Repeated requests: the same one again, or a different one."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tilld.errors import Conflict
from tilld.formats.repeats import check_repeats

FIELDS = {"amount": "msat", "metadata": "metadata"}


@dataclass(frozen=True)
class Thing:
    msat: int | None = 5
    metadata: str = '{"a":1,"b":2}'
    other: int = 1


@pytest.mark.parametrize("same", [Thing(), Thing(other=2), Thing(metadata='{ "b": 2, "a": 1.0 }')])
def test_only_the_fields_count_and_metadata_is_compared_as_json(same: Thing) -> None:
    check_repeats(Thing(), same, "a thing", FIELDS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"msat": None}, "amount"),
        ({"metadata": '{"a":true,"b":2}'}, "metadata"),
        ({"msat": 6, "metadata": "{}"}, "amount and metadata"),
    ],
)
def test_the_error_names_every_differing_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(Conflict, match=f"^label is in use for a thing with another {named}$"):
        check_repeats(Thing(), replace(Thing(), **changes), "a thing", FIELDS)
