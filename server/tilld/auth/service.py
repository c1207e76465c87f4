"""Use cases of admins: create, list and revoke API keys. The log records each change with its author."""

import asyncio
from collections.abc import Collection
from datetime import datetime

import structlog

from tilld.auth.caller import Caller, Scope
from tilld.auth.key import REMEMBERED_SECONDS, Key, is_key_id
from tilld.auth.repository import KeyStore
from tilld.errors import InvalidRequest, NotFound, PermissionDenied
from tilld.formats.times import Clock, utc_now

log = structlog.get_logger()


class Keyring:
    """The API keys of a Till."""

    def __init__(self, keys: KeyStore, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._clock = clock

    async def create(
        self,
        by: Caller,
        *,
        username: str,
        scopes: Collection[Scope],
        type: str | None,  # noqa: A002
        expires_at: datetime | None,
    ) -> tuple[Key, str]:
        """Create a key; return the key and its token, which is shown once. Without scopes: those of a shop.

        Raises InvalidRequest; PermissionDenied.
        """
        # Otherwise an admin could grant themselves payouts.
        if Scope.PAYOUTS in scopes and Scope.PAYOUTS not in by.scopes:
            raise PermissionDenied(
                f"the scope {Scope.PAYOUTS} can be granted only by a key that has it; use 'tilld key create'"
            )
        key, token = Key.new(
            username=username, scopes=scopes, type=type, created_at=self._clock(), expires_at=expires_at
        )
        await self._keys.add(key)
        log.info(
            "key created",
            key_id=key.id,
            username=key.username,
            scopes=" ".join(sorted(key.scopes)),
            type=key.type,
            expires_at=key.expires_at and key.expires_at.isoformat(),
            by=by.username,
            by_key_id=by.key_id,
        )
        return key, token

    async def page(self, after: str, limit: int) -> list[Key]:
        """Return at most `limit` keys, oldest first, beyond the key with the id `after`, or from the start.

        Raises InvalidRequest.
        """
        last = await self._keys.get(after) if is_key_id(after) else None
        if after and not (last and last.id == after):
            raise InvalidRequest("page_token must be next_page_token of the previous page, or empty")
        return await self._keys.page(last, limit)

    async def revoke(self, by: Caller, key_id: str) -> Key:
        """Revoke a key. After the return no process accepts the key.

        Raises NotFound if the key is unknown or revoked.
        """
        key = await self._keys.revoke(key_id, self._clock()) if is_key_id(key_id) else None
        if key is None:
            raise NotFound
        log.info("key revoked", key_id=key.id, username=key.username, by=by.username, by_key_id=by.key_id)
        # uvloop counts whole milliseconds, and may wake up one too early.
        await asyncio.sleep(REMEMBERED_SECONDS + 0.01)
        return key
