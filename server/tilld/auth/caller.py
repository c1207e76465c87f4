"""Who calls, and what for. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Creator(NamedTuple):
    """Who creates invoices: a user, by a key. The id of no key is empty."""

    username: str
    key_id: str = ""

    def __str__(self) -> str:
        return f"{self.username} (key {self.key_id})" if self.key_id else self.username


class Scope(StrEnum):
    """What a key may do."""

    CREATE = "invoices:create"
    READ = "invoices:read"
    INFO = "info:read"
    # Whatever makes our node pay. Never implied by another.
    PAYOUTS = "payouts"
    ADMIN = "admin"


SHOP = (Scope.CREATE, Scope.READ, Scope.INFO)
# What one terminal of a shop needs: the totals are none of its business.
TERMINAL = (Scope.CREATE, Scope.READ)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by which key; its id is empty without one.

    With a `type`, only invoices whose metadata has that type exist for it; with an `invoice_id`, which a
    watch token has, only that one.
    """

    username: str
    scopes: frozenset[Scope]
    type: str | None = None
    key_id: str = ""
    invoice_id: str | None = None

    @property
    def creator(self) -> Creator:
        """Who creates what it creates."""
        return Creator(self.username, self.key_id)


# Who calls a till that has no keys.
ANONYMOUS = Caller("anonymous", frozenset(SHOP))

# Who has the database, and so everything.
OPERATOR = Caller("operator", frozenset(Scope))
