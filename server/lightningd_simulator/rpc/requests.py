"""Requests as lightningd reads them: JSON texts one after another, each string kept as it was written.

lightningd works on the text of a value. A label is stored escapes and all, a description may have no
`\\u`, and an amount never goes through a float. So strings and numbers stay text here.
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
    """A number as it was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object as its pairs: in order, and with those whose name comes twice."""

    pairs: list[tuple[str, "Value"]]


# In a str, escapes are still escaped.
Value: TypeAlias = "str | Number | bool | Object | list[Value] | None"


class Malformed(Exception):
    """Not JSON, or not JSON-RPC: lightningd reads no further on this connection."""


class Inbox:
    """What has arrived on a connection, cut into JSON texts."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._scanned = 0
        self._depth = 0
        self._quoted = False

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._bytes += data

    def __iter__(self) -> Iterator[Value]:
        """Take out the messages that are whole.

        Raises Malformed with lightningd's message, which quotes all that is unread.
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
        # Like lightningd, look no closer before there is a brace that may end an object.
        if b"}" not in self._bytes:
            return None
        for mark in _MARK.finditer(self._bytes, self._scanned):
            self._scanned = mark.end()
            if mark[0] == b"\\":
                self._scanned = mark.start()  # what it escapes is yet to come
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
    """Find the id of a message, as JSON text.

    Raises RpcError where lightningd answers without one.
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
    """Read the method and its parameters.

    Raises RpcError when one of them is missing.
    """
    members = _members(message)
    if "method" not in members or "params" not in members:
        raise RpcError(Code.INVALID_REQUEST, "No params" if "method" in members else "No method")
    method = members["method"]
    if not isinstance(method, str) or isinstance(method, Number):
        raise RpcError(Code.INVALID_REQUEST, "Expected string for method")
    return method, members["params"]


def wanted(message: Value) -> Value:
    """Find the filter that names what is wanted of the result; an empty one names all."""
    return _members(message).get("filter", Object([]))


def unescaped(text: str) -> str:
    """Tell what a string says, given how it was written."""
    return str(json.loads(f'"{text}"', strict=False)) if "\\" in text else text


def as_written(value: Value) -> str:
    """Write a value as JSON again."""
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
    # Of two members with one name, lightningd sees the first.
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
    # What this yields says, to a JSON parser, what the escape was.
    return "\\\\" + (f"\\{escape[1]}" if escape[1] in '"\\' else escape[1])


def _refuse(constant: str) -> Value:
    raise ValueError(f"{constant} is not JSON")
