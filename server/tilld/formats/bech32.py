"""Bech32 data without its checksum (BIP 173), and the TLV records in it (BOLT 1)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

_DIGITS = str.maketrans(LETTERS, "0123456789abcdefghijklmnopqrstuv")
_all_letters = re.compile(f"[{LETTERS}]*").fullmatch


class Record(NamedTuple):
    """A record of a TLV stream. `raw` has its type and length too."""

    kind: int
    value: bytes
    raw: bytes


def number(letters: str) -> int:
    """Return the number with these digits. Raises ValueError for other characters."""
    if not _all_letters(letters):
        raise ValueError("not bech32")
    # The empty string is 0.
    return int("0" + letters.translate(_DIGITS), 32)


def octets(letters: str) -> bytes:
    """Return the bytes of letters, without the bits of an incomplete byte. Raises ValueError."""
    length, padding = divmod(len(letters) * 5, 8)
    return (number(letters) >> padding).to_bytes(length)


def records(stream: bytes) -> Iterator[Record]:
    """Yield the records of a TLV stream. Raises ValueError if it is truncated."""
    start = 0
    while start < len(stream):
        kind, at = _big_size(stream, start)
        length, at = _big_size(stream, at)
        end = at + length
        if end > len(stream):
            raise ValueError("a record is cut off")
        yield Record(kind, stream[at:end], stream[start:end])
        start = end


def _big_size(stream: bytes, at: int) -> tuple[int, int]:
    """Return the BigSize (BOLT 1) at a position, and the position after it."""
    size = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(stream[at], 0) if at < len(stream) else 1
    end = at + 1 + size
    if end > len(stream):
        raise ValueError("a number is cut off")
    return int.from_bytes(stream[at + 1 if size else at : end]), end
