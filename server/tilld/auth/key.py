"""API keys: users, scopes, expiry and revocation. Pure."""

import hashlib
import re
import secrets
import string
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Self

from tilld.auth.caller import SHOP, TERMINAL, Caller, Scope
from tilld.errors import InvalidRequest
from tilld.formats.ids import is_username
from tilld.formats.times import check_expiry

ALPHABET = string.ascii_letters + string.digits
ID_CHARACTERS = 12
# 190 bits cannot be guessed, so a plain hash is enough for storage.
SECRET_CHARACTERS = 32

# The prefix helps people, and scanners that look for leaked secrets.
_token = re.compile(rf"till_([A-Za-z0-9]{{{ID_CHARACTERS}}})_[A-Za-z0-9]{{{SECRET_CHARACTERS}}}").fullmatch
is_key_id = re.compile(rf"[A-Za-z0-9]{{{ID_CHARACTERS}}}").fullmatch
MAX_TYPE_CHARACTERS = 64

# A lookup for each call would cost a third of a read. Revocation waits longer than this time, so that no
# process accepts the key afterwards.
REMEMBERED_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Key:
    """A stored key, with the digest of its token. The id is part of the token, and public."""

    id: str
    digest: str
    username: str
    scopes: frozenset[Scope]
    type: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None

    @classmethod
    def new(
        cls,
        *,
        username: str,
        scopes: Collection[Scope],
        type: str | None,  # noqa: A002
        created_at: datetime,
        expires_at: datetime | None,
    ) -> tuple[Self, str]:
        """Return a new key and its token, which is shown once. Without scopes: those of a shop or a terminal.

        Raises InvalidRequest.
        """
        granted = frozenset(scopes or (SHOP if type is None else TERMINAL))
        if not is_username(username):
            raise InvalidRequest("username must have 1 to 64 letters, digits, or any of _ . @ -")
        # Printable, since terminals list it.
        if type is not None and not (1 <= len(type) <= MAX_TYPE_CHARACTERS and type.isprintable()):
            raise InvalidRequest(f"type must have 1 to {MAX_TYPE_CHARACTERS} printable characters")
        for scope in granted & {Scope.ADMIN, Scope.PAYOUTS} if type is not None else ():
            raise InvalidRequest(
                f"a key with a type cannot have the scope {scope}; omit the type or the scope"
            )
        if expires_at is not None and expires_at <= created_at:
            raise InvalidRequest("expires_at must be in the future")
        if expires_at is not None:
            check_expiry(expires_at, "expires_at")
        new_id = _random(ID_CHARACTERS)
        token = f"till_{new_id}_{_random(SECRET_CHARACTERS)}"
        return cls(new_id, digest(token), username, granted, type, created_at, expires_at), token

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def caller(self) -> Caller:
        """The caller that this key identifies."""
        return _caller(self.username, self.scopes, self.type, self.id)


# Shared by thousands of watches of one key.
_caller = lru_cache(maxsize=1000)(Caller)


def key_id(token: str) -> str | None:
    """Return the id in a token, or None if the token is malformed."""
    match = _token(token)
    return match and match[1]


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def digest(token: str) -> str:
    """Return the stored form of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
