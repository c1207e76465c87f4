"""Callers and their scopes. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Creator(NamedTuple):
    """The user, and the key that creates invoices. `key_id` is empty without a key."""

    username: str
    key_id: str = ""

    def __str__(self) -> str:
        return f"{self.username} (key {self.key_id})" if self.key_id else self.username


class Scope(StrEnum):
    """The scopes of keys."""

    CREATE = "invoices:create"
    READ = "invoices:read"
    CANCEL = "invoices:cancel"
    INFO = "info:read"
    EVENTS = "events:read"
    WEBHOOKS = "webhooks"
    # Every call that makes our node pay. No other scope implies this one.
    PAYOUTS = "payouts"
    ADMIN = "admin"


SHOP = (Scope.CREATE, Scope.READ, Scope.CANCEL, Scope.INFO, Scope.EVENTS, Scope.WEBHOOKS)
# The scopes of a shop's terminal, which must not see the totals.
TERMINAL = (Scope.CREATE, Scope.READ, Scope.CANCEL)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller, with the key of the call; `key_id` is empty without a key.

    `type` restricts the caller to invoices whose metadata has that type. `invoice_id`, set for watch tokens,
    restricts the caller to one invoice.
    """

    username: str
    scopes: frozenset[Scope]
    type: str | None = None
    key_id: str = ""
    invoice_id: str | None = None

    @property
    def creator(self) -> Creator:
        """The creator that new invoices get."""
        return Creator(self.username, self.key_id)


# The caller before the first key exists.
ANONYMOUS = Caller("anonymous", frozenset(SHOP))

# The caller with access to the database, which permits everything.
OPERATOR = Caller("operator", frozenset(Scope))
