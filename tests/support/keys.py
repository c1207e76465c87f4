"""Keys for tests, created as the command `tilld key create` does, without its process."""

import argparse
from pathlib import Path

from tilld.auth.caller import OPERATOR, Scope
from tilld.auth.repository import KeyStore
from tilld.auth.service import Keyring
from tilld.invoices.repository import Store
from tilld.storage.database import open_database

# Every key that a test has created.
KEYS: set[str] = set()

_FLAGS = argparse.ArgumentParser()
_FLAGS.add_argument("--username", required=True)
_FLAGS.add_argument("--scope", type=Scope, action="append", default=[])
_FLAGS.add_argument("--type")
_FLAGS.add_argument("--database")


async def make_key(directory: Path, *flags: str) -> dict[str, str]:
    """Create a key in the data directory of a running Till; return the header that carries the key.

    The flags are those of the command.
    """
    given = _FLAGS.parse_args(flags)
    store = Store(open_database(given.database or f"sqlite:///{directory / 'till.db'}"))
    _, token = await Keyring(KeyStore(store)).create(
        OPERATOR, username=given.username, scopes=given.scope, type=given.type, expires_at=None
    )
    await store.close()
    KEYS.add(token)
    return {"authorization": f"Bearer {token}"}
