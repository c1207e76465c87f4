"""Which invoice request a BOLT 12 string is of: an invoice repeats what its request's id is made of. Pure."""

import base64
from collections.abc import Iterator
from hashlib import sha256

# An invoice that a node has paid fits into one onion message.
MAX_CHARACTERS = 128 * 1024

# The fields of an invoice_request but its signature, and those that anybody may add to one.
_OF_REQUEST = (range(160), range(1_000_000_000, 3_000_000_000))
_FROM_BECH32 = bytes.maketrans(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def invreq_id(text: str) -> str:
    """The id of an invoice request ("lnr1…"), or of that which an invoice ("lni1…") answers.

    Neither signature nor order is looked at: nodes do so. Raises ValueError for what is neither.
    """
    prefix, _, data = text.partition("1")
    if prefix not in ("lnr", "lni") or len(text) > MAX_CHARACTERS:
        raise ValueError("neither an invoice request nor an invoice")
    return sha256(b"".join(_of_request(_bytes(data)))).hexdigest()


def _of_request(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        start = at
        kind, at = _bigsize(data, at)
        length, at = _bigsize(data, at)
        at += length
        if at > len(data):
            raise ValueError("a field is cut off")
        if any(kind in part for part in _OF_REQUEST):
            yield data[start:at]


def _bigsize(data: bytes, at: int) -> tuple[int, int]:
    """A number of BOLT 1, and where the next field begins."""
    size = {0xFD: 2, 0xFE: 4, 0xFF: 8}.get(data[at], 0) if at < len(data) else 1
    if at + 1 + size > len(data):
        raise ValueError("a number is cut off")
    return (int.from_bytes(data[at + 1 : at + 1 + size]) if size else data[at]), at + 1 + size


def _bytes(letters: str) -> bytes:
    """What bech32 letters without a checksum carry; the last bits may be left over."""
    digits = letters.encode("ascii").translate(_FROM_BECH32)
    whole = len(digits) * 5 // 8
    return base64.b32decode(digits + b"A" * (-len(digits) % 8))[:whole]
