"""API keys: who may call, and what for. Pure."""

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
# 190 bits: no guessing, and a plain hash is enough to keep it.
SECRET_CHARACTERS = 32

# The prefix is for people, and for scanners that look for secrets in public places.
_token = re.compile(rf"till_([A-Za-z0-9]{{{ID_CHARACTERS}}})_[A-Za-z0-9]{{{SECRET_CHARACTERS}}}").fullmatch
is_key_id = re.compile(rf"[A-Za-z0-9]{{{ID_CHARACTERS}}}").fullmatch
MAX_TYPE_CHARACTERS = 64

# To look a key up for each call would be a third of a read. Who revokes one waits for longer: then nobody,
# in this process or another, lets it in any more.
REMEMBERED_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: its `digest`, not itself. Its id is part of the token and no secret."""

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
        """A new key, and its token, which is to be shown once. No scopes: those of a shop or a terminal.

        Raises InvalidRequest.
        """
        granted = frozenset(scopes or (SHOP if type is None else TERMINAL))
        if not is_username(username):
            raise InvalidRequest("username must have 1 to 64 letters, digits, or any of _ . @ -")
        # Printable, since it is listed on a terminal.
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
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def caller(self) -> Caller:
        """Who calls with it."""
        return _caller(self.username, self.scopes, self.type, self.id)


# Thousands of watches by one key share it.
_caller = lru_cache(maxsize=1000)(Caller)


def key_id(token: str) -> str | None:
    """The id in a token; None for what can't be one."""
    match = _token(token)
    return match and match[1]


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
