"""SQL statements, compiled once, since building a query costs more than running it."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import peewee


class Bound(NamedTuple):
    """SQL in the dialect of a database, with the values of its placeholders."""

    sql: str
    values: Sequence[Any] = ()


# Called with all placeholders' values by name. Raises TypeError if a name is missing or unknown.
Statement = Callable[..., Bound]


class _Placeholder(NamedTuple):
    name: str
    # The expression of the value; with a star, the expression of all adjacent values.
    code: str


def param(name: str, at: int | None = None) -> peewee.Value:
    """Return a placeholder for a query, whose value is the argument `name`, or its item `at`."""
    return _value(_Placeholder(name, name if at is None else f"{name}[{at}]"))


def param_list(name: str, length: int) -> list[peewee.Value]:
    """Return adjacent placeholders for all items of the sequence argument `name`."""
    return [_value(_Placeholder(name, f"*{name}"))] * length


def params(table: type[peewee.Model]) -> dict[peewee.Field, peewee.Value]:
    """Return a placeholder for each column of a table, under the column's name, for an insert."""
    return {field: param(field.name) for field in table._meta.sorted_fields}


def whole_rows(table: type[peewee.Model], count: int = 1) -> list[dict[peewee.Field, peewee.Value]]:
    """Return placeholders for an insert of complete rows; the sequence `values` has all their columns."""
    [value] = param_list("values", 1)
    return [dict.fromkeys(table._meta.sorted_fields, value)] * count


def compiled(query: peewee.Query) -> Statement:
    """Compile a query. Its own values stay constant."""
    sql, values = query.sql()
    names = dict.fromkeys(each.name for each in values if isinstance(each, _Placeholder))
    items = [each.code if isinstance(each, _Placeholder) else f"own[{at}]" for at, each in enumerate(values)]
    # A sequence fills all its adjacent placeholders.
    items = [item for item, group in groupby(items) for item in ([item] if item.startswith("*") else group)]
    signature = f"*, {', '.join(names)}" if names else ""
    source = f"lambda {signature}: Bound(sql, ({''.join(f'{each}, ' for each in items)}))"
    # Generated code, as in dataclasses: a lookup of each name would take 0.6 us of a read of 10 us.
    statement: Statement = eval(source, {"Bound": Bound, "sql": sql, "own": values})  # noqa: S307
    return statement


def _value(placeholder: _Placeholder) -> peewee.Value:
    return peewee.Value(placeholder, converter=False, unpack=False)


Item = TypeVar("Item")


def padded(items: Sequence[Item]) -> list[Item]:
    """Return the items, with the last one repeated up to a power of two, so that few statements suffice."""
    return [*items, *[items[-1]] * ((1 << (len(items) - 1).bit_length()) - len(items))]


class Transactions:
    """Idempotent transactions on one database, on the calling thread."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database

    def rows(self, statement: Bound) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""
        # Uses the connection directly: Peewee's own path makes a read a third slower. Peewee translates the
        # errors of a statement, but not those of reading its rows.
        try:
            cursor = self._database.connection().execute(*statement)  # type: ignore[no-untyped-call]
            try:
                rows: list[tuple[Any, ...]] = cursor.fetchall()
            finally:
                # Otherwise a failed read would keep its snapshot open until the exception is freed.
                cursor.close()
        except Exception:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                raise
        return rows

    def execute(self, statement: Bound) -> Any:
        """Run a statement; return its cursor."""
        return self._database.execute_sql(*statement)  # type: ignore[no-untyped-call]
