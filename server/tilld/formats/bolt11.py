"""What a payment request says (BOLT 11), or an invoice that was sent (BOLT 12).

The library that knows all of the first takes 7 ms for one; these are the four fields that Till needs.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from tilld.formats import bech32

# None of ours is longer.
MAX_CHARACTERS = 4096
DEFAULT_EXPIRY_SECONDS = 3600
BOLT12_EXPIRY_SECONDS = 7200
BOLT12 = "lni1"

# In letters of bech32, which have 5 bits.
_TIMESTAMP, _SIGNATURE_AND_CHECKSUM, _HASH = 7, 104 + 6, 52
# The types of records in an invoice of BOLT 12.
_DESCRIPTION, _RELATIVE_EXPIRY, _PAYMENT_HASH = 10, 166, 168


# What editors put before a text, and people paste along.
_BLANK = "\ufeff\u200b"
# BOLT 12: a long string may be cut by a plus sign and white space.
_joined = re.compile(r"\+\s*").sub


def pasted(text: str) -> str:
    """Return a BOLT 11 or BOLT 12 string as it is in lower case, from how people and QR codes write it.

    Blanks and a byte order mark around it, "lightning:", "lightning://" and "bitcoin:…?lightning=" (BIP 21)
    are passed over.
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
    """What Till needs of it; `expiry` is in seconds. Of a long description it has the SHA-256 only."""

    payment_hash: str
    expiry: int
    description: str | None
    description_hash: str | None

    def describes(self, text: str) -> bool:
        """Whether this is its description."""
        if self.description_hash is not None:
            return sha256(text.encode()).hexdigest() == self.description_hash
        return text == (self.description or "")


def read(text: str) -> PaymentRequest:
    """Read a payment request. Neither its signature nor its checksum is looked at: that is for payers.

    Raises ValueError for what is none.
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
    """The tagged fields by their letters. Hashes of another length are to be skipped."""
    fields: dict[str, str] = {}
    while len(data) >= 3:
        letter, end = data[0], 3 + bech32.number(data[1:3])
        value = data[3:end]
        if letter in "xd" or (letter in "ph" and end == 3 + _HASH):
            fields.setdefault(letter, value)
        data = data[end:]
    return fields
