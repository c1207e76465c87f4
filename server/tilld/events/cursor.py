"""Cursors of the log of all users: signed, so that one of another Till or a made up one is noticed. Pure."""

import hashlib

from itsdangerous import BadSignature, URLSafeSerializer

from tilld.errors import InvalidRequest


def cursor_at(secret: bytes, position: int) -> str:
    """Return the cursor behind a position, which is safe in URLs."""
    return _serializer(secret).dumps(position)


def position_of(secret: bytes, cursor: str, name: str) -> int:
    """Return the position of a cursor. Raises InvalidRequest, which names the field."""
    try:
        return int(_serializer(secret).loads(cursor))
    except BadSignature:
        raise InvalidRequest(
            f"{name} is not a cursor of this Till; send next_cursor of an earlier response"
        ) from None


def _serializer(secret: bytes) -> URLSafeSerializer:
    signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt=b"event cursor", signer_kwargs=signing)
