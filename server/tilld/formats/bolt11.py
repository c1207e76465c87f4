"""Decodes the four fields that Till needs of a payment request (BOLT 11) or a sent invoice (BOLT 12).

The library that decodes all fields of BOLT 11 takes 7 ms for each.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from tilld.formats import bech32

# Enough for a node that names 150 channels as route hints.
MAX_CHARACTERS = 16 * 1024
DEFAULT_EXPIRY_SECONDS = 3600
BOLT12_EXPIRY_SECONDS = 7200
BOLT12 = "lni1"

# Lengths in bech32 letters, which have 5 bits.
_TIMESTAMP, _SIGNATURE_AND_CHECKSUM, _HASH = 7, 104 + 6, 52
# The types of records in an invoice of BOLT 12.
_DESCRIPTION, _RELATIVE_EXPIRY, _PAYMENT_HASH = 10, 166, 168


# A byte order mark and a zero-width space, which editors add and users paste.
_BLANK = "\ufeff\u200b"
# BOLT 12: a long string may be split by a plus sign and white space.
_joined = re.compile(r"\+\s*").sub


def pasted(text: str) -> str:
    """Return the BOLT 11 or BOLT 12 string of a pasted text or a QR code, in lower case.

    Surrounding blanks and byte order marks are ignored, and so are the prefixes "lightning:",
    "lightning://" and "bitcoin:…?lightning=" (BIP 21).
    """
    found = text.strip().strip(_BLANK).strip()
    scheme, colon, rest = found.partition(":")
    if colon and scheme.lower() == "bitcoin":
        parameters = {name.lower(): values for name, values in parse_qs(urlsplit(found).query).items()}
        return parameters.get("lightning", [""])[0].strip().lower()
    if colon and scheme.lower() == "lightning":
        found = rest.removeprefix("//").strip()
    return _joined("", found.lower())


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """Fields of a payment request. `expiry` is in seconds; a long description has only its SHA-256."""

    payment_hash: str
    expiry: int
    description: str | None
    description_hash: str | None

    def describes(self, text: str) -> bool:
        """Return whether `text` is the description."""
        if self.description_hash is not None:
            return sha256(text.encode()).hexdigest() == self.description_hash
        return text == (self.description or "")


def read(text: str) -> PaymentRequest:
    """Decode a payment request. Only payers need to check its signature and checksum.

    Raises ValueError if it is malformed.
    """
    if text.startswith(BOLT12):
        return _read_bolt12(text)
    prefix, _, data = text.rpartition("1")
    if len(text) > MAX_CHARACTERS or not prefix.startswith("ln"):
        raise ValueError("not a payment request")
    fields = _fields(data[_TIMESTAMP:-_SIGNATURE_AND_CHECKSUM])
    if "p" not in fields:
        raise ValueError("a payment request without a payment hash")
    return PaymentRequest(
        payment_hash=bech32.octets(fields["p"]).hex(),
        expiry=bech32.number(fields["x"]) if "x" in fields else DEFAULT_EXPIRY_SECONDS,
        description=bech32.octets(fields["d"]).decode() if "d" in fields else None,
        description_hash=bech32.octets(fields["h"]).hex() if "h" in fields else None,
    )


def _read_bolt12(text: str) -> PaymentRequest:
    if len(text) > MAX_CHARACTERS:
        raise ValueError("not a payment request")
    fields = {each.kind: each.value for each in bech32.records(bech32.octets(text.removeprefix(BOLT12)))}
    if len(fields.get(_PAYMENT_HASH, b"")) * 8 != 256:
        raise ValueError("a payment request without a payment hash")
    expiry = fields.get(_RELATIVE_EXPIRY)
    return PaymentRequest(
        payment_hash=fields[_PAYMENT_HASH].hex(),
        expiry=BOLT12_EXPIRY_SECONDS if expiry is None else int.from_bytes(expiry),
        description=fields[_DESCRIPTION].decode() if _DESCRIPTION in fields else None,
        description_hash=None,
    )


def _fields(data: str) -> dict[str, str]:
    """Return the tagged fields by letter, without hashes of another length (BOLT 11)."""
    fields: dict[str, str] = {}
    start = 0
    while start + 3 <= len(data):
        letter, size = data[start], bech32.number(data[start + 1 : start + 3])
        end = start + 3 + size
        if letter in "xd" or (letter in "ph" and size == _HASH):
            fields.setdefault(letter, data[start + 3 : end])
        start = end
    return fields
