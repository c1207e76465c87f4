"""Who may call what: one table of methods, and the gate that holds callers to it."""

import hmac
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime

from tilld import watch_token
from tilld.errors import PermissionDenied, Unauthenticated
from tilld.key import ANONYMOUS, REMEMBERED_SECONDS, Caller, Key, Scope, digest, key_id
from tilld.store import Store
from tilld.watch_token import WatchToken

INVOICES = "/till.v1.InvoiceService/"
INVREQS = "/till.v1.InvreqService/"
KEYS = "/till.v1.KeyService/"
REST = "/till.v1.RestService/"
REST_INVREQS = "/till.v1.RestInvreqService/"

# The scope that each of our methods needs. Health and reflection are for everybody.
SCOPES = {
    INVOICES + "CreateInvoice": Scope.CREATE,
    INVOICES + "GetInvoice": Scope.READ,
    INVOICES + "GetInvoiceById": Scope.READ,
    INVOICES + "LookupInvoice": Scope.READ,
    INVOICES + "WatchInvoice": Scope.READ,
    INVOICES + "GetInfo": Scope.INFO,
    INVREQS + "CreateInvreq": Scope.PAYOUTS,
    INVREQS + "GetInvreq": Scope.PAYOUTS,
    INVREQS + "ListInvreqs": Scope.PAYOUTS,
    INVREQS + "DisableInvreq": Scope.PAYOUTS,
    INVREQS + "SendInvoice": Scope.CREATE,
    KEYS + "CreateKey": Scope.ADMIN,
    KEYS + "ListKeys": Scope.ADMIN,
    KEYS + "RevokeKey": Scope.ADMIN,
    REST + "CreateInvoice": Scope.CREATE,
    REST + "GetInvoice": Scope.READ,
    REST + "GetInvoiceById": Scope.READ,
    REST + "WatchInvoice": Scope.READ,
    REST + "GetInfo": Scope.INFO,
    REST_INVREQS + "CreateInvreq": Scope.PAYOUTS,
    REST_INVREQS + "GetInvreq": Scope.PAYOUTS,
    REST_INVREQS + "ListInvreqs": Scope.PAYOUTS,
    REST_INVREQS + "DisableInvreq": Scope.PAYOUTS,
    REST_INVREQS + "SendInvoice": Scope.CREATE,
}

NO_GOOD_KEY = "the key is unknown, expired or revoked"

# Who makes the call that is being served.
caller: ContextVar[Caller] = ContextVar("caller")


class Access:
    """The gate. Until the first key is made, everybody is the same anonymous caller."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._is_closed = False
        self._remembered: dict[str, tuple[Key, float]] = {}

    async def admit(self, method: str, authorization: str | None) -> Caller:
        """Tell who calls a method, given the header Authorization: a key, or a watch token.

        Raises Unauthenticated; PermissionDenied.
        """
        who = await self._identify(authorization)
        if SCOPES[method] not in who.scopes:
            raise PermissionDenied(f"the key has no scope {SCOPES[method]}: ask for one that has")
        return who

    async def recheck(self, who: Caller) -> None:
        """Make sure that who was let in earlier may still call.

        Raises Unauthenticated.
        """
        if not who.key_id:
            await self._identify(None)
        elif not (await self._key(who.key_id)).is_valid(self._clock()):
            raise Unauthenticated("the key was revoked, or has expired")

    async def _identify(self, authorization: str | None) -> Caller:
        # Once closed it stays so: keys are revoked, and never deleted.
        self._is_closed = self._is_closed or await self._store.has_keys()
        if not self._is_closed:
            return ANONYMOUS
        if authorization is None:
            raise Unauthenticated("a key is needed: send it as 'Authorization: Bearer till_...'")
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            raise Unauthenticated("the header Authorization must be 'Bearer till_...'")
        if token.startswith(watch_token.PREFIX):
            return await self._watcher(token)
        key = await self._key_of(token)
        if not key.is_valid(self._clock()):
            raise Unauthenticated(NO_GOOD_KEY)
        return key.caller

    async def _watcher(self, text: str) -> Caller:
        now = self._clock()
        token = WatchToken.read(text, self._store.secret)
        if token and now < token.expires_at:
            key = await self._key(token.key_id)
            if key.is_valid(now):
                return replace(key.caller, scopes=frozenset({Scope.READ}), invoice_id=token.invoice_id)
        raise Unauthenticated("the watch token is unknown or expired: ask for a new one with the invoice")

    async def _key_of(self, token: str) -> Key:
        """The key that a token is, valid or not. Raises Unauthenticated."""
        # Remembered by its digest, so that what is no good key always takes the same way.
        hashed = digest(token)
        if key := self._recall(hashed):
            return key
        asked_at = self._monotonic()
        key = await self._store.key(key_id(token) or "")
        # Whether it is known or not, it is compared.
        if not hmac.compare_digest(key.digest, hashed):
            raise Unauthenticated(NO_GOOD_KEY)
        self._remembered[hashed] = key, asked_at
        return key

    async def _key(self, key_id: str) -> Key:
        """The key with an id, valid or not."""
        if key := self._recall(key_id):
            return key
        asked_at = self._monotonic()
        key = await self._store.key(key_id)
        self._remembered[key_id] = key, asked_at
        return key

    def _recall(self, name: str) -> Key | None:
        """A key that was looked up a moment ago, by its digest or id."""
        key, asked_at = self._remembered.get(name, (None, 0.0))
        return key if self._monotonic() < asked_at + REMEMBERED_SECONDS else None
