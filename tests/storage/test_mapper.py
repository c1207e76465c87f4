"""Records and rows: fields map to columns by name, independent of the order of both."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import pytest
from peewee import BigIntegerField, BooleanField, CharField, Model

from tests.support.samples import NOON
from tilld.formats.times import LAST, unix_seconds
from tilld.storage.mapper import Conversion, Mapper


class Table(Model):
    used = BooleanField()
    id = CharField()
    label = CharField(null=True)
    colour = CharField()
    made_at = BigIntegerField()
    ended_at = BigIntegerField(null=True)
    reference = CharField(null=True)
    tags = CharField()
    number = BigIntegerField(null=True)
    paid_at = BigIntegerField(null=True)


class Colour(StrEnum):
    RED = "red"


class Paid(NamedTuple):
    number: int
    paid_at: datetime


class Record(NamedTuple):
    id: str
    reference: str
    label: str | None
    made_at: datetime
    ended_at: datetime | None
    paid: Paid | None
    tags: frozenset[str]
    colour: Colour
    used: bool = False
    age: int = 7


MAPPER = Mapper(Table, Record, tags=Conversion(" ".join, lambda text: frozenset(text.split())))
BARE = Record("i", "", None, NOON, None, None, frozenset("a"), Colour.RED)
FULL = BARE._replace(reference="r", label="", ended_at=LAST, paid=Paid(0, NOON), used=True)
SECONDS = unix_seconds(NOON)


def test_a_row_has_the_columns_in_the_order_of_the_table() -> None:
    assert MAPPER.row(BARE) == (False, "i", None, "red", SECONDS, None, None, "a", None, None)
    last = unix_seconds(LAST)
    assert MAPPER.row(FULL) == (True, "i", "", "red", SECONDS, last, "r", "a", 0, SECONDS)
    assert MAPPER.at("colour") == 3


@pytest.mark.parametrize("record", [BARE, FULL])
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Fields that are not stored get their default; SQLite has no booleans."""
    row = MAPPER.row(record._replace(age=8))

    read = MAPPER.record((int(row[0]), *row[1:]))

    assert read == record
    assert [type(value) for value in read] == [type(value) for value in record]


@pytest.mark.parametrize("half", [(1, None), (None, 1)])
def test_columns_of_a_group_have_all_values_or_none(
    half: tuple[int | None, int | None],
) -> None:
    with pytest.raises(ValueError, match="belong together"):
        MAPPER.record((*MAPPER.row(BARE)[:-2], *half))


def test_a_column_without_a_field_is_found_when_the_mapper_is_made() -> None:
    class Other(NamedTuple):
        id: str

    with pytest.raises(KeyError):
        Mapper(Table, Other)
