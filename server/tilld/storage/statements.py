"""Statements on a database: compiled once, since building a query costs more than running it."""

from collections.abc import Sequence
from typing import Any, TypeVar

import peewee


def compiled(query: Any) -> str:
    """The SQL of a query; its parameters come in the order in which it names columns."""
    text: str = query.sql()[0]
    return text


Item = TypeVar("Item")


def padded(items: Sequence[Item]) -> list[Item]:
    """The items, and the last one again and again: a few lengths only, or each would be another statement."""
    return [*items, *[items[-1]] * ((1 << (len(items) - 1).bit_length()) - len(items))]


class Transactions:
    """Statements on one database, on the calling thread. To do a transaction twice does no harm."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement; returns its rows."""
        # Straight at the connection: Peewee's own way adds a third to a read, and translates the
        # errors of a statement, but not those of reading its rows.
        try:
            cursor = self._database.connection().execute(sql, values)  # type: ignore[no-untyped-call]
            try:
                rows: list[tuple[Any, ...]] = cursor.fetchall()
            finally:
                # Or a read that fails would keep its connection in the past until the failure is forgotten.
                cursor.close()
        except Exception:
            with peewee.__exception_wrapper__:  # type: ignore[attr-defined]
                raise
        return rows

    def execute(self, sql: str, *values: Any) -> Any:
        """Run a statement; returns its cursor."""
        return self._database.execute_sql(sql, values)  # type: ignore[no-untyped-call]
