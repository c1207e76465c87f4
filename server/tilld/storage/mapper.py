"""Maps records to rows of a table and back, by the names of the record's fields and the table's columns."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from types import NoneType
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_type_hints

from peewee import Model

from tilld.formats.times import stored_time, unix_seconds

Record = TypeVar("Record")
Row = tuple[Any, ...]
Function = Callable[[Any], Any]


class Conversion(NamedTuple):
    """How the value of a field is written to its column, and read from it; None: as it is."""

    write: Function | None = None
    read: Function | None = None


class Mapper(Generic[Record]):
    """Maps records to whole rows, which have all columns of a table in its order.

    A field without a column is a named tuple for whose fields there are columns: all have values, or none.
    Any other comes last, and keeps its default. `conversions` are for types that are not known here.
    """

    def __init__(self, table: type[Model], record: type[Record], **conversions: Conversion) -> None:
        self._nullable = {field.name: field.null for field in table._meta.sorted_fields}
        self._conversions = conversions
        self._names: dict[str, Any] = {"Record": record, "present": _present}
        self._written: dict[str, str] = {}
        fields = [self._field(name, hint) for name, hint in get_type_hints(record).items()]
        read = ", ".join(filter(None, fields))
        written = ", ".join(self._written[name] for name in self._nullable)
        # Written as code, as dataclasses are: by hand, an open invoice was read in 1.4 us instead of 1.0.
        self.record: Callable[[Row], Record] = self._compiled(f"lambda row: Record({read})")
        self.row: Callable[[Record], Row] = self._compiled(f"lambda record: ({written})")

    def at(self, name: str) -> int:
        """Return the place of a column in a row."""
        return list(self._nullable).index(name)

    def _field(self, name: str, hint: Any) -> str:
        """Return the code that reads a field; empty for one that is not stored."""
        if name in self._nullable:
            return self._column(name, hint, f"record.{name}", f"row[{self.at(name)}]")
        kind = _kind(hint)
        return self._parts(name, kind) if hasattr(kind, "_fields") else ""

    def _parts(self, name: str, kind: type[Any]) -> str:
        """Return the code that reads a named tuple from columns of its own."""
        self._names[kind.__name__] = kind
        values, read = [], []
        for part, hint in get_type_hints(kind).items():
            value = f"row[{self.at(part)}]"
            values.append(value)
            read.append(self._column(part, hint, f"record.{name}.{part}", f"present({value})"))
            self._written[part] = f"record.{name} and {self._written[part]}"
        return f"None if {' is '.join(values)} is None else {kind.__name__}({', '.join(read)})"

    def _column(self, name: str, hint: Any, written: str, read: str) -> str:
        """Note the code that writes a column; return the code that reads it."""
        conversion = self._conversions.get(name) or self._conversion(name, hint)
        self._names |= {f"write_{name}": conversion.write, f"read_{name}": conversion.read}
        self._written[name] = f"write_{name}({written})" if conversion.write else written
        return f"read_{name}({read})" if conversion.read else read

    def _conversion(self, name: str, hint: Any) -> Conversion:
        kind = _kind(hint)
        if kind is datetime:
            conversion = Conversion(unix_seconds, stored_time)
        elif kind is bool:
            conversion = Conversion(read=bool)
        elif issubclass(kind, StrEnum):
            conversion = Conversion(str, kind)
        elif kind is str and self._nullable[name] and kind is hint:
            # An empty text is stored as no text.
            return Conversion(lambda text: text or None, lambda text: text or "")
        else:
            return Conversion()
        return conversion if kind is hint else Conversion(*map(_unless_none, conversion))

    def _compiled(self, source: str) -> Any:
        return eval(source, self._names)  # noqa: S307


def _kind(hint: Any) -> Any:
    """The type of a field, without None."""
    return next((kind for kind in get_args(hint) if kind is not NoneType), hint)


def _unless_none(convert: Function | None) -> Function | None:
    return convert and (lambda value: None if value is None else convert(value))


def _present(value: Any) -> Any:
    if value is None:
        raise ValueError("of the columns that belong together some have no value")
    return value
