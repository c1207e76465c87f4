"""Authorizes calls: a table of methods with their scopes, and the check of each call."""

import hmac
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace

from tilld.auth import watch_token
from tilld.auth.caller import ANONYMOUS, Caller, Scope
from tilld.auth.key import REMEMBERED_SECONDS, Key, digest, key_id
from tilld.auth.repository import KeyStore
from tilld.auth.watch_token import WatchToken
from tilld.errors import PermissionDenied, Unauthenticated
from tilld.formats.times import Clock, utc_now
from tilld.runtime.ttl_cache import TTLCache

INVOICES = "/till.v1.InvoiceService/"
INVREQS = "/till.v1.InvreqService/"
KEYS = "/till.v1.KeyService/"
EVENTS = "/till.v1.EventService/"
WEBHOOKS = "/till.v1.WebhookService/"
REST = "/till.rest.v1.InvoiceService/"
REST_INVREQS = "/till.rest.v1.InvreqService/"
REST_EVENTS = "/till.rest.v1.EventService/"
REST_WEBHOOKS = "/till.rest.v1.WebhookService/"
REST_HEALTH = "/till.rest.v1.HealthService/"

# The scope that each method requires. PUBLIC, grpc.health.v1 and reflection need none.
SCOPES = {
    INVOICES + "CreateInvoice": Scope.CREATE,
    INVOICES + "GetInvoice": Scope.READ,
    INVOICES + "GetInvoiceById": Scope.READ,
    INVOICES + "LookupInvoice": Scope.READ,
    INVOICES + "WatchInvoice": Scope.READ,
    INVOICES + "ListInvoices": Scope.READ,
    INVOICES + "ExportInvoices": Scope.READ,
    INVOICES + "CancelInvoice": Scope.CANCEL,
    INVOICES + "GetReport": Scope.INFO,
    INVOICES + "GetInfo": Scope.INFO,
    INVREQS + "CreateInvreq": Scope.PAYOUTS,
    INVREQS + "GetInvreq": Scope.PAYOUTS,
    INVREQS + "ListInvreqs": Scope.PAYOUTS,
    INVREQS + "DisableInvreq": Scope.PAYOUTS,
    INVREQS + "SendInvoice": Scope.CREATE,
    KEYS + "CreateKey": Scope.ADMIN,
    KEYS + "ListKeys": Scope.ADMIN,
    KEYS + "RevokeKey": Scope.ADMIN,
    EVENTS + "ListEvents": Scope.EVENTS,
    EVENTS + "WatchEvents": Scope.EVENTS,
    REST + "CreateInvoice": Scope.CREATE,
    REST + "GetInvoice": Scope.READ,
    REST + "GetInvoiceById": Scope.READ,
    REST + "WatchInvoice": Scope.READ,
    REST + "ListInvoices": Scope.READ,
    REST + "ExportInvoices": Scope.READ,
    REST + "CancelInvoice": Scope.CANCEL,
    REST + "GetReport": Scope.INFO,
    REST + "GetInfo": Scope.INFO,
    REST_INVREQS + "CreateInvreq": Scope.PAYOUTS,
    REST_INVREQS + "GetInvreq": Scope.PAYOUTS,
    REST_INVREQS + "ListInvreqs": Scope.PAYOUTS,
    REST_INVREQS + "DisableInvreq": Scope.PAYOUTS,
    REST_INVREQS + "SendInvoice": Scope.CREATE,
    REST_EVENTS + "ListEvents": Scope.EVENTS,
    REST_EVENTS + "WatchEvents": Scope.EVENTS,
    **{
        service + method: Scope.WEBHOOKS
        for service in (WEBHOOKS, REST_WEBHOOKS)
        for method in (
            "CreateWebhook",
            "GetWebhook",
            "ListWebhooks",
            "UpdateWebhook",
            "DeleteWebhook",
            "RotateSecret",
            "TestWebhook",
            "ListDeliveries",
            "RedeliverEvent",
            "ReplayEvents",
        )
    },
}

# Methods for probes: no key, and an empty request.
PUBLIC = frozenset({REST_HEALTH + "GetHealth", REST_HEALTH + "GetReadiness"})

NO_GOOD_KEY = "the key is unknown, expired or revoked"

# The caller of the RPC that is being served.
caller: ContextVar[Caller] = ContextVar("caller")


class Access:
    """Authorizes callers. Until the first key exists, every caller is the same anonymous user."""

    def __init__(
        self,
        keys: KeyStore,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._monotonic = monotonic
        self._is_closed = False
        self._of_header = TTLCache[Caller](REMEMBERED_SECONDS, monotonic)
        # A separate cache, since key ids are public and must not match as a header.
        self._of_id = TTLCache[Key](REMEMBERED_SECONDS, monotonic)

    async def authorize(self, method: str, authorization: str | None) -> Caller:
        """Return the caller of a method by the Authorization header, which has a key or a watch token.

        Raises Unauthenticated; PermissionDenied.
        """
        who = self._of_header.get(authorization or "") or await self._identify(authorization)
        if SCOPES[method] not in who.scopes:
            if who is ANONYMOUS:
                raise PermissionDenied(
                    f"a key is required; create one with 'tilld key create --scope {SCOPES[method]}'"
                )
            raise PermissionDenied(f"the key lacks the scope {SCOPES[method]}; use a key that has it")
        return who

    async def recheck(self, who: Caller) -> None:
        """Check that an earlier authorized caller is still valid.

        Raises Unauthenticated.
        """
        if not who.key_id:
            await self._identify(None)
        elif not (await self._key(who.key_id)).is_valid(self._clock()):
            raise Unauthenticated("the key is expired or revoked")

    async def _identify(self, authorization: str | None) -> Caller:
        # The first key ends anonymous access for good: keys are revoked, never deleted.
        self._is_closed = self._is_closed or not await self._keys.is_empty()
        if not self._is_closed:
            return ANONYMOUS
        if authorization is None:
            raise Unauthenticated(
                "the header Authorization is missing; send a key as 'Authorization: Bearer till_...'"
            )
        kind, _, token = authorization.partition(" ")
        token = token.strip()
        if kind.lower() != "bearer":
            raise Unauthenticated("the header Authorization must be 'Bearer till_...'")
        if token.startswith(watch_token.PREFIX):
            return await self._watcher(token)
        asked_at = self._monotonic()
        key = await self._keys.get(key_id(token) or "")
        # Compare even if the key is unknown, so that every rejection takes the same time.
        is_it = hmac.compare_digest(key.digest, digest(token))
        if not is_it or not key.is_valid(self._clock()):
            raise Unauthenticated(NO_GOOD_KEY)
        self._of_header.keep(authorization, key.caller, asked_at)
        return key.caller

    async def _watcher(self, text: str) -> Caller:
        now = self._clock()
        token = WatchToken.read(text, self._keys.secret)
        if token and now < token.expires_at:
            key = await self._key(token.key_id)
            if key.is_valid(now):
                return replace(key.caller, scopes=frozenset({Scope.READ}), invoice_id=token.invoice_id)
        raise Unauthenticated(
            "the watch token is unknown or expired; read the invoice with a key to get a new one"
        )

    async def _key(self, key_id: str) -> Key:
        """Return the key with an id, valid or not."""
        key = self._of_id.get(key_id)
        if key is None:
            asked_at = self._monotonic()
            key = await self._keys.get(key_id)
            self._of_id.keep(key_id, key, asked_at)
        return key
