"""A webhook: a URL that receives events, with the secret that signs them. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from till.webhooks import new_secret, sign
from tilld.auth.caller import OPERATOR, Caller, Scope
from tilld.event_log.entry import EventType
from tilld.events.event import OF_INVOICES, OF_INVREQS
from tilld.events.terms import View
from tilld.formats.ids import new_public_id
from tilld.formats.times import EPOCH, unix_seconds
from tilld.webhooks.terms import WebhookTerms

# What an event may contain depends on these scopes of the key that created the webhook.
GRANTS = (Scope.READ, Scope.PAYOUTS)

# How long the old secret signs too, so that the receiver can be changed meanwhile.
ROTATION = timedelta(hours=24)

# A webhook is disabled when nothing was accepted for so long.
GIVEN_UP_AFTER = timedelta(days=5)


class Webhook(NamedTuple):
    """A webhook of a user.

    `types` are the types of events as they were asked for; empty: every type. `scopes` are the GRANTS of its
    creator. With `invoice_id`, only the final state of that invoice is sent. `sequence` is that of the last
    event that is no longer in line: it was accepted, or its delivery has failed and is repeated. `version`
    counts the changes by callers. `failing_since`: nothing was accepted since then. The process `owner` sends
    the events until `lease_until`.
    """

    id: str
    username: str
    key_id: str
    url: str
    types: tuple[str, ...]
    metadata_type: str | None
    scopes: frozenset[Scope]
    invoice_id: str | None
    secret: str
    old_secret: str | None
    old_secret_until: datetime | None
    enabled: bool
    disabled_reason: str
    created_at: datetime
    version: int
    sequence: int
    failing_since: datetime | None
    owner: str
    lease_until: datetime

    @classmethod
    def new(cls, caller: Caller, terms: WebhookTerms, now: datetime) -> Self:
        """Return a new webhook of a caller. The store sets its place in line."""
        return cls(
            id=new_public_id(),
            username=caller.username,
            key_id=caller.key_id,
            url=terms.url,
            types=terms.types,
            metadata_type=caller.type,
            scopes=caller.scopes.intersection(GRANTS),
            invoice_id=None,
            secret=new_secret(),
            old_secret=None,
            old_secret_until=None,
            enabled=True,
            disabled_reason="",
            created_at=now,
            version=0,
            sequence=0,
            failing_since=None,
            owner="",
            lease_until=EPOCH,
        )

    def __repr__(self) -> str:
        # The log must not show the secret, nor a token in the URL.
        return f"Webhook({self.id} of {self.username})"

    def is_visible_to(self, caller: Caller) -> bool:
        """True for the owner, if their key permits the webhook's type, and for the operator."""
        is_own = self.username == caller.username and caller.type in (None, self.metadata_type)
        return is_own or caller == OPERATOR

    def may_be_changed_by(self, caller: Caller) -> bool:
        """True if the caller may read all that the webhook receives, so that a new URL reveals nothing."""
        return self.scopes <= caller.scopes

    @property
    def view(self) -> View:
        """The events in line."""
        types = self.every_type.types
        if self.types:
            # A newer Till may have known other types.
            types &= {kind for kind in EventType if kind in self.types}
        return self.every_type._replace(types=types)

    @property
    def every_type(self) -> View:
        """All events that the webhook may receive, also those of types that it does not ask for."""
        types = frozenset(EventType)
        if Scope.PAYOUTS not in self.scopes:
            types -= OF_INVREQS
        if self.metadata_type is not None:
            types &= OF_INVOICES
        return View(self.username, types, self.metadata_type, Scope.READ in self.scopes)

    @property
    def host(self) -> str:
        """The host of the URL, which the log may show."""
        return urlsplit(self.url).hostname or ""

    def has_given_up(self, now: datetime) -> bool:
        """True if nothing was accepted for GIVEN_UP_AFTER."""
        return self.failing_since is not None and now - self.failing_since >= GIVEN_UP_AFTER

    def rotated(self, now: datetime) -> Self:
        """Return the webhook with a new secret. The old one signs too for ROTATION."""
        return self._replace(secret=new_secret(), old_secret=self.secret, old_secret_until=now + ROTATION)

    def headers(self, event_id: str, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of an attempt at this time, as Standard Webhooks describes them."""
        timestamp = unix_seconds(now)
        secrets = [self.secret]
        if self.old_secret and self.old_secret_until and now < self.old_secret_until:
            secrets.append(self.old_secret)
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign(each, event_id, timestamp, body) for each in secrets),
        }
