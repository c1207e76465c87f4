"""Watch tokens: what a payer's browser may have instead of a key. Each is for one invoice and a while."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from itsdangerous import BadSignature, URLSafeSerializer

from tilld.formats.times import unix_seconds, utc

PREFIX = "watch_"

# Time to see what became of an invoice in its last second.
AFTERWARDS = timedelta(minutes=10)
LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WatchToken:
    """Lets watch an invoice, as long as the key that asked for it is good; its id is empty without one."""

    invoice_id: str
    key_id: str
    expires_at: datetime

    @classmethod
    def of(cls, invoice_id: str, ending: datetime, key_id: str, now: datetime) -> Self:
        """A token until after an invoice's end, for a day at most."""
        expires_at = min(max(ending, now) + AFTERWARDS, now + LONGEST)
        return cls(invoice_id, key_id, expires_at)

    def signed(self, secret: bytes) -> str:
        """The token as text, which may be part of a URL."""
        facts = [self.invoice_id, self.key_id, unix_seconds(self.expires_at)]
        return PREFIX + _serializer(secret).dumps(facts)

    @classmethod
    def read(cls, text: str, secret: bytes) -> Self | None:
        """Read a token; None for what was not signed by us."""
        try:
            invoice_id, key_id, expires_at = _serializer(secret).loads(text.removeprefix(PREFIX))
        except BadSignature:
            return None
        return cls(invoice_id, key_id, utc(expires_at))


def _serializer(secret: bytes) -> URLSafeSerializer:
    signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt="watch token", signer_kwargs=signing)
