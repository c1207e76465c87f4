"""Checks and creates ids; checks usernames. Pure."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from datetime import datetime

from tilld.formats.times import unix_seconds

is_public_id = re.compile(r"[A-Za-z0-9_~]{21}").fullmatch
is_invoice_id = is_public_id
is_event_id = re.compile(r"evt_[A-Za-z0-9_~]{21}").fullmatch
is_username = re.compile(r"[A-Za-z0-9_.@-]{1,64}").fullmatch
is_id = re.compile(r"[0-9a-f]{24}").fullmatch
is_payment_hash = re.compile(r"[0-9a-f]{64}").fullmatch


def new_public_id() -> str:
    """Return a new public id, which cannot be guessed."""
    return _public_id(secrets.token_bytes(16))


def derived_public_id(secret: bytes, *facts: str) -> str:
    """Return the public id of these facts. It is always the same, and needs the secret to be computed."""
    return _public_id(hmac.digest(secret, "\0".join(facts).encode(), hashlib.sha256))


def _public_id(entropy: bytes) -> str:
    return base64.urlsafe_b64encode(entropy).decode().replace("-", "~")[:21]


def internal_id(created_at: datetime) -> str:
    """Return a new internal id, which starts with its creation time: lists have the order of ids.

    The node's times are whole seconds. Microseconds of the local clock order the ids of a second, unless the
    clocks disagree; the rest is random.
    """
    microseconds = time.time_ns() // 1000 % 1_000_000
    return f"{unix_seconds(created_at):08x}{microseconds:05x}{secrets.token_hex(6)[1:]}"
