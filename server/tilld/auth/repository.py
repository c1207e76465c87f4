"""What Till remembers of API keys: their digests, not themselves."""

from datetime import datetime
from typing import Any

import peewee
import structlog

from tilld.auth.caller import Scope
from tilld.auth.key import Key
from tilld.formats.times import stored_time, unix_seconds
from tilld.storage.executor import PAGE, Executor
from tilld.storage.rows import Rows
from tilld.storage.statements import compiled, param, whole_rows
from tilld.storage.tables import KeyTable

log = structlog.get_logger()

# Of a key that nobody has, and whose digest is that of no token.
_ROW_OF_NO_KEY = ("", "0" * 64, "nobody", "invoices:create invoices:read", None, 0, None, 0)


class KeyStore:
    """API keys, in the database of a store, which raises what it raises there. None is ever deleted."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        # Signs watch tokens.
        self.secret = store.secret
        with store.database.bind_ctx([KeyTable]):
            keys = KeyTable.select()
            has_id = KeyTable.id == param("id")
            self._by_id = compiled(keys.where(has_id))
            beyond = peewee.Tuple(KeyTable.created_at, KeyTable.id) > peewee.Tuple(
                param("created_at"), param("id")
            )
            oldest = keys.where(beyond).order_by(KeyTable.created_at, KeyTable.id)
            self._beyond = compiled(oldest.limit(param("limit")))
            self._any = compiled(KeyTable.select(KeyTable.id).limit(1))
            self._add = compiled(KeyTable.insert_many(whole_rows(KeyTable)))
            revoke = KeyTable.update(revoked_at=param("revoked_at")).where(
                has_id, KeyTable.revoked_at.is_null()
            )
            self._revoke = compiled(revoke.returning(KeyTable))

    async def add(self, key: Key) -> None:
        """Add a key."""
        await self._store.write(lambda do: do.execute(self._add(values=_row(key))))

    async def get(self, key_id: str) -> Key:
        """Find a key by its id. For an unknown one, in the same time, a key that opens nothing."""
        rows = await self._store.read(self._by_id(id=key_id))
        return KEYS.one(rows[0] if rows else _ROW_OF_NO_KEY)

    async def page(self, after: Key | None = None, limit: int = PAGE) -> list[Key]:
        """A page of all keys there ever were, the oldest first, beyond one."""
        created_at, key_id = (unix_seconds(after.created_at), after.id) if after else (-1, "")
        keys: list[Key] = []
        while len(keys) < limit:
            beyond = self._beyond(created_at=created_at, id=key_id, limit=limit - len(keys))
            rows = await self._store.read(beyond)
            if not rows:
                break
            keys += KEYS.all(rows)
            created_at, key_id = rows[-1][5], rows[-1][0]
        return keys

    async def is_empty(self) -> bool:
        """Whether there never was a key."""
        return not await self._store.read(self._any())

    async def revoke(self, key_id: str, revoked_at: datetime) -> Key | None:
        """Revoke a key that is not revoked yet; returns it, or None where there is none."""
        revoke = self._revoke(id=key_id, revoked_at=unix_seconds(revoked_at))
        return KEYS.first(await self._store.write(lambda do: do.rows(revoke)))


def _row(key: Key) -> tuple[Any, ...]:
    return (
        key.id,
        key.digest,
        key.username,
        " ".join(sorted(key.scopes)),
        key.type,
        unix_seconds(key.created_at),
        key.expires_at and unix_seconds(key.expires_at),
        key.revoked_at and unix_seconds(key.revoked_at),
    )


def _key(row: tuple[Any, ...]) -> Key:
    key_id, digest, username, scopes, kind, created_at, expires_at, revoked_at = row
    return Key(
        id=key_id,
        digest=digest,
        username=username,
        scopes=_scopes(key_id, scopes),
        type=kind,
        created_at=stored_time(created_at),
        expires_at=None if expires_at is None else stored_time(expires_at),
        revoked_at=None if revoked_at is None else stored_time(revoked_at),
    )


def _scopes(key_id: str, text: str) -> frozenset[Scope]:
    """The scopes that this Till knows. Another one grants nothing, and leaves the key readable."""
    known = set(Scope)
    unknown = [name for name in text.split() if name not in known]
    if unknown:
        log.error("a key has unknown scopes, which grant nothing", key_id=key_id, scopes=" ".join(unknown))
    return frozenset(Scope(name) for name in text.split() if name in known)


KEYS = Rows(KeyTable.id, _key)
