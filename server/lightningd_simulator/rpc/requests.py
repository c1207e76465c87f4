"""Reads requests as lightningd does: consecutive JSON texts, with strings kept as written.

lightningd works on the text of a value. A label is stored with its escapes, a description must not contain
`\\u`, and an amount is never a float. Strings and numbers therefore stay text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from lightningd_simulator.rpc.answers import Code, RpcError

ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])')
_MARK = re.compile(rb'\\.?|["{}\[\]]', re.DOTALL)


class Number(str):
    """A number as written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object as pairs, in order and with duplicate names."""

    pairs: list[tuple[str, "Value"]]


# Strings keep their escapes.
Value: TypeAlias = "str | Number | bool | Object | list[Value] | None"


class Malformed(Exception):
    """The input is not JSON-RPC. lightningd reads no further on this connection."""


class Inbox:
    """The input of a connection, split into JSON texts."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._scanned = 0
        self._depth = 0
        self._quoted = False

    def feed(self, data: bytes) -> None:
        """Add input."""
        self._bytes += data

    def __iter__(self) -> Iterator[Value]:
        """Yield the complete messages.

        Raises Malformed with lightningd's message, which quotes all unread input.
        """
        while (end := self._end()) is not None:
            try:
                message = _parse(self._bytes[:end].decode())
            except (ValueError, RecursionError):
                raise Malformed(f"Failed to parse RPC JSON response '{self._unread()}'") from None
            if not (isinstance(message, Object) and "jsonrpc" in dict(message.pairs)):
                raise Malformed(f"JSON-RPC message does not contain \"jsonrpc\" field: '{self._unread()}'")
            del self._bytes[:end]
            yield message

    def _unread(self) -> str:
        return self._bytes.decode(errors="replace")

    def _end(self) -> int | None:
        # Like lightningd, do not parse before a brace that may end an object.
        if b"}" not in self._bytes:
            return None
        for mark in _MARK.finditer(self._bytes, self._scanned):
            self._scanned = mark.end()
            if mark[0] == b"\\":
                self._scanned = mark.start()  # The escaped character has not arrived yet.
                return None
            if mark[0] == b'"':
                self._quoted = not self._quoted
            elif not self._quoted and mark[0] in b"{}[]":
                self._depth += 1 if mark[0] in b"{[" else -1
                if self._depth <= 0:
                    self._scanned = self._depth = 0
                    return mark.end()
        self._scanned = len(self._bytes)
        return None


def request_id(message: Value) -> str:
    """Return the id of a message, as JSON text.

    Raises RpcError where lightningd replies without an id.
    """
    members = _members(message)
    if "id" not in members:
        raise RpcError(Code.INVALID_REQUEST, "No id")
    match members["id"]:
        case Number() as number:
            found = str(number)
        case str() as text:
            found = f'"{text}"'
        case bool() | None as primitive:
            found = json.dumps(primitive)
        case _:
            raise RpcError(Code.INVALID_REQUEST, "Expected string/primitive for id")
    if members["jsonrpc"] != "2.0" or isinstance(members["jsonrpc"], Number):
        raise RpcError(Code.INVALID_REQUEST, 'jsonrpc: "2.0" must be specified in the request')
    return found


def call(message: Value) -> tuple[str, Value]:
    """Return the method and its parameters.

    Raises RpcError if one is missing.
    """
    members = _members(message)
    if "method" not in members or "params" not in members:
        raise RpcError(Code.INVALID_REQUEST, "No params" if "method" in members else "No method")
    method = members["method"]
    if not isinstance(method, str) or isinstance(method, Number):
        raise RpcError(Code.INVALID_REQUEST, "Expected string for method")
    return method, members["params"]


def wanted(message: Value) -> Value:
    """Return the filter of the result. An empty filter passes everything."""
    return _members(message).get("filter", Object([]))


def unescaped(text: str) -> str:
    """Return the text that a written string represents."""
    return str(json.loads(f'"{text}"', strict=False)) if "\\" in text else text


def as_written(value: Value) -> str:
    """Return a value as JSON."""
    match value:
        case Number():
            return str(value)
        case str():
            return f'"{value}"'
        case bool() | None:
            return json.dumps(value)
        case list():
            return f"[{','.join(map(as_written, value))}]"
        case Object(pairs):
            members = (f'"{name}":{as_written(member)}' for name, member in pairs)
            return f"{{{','.join(members)}}}"


def _members(message: Value) -> dict[str, Value]:
    # lightningd uses the first of duplicate members.
    return dict(reversed(message.pairs)) if isinstance(message, Object) else {}


def _parse(text: str) -> Value:
    parsed: Value = json.loads(
        ESCAPE.sub(_escaped_again, text) if "\\" in text else text,
        parse_int=Number,
        parse_float=Number,
        parse_constant=_refuse,
        object_pairs_hook=Object,
        strict=False,
    )
    return parsed


def _escaped_again(escape: re.Match[str]) -> str:
    # For a JSON parser, the result represents the escape as written.
    return "\\\\" + (f"\\{escape[1]}" if escape[1] in '"\\' else escape[1])


def _refuse(constant: str) -> Value:
    raise ValueError(f"{constant} is not JSON")
