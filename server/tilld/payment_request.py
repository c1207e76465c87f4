"""What a payment request says (BOLT 11)."""

from dataclasses import dataclass
from hashlib import sha256

import bolt11

# None of ours is longer; decoding is slow.
MAX_CHARACTERS = 4096


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
    """Read a payment request.

    Raises ValueError for what is none.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError("too long for a payment request")
    try:
        found = bolt11.decode(text)
    except Exception:
        # The library raises all kinds of errors.
        raise ValueError("not a payment request") from None
    return PaymentRequest(found.payment_hash, found.expiry, found.description, found.description_hash)
