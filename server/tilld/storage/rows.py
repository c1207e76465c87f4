"""Table rows as records. An unreadable row is skipped, and logged once."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic

import structlog
from peewee import BooleanField, Field, IntegerField

from tilld.config.advice import shell_command
from tilld.errors import Internal
from tilld.storage.mapper import Conversion, Mapper, Record, Row

log = structlog.get_logger()


class Rows(Generic[Record]):
    """Reads and writes complete rows, as `Mapper` does.

    `key` is the column that identifies a row in the log. `check` raises for a record that may be settled or
    swept, but not returned to a caller. `unreadable` counts unreadable rows of all tables since the start.
    """

    unreadable: ClassVar[int] = 0

    def __init__(
        self,
        key: Field,
        record: type[Record],
        check: Callable[[Record], object] = bool,
        **conversions: Conversion,
    ) -> None:
        mapper = Mapper(key.model, record, **conversions)
        self.row = mapper.row
        self.at = mapper.at
        self._key = key.name
        self._table = key.model._meta.table_name
        self._types = {field.name: _types(field) for field in key.model._meta.sorted_fields}
        self._at = mapper.at(key.name)
        self._read = mapper.record
        self._check = check
        self._good: set[tuple[type, ...]] = set()
        self._named: set[str] = set()

    def all(self, rows: Sequence[Row]) -> list[Record]:
        """Return the records of the readable rows."""
        records = []
        for row in rows:
            try:
                records.append(self._record(row))
            except Exception as reason:
                self._log(row, reason)
        return records

    def first(self, rows: Sequence[Row]) -> Record | None:
        """Return the first row's record for a caller, or None without rows.

        Raises Internal if the row is unreadable.
        """
        return self.one(rows[0]) if rows else None

    def one(self, row: Row) -> Record:
        """Return a row's record for a caller. Raises Internal if it is unreadable."""
        try:
            record = self._record(row)
            self._check(record)
        except Exception as reason:
            self._log(row, reason)
            raise Internal from None
        return record

    def _record(self, row: Row) -> Record:
        # SQLite accepts any type in any column. Few combinations occur, so one lookup suffices for most rows.
        types = tuple(map(type, row))
        if types not in self._good:
            for (name, expected), found in zip(self._types.items(), types, strict=True):
                if found not in expected:
                    raise TypeError(f"{name} has the type {found.__name__}")
            self._good.add(types)
        return self._read(row)

    def _log(self, row: Row, reason: Exception) -> None:
        name = str(row[self._at])
        if name in self._named:
            return
        self._named.add(name)
        Rows.unreadable += 1
        log.error(
            f"unreadable row is skipped: correct it in the database, "
            f"then run: {shell_command('doctor', '--repair')}",
            table=self._table,
            reason=str(reason),
            **{self._key: name},
        )


def _types(field: Field) -> set[type]:
    if isinstance(field, BooleanField):
        types: set[type] = {bool, int}
    else:
        types = {int} if isinstance(field, IntegerField) else {str}
    return types | {type(None)} if field.null else types
