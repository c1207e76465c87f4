"""API keys: who may call, and what for. Pure."""

import hashlib
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from tilld.errors import InvalidRequest
from tilld.invoice import Invoice, is_username

ALPHABET = string.ascii_letters + string.digits
ID_CHARACTERS = 12
# 190 bits: no guessing, and a plain hash is enough to keep it.
SECRET_CHARACTERS = 32

# The prefix is for people, and for scanners that look for secrets in public places.
_token = re.compile(rf"till_([A-Za-z0-9]{{{ID_CHARACTERS}}})_[A-Za-z0-9]{{{SECRET_CHARACTERS}}}").fullmatch
MAX_TYPE_CHARACTERS = 64


class Scope(StrEnum):
    """What a key may do."""

    CREATE = "invoices:create"
    READ = "invoices:read"
    INFO = "info:read"
    # Whatever makes our node pay. Never implied by another.
    PAYOUTS = "payouts"
    ADMIN = "admin"


SHOP = (Scope.CREATE, Scope.READ, Scope.INFO)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. With a `type`, only invoices whose metadata has that type exist for it."""

    username: str
    scopes: frozenset[Scope]
    type: str | None = None

    def may_see(self, invoice: Invoice) -> bool:
        """Whether an invoice is the caller's own."""
        return invoice.username == self.username and self.type in (None, invoice.type)


# Who calls a till that has no keys.
ANONYMOUS = Caller("anonymous", frozenset(SHOP))


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
        scopes: Iterable[Scope],
        type: str | None,  # noqa: A002
        created_at: datetime,
        expires_at: datetime | None,
    ) -> tuple[Self, str]:
        """A new key, and its token, which is to be shown once.

        Raises InvalidRequest.
        """
        if not is_username(username):
            raise InvalidRequest("username must have 1 to 64 letters, digits, or any of _ . @ -")
        if type is not None and not 1 <= len(type) <= MAX_TYPE_CHARACTERS:
            raise InvalidRequest(f"type must have 1 to {MAX_TYPE_CHARACTERS} characters")
        if expires_at is not None and expires_at <= created_at:
            raise InvalidRequest("expires must be in the future")
        new_id = _random(ID_CHARACTERS)
        token = f"till_{new_id}_{_random(SECRET_CHARACTERS)}"
        return cls(new_id, digest(token), username, frozenset(scopes), type, created_at, expires_at), token

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def caller(self) -> Caller:
        """Who calls with it."""
        return Caller(self.username, self.scopes, self.type)


# What an unknown token is compared with, so that it takes as long as a known one.
NO_DIGEST = "0" * 64


def key_id(token: str) -> str | None:
    """The id in a token; None for what can't be one."""
    match = _token(token)
    return match and match[1]


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
