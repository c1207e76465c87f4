"""Statements on a database: compiled once, since building a query costs more than running it."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import peewee


class Bound(NamedTuple):
    """SQL in the dialect of a database, and the values of its placeholders."""

    sql: str
    values: Sequence[Any] = ()


# Called with the values of all placeholders by name. Raises TypeError where one is missing or unknown.
Statement = Callable[..., Bound]


class _Placeholder(NamedTuple):
    name: str
    # What gives its value, or, with a star, those of all that stand side by side.
    code: str


def param(name: str, at: int | None = None) -> peewee.Value:
    """Return a placeholder for a query: its value is given by name, or is the item `at` of what is given."""
    return _value(_Placeholder(name, name if at is None else f"{name}[{at}]"))


def param_list(name: str, length: int) -> list[peewee.Value]:
    """Return placeholders side by side, for all items of a sequence that is given by name."""
    return [_value(_Placeholder(name, f"*{name}"))] * length


def params(table: type[peewee.Model]) -> dict[peewee.Field, peewee.Value]:
    """Return a placeholder for each column of a table, named as the column, for an insert."""
    return {field: param(field.name) for field in table._meta.sorted_fields}


def whole_rows(table: type[peewee.Model], count: int = 1) -> list[dict[peewee.Field, peewee.Value]]:
    """Return placeholders for an insert of rows with all columns; the sequence `values` has all of them."""
    [value] = param_list("values", 1)
    return [dict.fromkeys(table._meta.sorted_fields, value)] * count


def compiled(query: peewee.Query) -> Statement:
    """Compile a query. Values that it has itself stay what they are."""
    sql, values = query.sql()
    names = dict.fromkeys(each.name for each in values if isinstance(each, _Placeholder))
    items = [each.code if isinstance(each, _Placeholder) else f"own[{at}]" for at, each in enumerate(values)]
    # A sequence is taken as a whole.
    items = [item for item, group in groupby(items) for item in ([item] if item.startswith("*") else group)]
    signature = f"*, {', '.join(names)}" if names else ""
    source = f"lambda {signature}: Bound(sql, ({''.join(f'{each}, ' for each in items)}))"
    # Written as code, as dataclasses are: to look up each name would take 0.6 us of a read of 10 us.
    statement: Statement = eval(source, {"Bound": Bound, "sql": sql, "own": values})  # noqa: S307
    return statement


def _value(placeholder: _Placeholder) -> peewee.Value:
    return peewee.Value(placeholder, converter=False, unpack=False)


Item = TypeVar("Item")


def padded(items: Sequence[Item]) -> list[Item]:
    """The items, and the last one again and again: a few lengths only, or each would be another statement."""
    return [*items, *[items[-1]] * ((1 << (len(items) - 1).bit_length()) - len(items))]


class Transactions:
    """Statements on one database, on the calling thread. To do a transaction twice does no harm."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database

    def rows(self, statement: Bound) -> list[tuple[Any, ...]]:
        """Run a statement; returns its rows."""
        # Straight at the connection: Peewee's own way adds a third to a read, and translates the
        # errors of a statement, but not those of reading its rows.
        try:
            cursor = self._database.connection().execute(*statement)  # type: ignore[no-untyped-call]
            try:
                rows: list[tuple[Any, ...]] = cursor.fetchall()
            finally:
                # Or a read that fails would keep its connection in the past until the failure is forgotten.
                cursor.close()
        except Exception:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                raise
        return rows

    def execute(self, statement: Bound) -> Any:
        """Run a statement; returns its cursor."""
        return self._database.execute_sql(*statement)  # type: ignore[no-untyped-call]
