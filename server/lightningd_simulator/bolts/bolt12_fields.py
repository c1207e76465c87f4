"""The fields of BOLT 12 requests and invoices: types, and lightningd's presentation.

Fields of offers, and of requests behind a blinded path, are not simulated.
"""

import secrets
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from coincurve import PrivateKey, PublicKey

from lightningd_simulator.bolts import bolt12
from lightningd_simulator.bolts.bolt12 import Fields
from lightningd_simulator.rpc.answers import Result

REGTEST = bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f")
DEFAULT_RELATIVE_EXPIRY = 7200

_ALL_BITCOIN_MSAT = 21_000_000 * 100_000_000_000
_CLTV_EXPIRY_DELTA = 10
_PUBLIC_KEY_BYTES = 33
_CHAIN_BYTES = 32


class Field(IntEnum):
    """The types of the fields."""

    METADATA = 0
    OFFER_CHAINS = 2
    OFFER_AMOUNT = 8
    DESCRIPTION = 10
    ABSOLUTE_EXPIRY = 14
    OFFER_PATHS = 16
    ISSUER = 18
    ISSUER_ID = 22
    CHAIN = 80
    REQUEST_AMOUNT = 82
    REQUEST_FEATURES = 84
    QUANTITY = 86
    PAYER_ID = 88
    PAYER_NOTE = 89
    PATHS = 160
    BLINDED_PAY = 162
    CREATED_AT = 164
    RELATIVE_EXPIRY = 166
    PAYMENT_HASH = 168
    AMOUNT = 170
    INVOICE_FEATURES = 174
    NODE_ID = 176
    SIGNATURE = bolt12.SIGNATURE


def truncated(number: int) -> bytes:
    """Return a number in as few bytes as needed."""
    return number.to_bytes((number.bit_length() + 7) // 8)


def shown(fields: Fields) -> Result:
    """Return fields in the format and order of `decode`.

    Raises ValueError for a malformed field, or an unknown required one.
    """
    known = {field for field, _, _ in _SHOWN} | {Field.BLINDED_PAY, Field.OFFER_PATHS}
    if any(number not in known and number % 2 == 0 for number in fields):
        raise ValueError("unknown required field")
    result = {name: show(fields[field]) for field, name, show in _SHOWN if field in fields}
    if Field.BLINDED_PAY in fields and Field.PATHS in fields:
        [path] = result["invoice_paths"]
        hops = path.pop("path")
        path |= {"payinfo": _show_terms(fields[Field.BLINDED_PAY]), "path": hops}
    return result


def path_to(node_id: bytes) -> bytes:
    """Return a blinded path of one hop. The path is never used, so its encrypted data is random."""
    first_path_key, blinded_node_id = (PrivateKey().public_key.format() for _ in range(2))
    encrypted = secrets.token_bytes(50)
    return node_id + first_path_key + b"\1" + blinded_node_id + len(encrypted).to_bytes(2) + encrypted


def terms() -> bytes:
    """Return the terms of the path: no fees, for any amount."""
    numbers = ((0, 4), (0, 4), (_CLTV_EXPIRY_DELTA, 2), (0, 8), (_ALL_BITCOIN_MSAT, 8), (0, 2))
    return b"".join(number.to_bytes(size) for number, size in numbers)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, size: int) -> bytes:
        taken, self._data = self._data[:size], self._data[size:]
        if len(taken) < size:
            raise ValueError("too short")
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def end(self) -> None:
        if self._data:
            raise ValueError("too long")


def _show_paths(data: bytes) -> list[Result]:
    reader = _Reader(data)
    first_node_id, first_path_key = (reader.take(_PUBLIC_KEY_BYTES).hex() for _ in range(2))
    hops = [
        {
            "blinded_node_id": reader.take(_PUBLIC_KEY_BYTES).hex(),
            "encrypted_recipient_data": reader.take(reader.number(2)).hex(),
        }
        for _ in range(reader.number(1))
    ]
    reader.end()
    return [{"first_node_id": first_node_id, "first_path_key": first_path_key, "path": hops}]


def _show_terms(data: bytes) -> Result:
    reader = _Reader(data)
    shown = {
        "fee_base_msat": reader.number(4),
        "fee_proportional_millionths": reader.number(4),
        "cltv_expiry_delta": reader.number(2),
        "htlc_minimum_msat": reader.number(8),
        "htlc_maximum_msat": reader.number(8),
        "features": reader.take(reader.number(2)).hex(),
    }
    reader.end()
    return shown


def _show_number(data: bytes) -> int:
    if len(data) > 8 or data[:1] == b"\0":
        raise ValueError("not a truncated number")
    return int.from_bytes(data)


def _show_key(data: bytes) -> str:
    return PublicKey(data).format().hex()


def _of_size(size: int) -> Callable[[bytes], str]:
    def show(data: bytes) -> str:
        if len(data) != size:
            raise ValueError(f"not {size} bytes")
        return data.hex()

    return show


def _show_chains(data: bytes) -> list[str]:
    if len(data) % _CHAIN_BYTES:
        raise ValueError("not 32 bytes each")
    return [data[at : at + _CHAIN_BYTES].hex() for at in range(0, len(data), _CHAIN_BYTES)]


_SHOWN: tuple[tuple[Field, str, Callable[[bytes], Any]], ...] = (
    (Field.OFFER_CHAINS, "offer_chains", _show_chains),
    (Field.OFFER_AMOUNT, "offer_amount_msat", _show_number),
    (Field.DESCRIPTION, "offer_description", bytes.decode),
    (Field.ISSUER, "offer_issuer", bytes.decode),
    (Field.ABSOLUTE_EXPIRY, "offer_absolute_expiry", _show_number),
    (Field.ISSUER_ID, "offer_issuer_id", _show_key),
    (Field.METADATA, "invreq_metadata", bytes.hex),
    (Field.PAYER_ID, "invreq_payer_id", _show_key),
    (Field.CHAIN, "invreq_chain", _of_size(32)),
    (Field.REQUEST_AMOUNT, "invreq_amount_msat", _show_number),
    (Field.REQUEST_FEATURES, "invreq_features", bytes.hex),
    (Field.QUANTITY, "invreq_quantity", _show_number),
    (Field.PAYER_NOTE, "invreq_payer_note", bytes.decode),
    (Field.PATHS, "invoice_paths", _show_paths),
    (Field.CREATED_AT, "invoice_created_at", _show_number),
    (Field.RELATIVE_EXPIRY, "invoice_relative_expiry", _show_number),
    (Field.PAYMENT_HASH, "invoice_payment_hash", _of_size(32)),
    (Field.AMOUNT, "invoice_amount_msat", _show_number),
    (Field.INVOICE_FEATURES, "invoice_features", bytes.hex),
    (Field.NODE_ID, "invoice_node_id", _show_key),
    (Field.SIGNATURE, "signature", _of_size(64)),
)
