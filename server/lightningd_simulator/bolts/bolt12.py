"""BOLT 12 strings: TLV fields in bech32 without checksum, signed over a Merkle root."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import TypeAlias

from coincurve import PrivateKey, PublicKeyXOnly

from lightningd_simulator.bolts import bech32

# By type, in ascending order.
Fields: TypeAlias = dict[int, bytes]

SIGNATURE = 240

_SIGNATURES = range(240, 1001)
# The fields that form a request's id, and that its invoice repeats.
_OF_REQUEST = (range(160), range(10**9, 3 * 10**9))
# Size in bytes, and the prefix byte.
_LONG_NUMBERS = ((2, 0xFD), (4, 0xFE), (8, 0xFF))


def write(prefix: str, fields: Fields) -> str:
    """Return fields as a string with a prefix such as `lnr`."""
    return f"{prefix}1{bech32.letters_of(b''.join(_records(fields)))}"


def data_of(string: str) -> tuple[str, bytes]:
    """Return prefix and data of a string, whose parts `+` may join.

    Raises ValueError with lightningd's message.
    """
    string = re.sub(r"(?<=.)\+\s*(?=.)", "", string)
    prefix, separator, letters = string.lower().partition("1")
    try:
        data = bech32.bytes_of(letters)
    except ValueError:
        data = b""
    if not separator or string not in (string.lower(), string.upper()) or bech32.letters_of(data) != letters:
        raise ValueError("invalid bech32 string")
    return prefix, data


def fields_of(data: bytes) -> Fields:
    """Return the fields of data.

    Raises ValueError if the data is not a TLV stream.
    """
    fields: Fields = {}
    while data:
        number, data = _read_bigsize(data)
        length, data = _read_bigsize(data)
        if length > len(data) or number <= max(fields, default=-1):
            raise ValueError("not a TLV stream")
        fields[number], data = data[:length], data[length:]
    return fields


def of_request(fields: Fields) -> Fields:
    """Return the fields of a request that its invoice repeats."""
    return {number: value for number, value in fields.items() if any(number in part for part in _OF_REQUEST)}


def id_of(fields: Fields) -> str:
    """Return the id of an offer, a request, or an invoice's request, in hex."""
    return sha256(b"".join(_records(of_request(fields)))).hexdigest()


def signed(name: str, fields: Fields, private_key: str) -> Fields:
    """Return fields in order and signed, as `invoice_request` or `invoice`."""
    ordered = dict(sorted(fields.items()))
    signature = PrivateKey.from_hex(private_key).sign_schnorr(_digest(name, ordered))
    return dict(sorted((ordered | {SIGNATURE: signature}).items()))


def is_signed_by(public_key: bytes, name: str, fields: Fields) -> bool:
    """Return whether the signature belongs to a public key."""
    try:
        return PublicKeyXOnly(public_key[1:]).verify(fields[SIGNATURE], _digest(name, fields))
    except ValueError:
        return False


def _records(fields: Fields) -> Iterator[bytes]:
    return (_bigsize(number) + _bigsize(len(value)) + value for number, value in fields.items())


def _digest(name: str, fields: Fields) -> bytes:
    return _hash(f"lightning{name}signature".encode(), _merkle_root(fields))


def _merkle_root(fields: Fields) -> bytes:
    records = list(_records(fields))
    nonce = b"LnNonce" + records[0]
    nodes = [
        _branch(_hash(b"LnLeaf", record), _hash(nonce, _bigsize(number)))
        for number, record in zip(fields, records, strict=True)
        if number not in _SIGNATURES
    ]
    while len(nodes) > 1:
        pairs = (nodes[at : at + 2] for at in range(0, len(nodes), 2))
        nodes = [_branch(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return nodes[0]


def _branch(one: bytes, other: bytes) -> bytes:
    return _hash(b"LnBranch", min(one, other) + max(one, other))


def _hash(tag: bytes, message: bytes) -> bytes:
    return sha256(sha256(tag).digest() * 2 + message).digest()


def _bigsize(number: int) -> bytes:
    if number < 0xFD:
        return number.to_bytes(1)
    size, mark = next((size, mark) for size, mark in _LONG_NUMBERS if number < 256**size)
    return bytes([mark]) + number.to_bytes(size)


def _read_bigsize(data: bytes) -> tuple[int, bytes]:
    size = 1 + next((size for size, mark in _LONG_NUMBERS if data[:1] == bytes([mark])), 0)
    number = int.from_bytes(data[1:size] if size > 1 else data[:1])
    if data[:size] != _bigsize(number):
        raise ValueError("number not minimal")
    return number, data[size:]
