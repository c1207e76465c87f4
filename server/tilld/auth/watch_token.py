"""Watch tokens, for a payer's browser instead of a key. Each permits one invoice and expires."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from itsdangerous import BadSignature, URLSafeSerializer

from tilld.formats.times import unix_seconds, utc

PREFIX = "watch_"

# Leaves time to read the outcome of an invoice paid in its last second.
AFTERWARDS = timedelta(minutes=10)
LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WatchToken:
    """Permits watching an invoice while the key behind the token is valid.

    `key_id` is empty without a key.
    """

    invoice_id: str
    key_id: str
    expires_at: datetime

    @classmethod
    def of(cls, invoice_id: str, ending: datetime, key_id: str, now: datetime) -> Self:
        """Return a token that expires 10 minutes after the invoice, within a day at most."""
        expires_at = min(max(ending, now) + AFTERWARDS, now + LONGEST)
        return cls(invoice_id, key_id, expires_at)

    def signed(self, secret: bytes) -> str:
        """Return the signed token, which is safe in URLs."""
        facts = [self.invoice_id, self.key_id, unix_seconds(self.expires_at)]
        return PREFIX + _serializer(secret).dumps(facts)

    @classmethod
    def read(cls, text: str, secret: bytes) -> Self | None:
        """Return the content of a token, or None if the signature is invalid."""
        try:
            invoice_id, key_id, expires_at = _serializer(secret).loads(text.removeprefix(PREFIX))
        except BadSignature:
            return None
        return cls(invoice_id, key_id, utc(expires_at))


def _serializer(secret: bytes) -> URLSafeSerializer:
    signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt="watch token", signer_kwargs=signing)
