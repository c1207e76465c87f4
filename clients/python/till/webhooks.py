"""Signs webhooks as Standard Webhooks 1.0 does (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
# Of new secrets. The specification permits 24 to 64.
SECRET_BYTES = 32
FEWEST_BYTES = 24
MOST_BYTES = 64


def new_secret() -> str:
    """Return a random secret: "whsec_" and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002
    """Return the header webhook-signature of a message.

    secret: as new_secret returns it.
    id: the header webhook-id, the same for each delivery of an event.
    timestamp: the header webhook-timestamp, in seconds since 1970; that of this attempt.
    body: the exact bytes that are sent.

    Raises ValueError for a malformed secret, and for an id with a full stop, which separates the parts.
    """
    if "." in id:
        raise ValueError("the id of a webhook has no full stop")
    digest = hmac.digest(_key(secret), f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    """Return the bytes of a secret. No error repeats the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (secret.startswith(PREFIX) and FEWEST_BYTES <= len(key) <= MOST_BYTES):
        raise ValueError(
            f"a secret is {PREFIX} and the base64 of {FEWEST_BYTES} to {MOST_BYTES} random bytes"
        )
    return key
