"""Members of metadata that lists can be filtered by. Pure."""

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

MAX_MEMBERS = 16
MAX_NAME_BYTES = 128
MAX_VALUE_BYTES = 128


class Member(NamedTuple):
    """A member of metadata: the text of a string, or a number, true or false as written."""

    name: str
    value: str


def members(metadata: str) -> list[Member]:
    """Return the searchable members: the first 16, besides "type", with a short text, number or boolean."""
    if metadata.count(":") < 2:
        return []
    return list(islice(_searchable(metadata), MAX_MEMBERS))


def digest(username: str, member: Member) -> int:
    """Return the key of a user's member in the index: 64 bits, signed."""
    facts = msgspec.json.encode((username, *member))
    return int.from_bytes(hashlib.sha256(facts).digest()[:8], signed=True)


def _searchable(metadata: str) -> Iterator[Member]:
    for name, value in _decoder.decode(metadata).items():
        text = str(value).lower() if isinstance(value, bool) else value
        if name != "type" and _fits(name, MAX_NAME_BYTES) and _fits(text, MAX_VALUE_BYTES):
            yield Member(name, text)


def _fits(text: Any, most: int) -> bool:
    try:
        return isinstance(text, str) and len(text.encode()) <= most
    except UnicodeEncodeError:
        return False


# Numbers stay as written.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)
