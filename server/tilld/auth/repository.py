"""The store of API keys, which keeps only digests of tokens."""

from datetime import datetime

import peewee
import structlog

from tilld.auth.caller import TERMINAL, Scope
from tilld.auth.key import Key
from tilld.formats.times import EPOCH, unix_seconds
from tilld.storage.executor import Executor
from tilld.storage.mapper import Conversion, Row
from tilld.storage.rows import Rows
from tilld.storage.statements import compiled, param, whole_rows
from tilld.storage.tables import KeyTable

log = structlog.get_logger()


class KeyStore:
    """The API keys in the database of a store. Raises the store's errors. Keys are never deleted."""

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
        """Store a new key."""
        await self._store.write(lambda do: do.execute(self._add(values=KEYS.row(key))))

    async def get(self, key_id: str) -> Key:
        """Return the key with an id.

        An unknown id yields an invalid key, so that both lookups take the same time.
        """
        rows = await self._store.read(self._by_id(id=key_id))
        return KEYS.one(rows[0] if rows else _ROW_OF_NO_KEY)

    async def page(self, after: Key | None = None, limit: int | None = None) -> list[Key]:
        """Return a page of all keys, revoked ones included, oldest first, beyond `after`."""
        created_at, key_id = (unix_seconds(after.created_at), after.id) if after else (-1, "")
        limit = limit or self._store.page_size
        keys: list[Key] = []
        while len(keys) < limit:
            beyond = self._beyond(created_at=created_at, id=key_id, limit=limit - len(keys))
            rows = await self._store.read(beyond)
            if not rows:
                break
            keys += KEYS.all(rows)
            created_at, key_id = (rows[-1][KEYS.at(name)] for name in ("created_at", "id"))
        return keys

    async def is_empty(self) -> bool:
        """Return whether the store never had a key."""
        return not await self._store.read(self._any())

    async def revoke(self, key_id: str, revoked_at: datetime) -> Key | None:
        """Revoke a key; return the key, or None if the id is unknown or revoked."""
        revoke = self._revoke(id=key_id, revoked_at=unix_seconds(revoked_at))
        return KEYS.first(await self._store.write(lambda do: do.rows(revoke)))


class _Keys(Rows[Key]):
    """Rows of keys. A scope unknown to this version grants nothing, and leaves the key readable."""

    def _record(self, row: Row) -> Key:
        key = super()._record(row)
        unknown = set(row[self.at("scopes")].split()) - key.scopes
        if unknown:
            scopes = " ".join(sorted(unknown))
            log.error("key has unknown scopes, which grant nothing", key_id=key.id, scopes=scopes)
        return key


def _known_scopes(text: str) -> frozenset[Scope]:
    return frozenset(scope for scope in Scope if scope in text.split())


KEYS = _Keys(KeyTable.id, Key, scopes=Conversion(lambda scopes: " ".join(sorted(scopes)), _known_scopes))

# A revoked key whose digest matches no token.
_ROW_OF_NO_KEY = KEYS.row(
    Key(
        id="",
        digest="0" * 64,
        username="nobody",
        scopes=frozenset(TERMINAL),
        type=None,
        created_at=EPOCH,
        expires_at=None,
        revoked_at=EPOCH,
    )
)
