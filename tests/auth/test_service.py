"""Management of keys, and its log."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from tests.support.samples import NOON
from tilld.auth.access import INVOICES, Access
from tilld.auth.caller import OPERATOR, Caller, Scope
from tilld.auth.key import REMEMBERED_SECONDS, Key
from tilld.auth.repository import KeyStore
from tilld.auth.service import Keyring
from tilld.errors import InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from tilld.grpc_api import messages
from tilld.invoices.repository import Store
from tilld.storage.database import open_database
from tilld.storage.statements import Bound

ADMIN = Caller("boss", frozenset({Scope.ADMIN}), key_id="ADMINADMINAD")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(open_database(database_url))
    yield store
    await store.close()


@pytest.fixture
def keyring(store: Store) -> Keyring:
    return Keyring(KeyStore(store), lambda: NOON)


async def made(
    keyring: Keyring, by: Caller = ADMIN, scopes: Sequence[Scope] = (), username: str = "shop"
) -> tuple[Key, str]:
    return await keyring.create(by, username=username, scopes=scopes, type=None, expires_at=None)


async def test_creation_and_revocation_of_a_key_are_logged(keyring: Keyring) -> None:
    """The log does not contain the key itself."""
    with capture_logs() as events:
        key, token = await made(keyring)
        await keyring.revoke(ADMIN, key.id)

    by = {"username": "shop", "key_id": key.id, "by": "boss", "by_key_id": ADMIN.key_id}
    assert [event["event"] for event in events] == ["key created", "key revoked"]
    assert all(by.items() <= event.items() for event in events)
    assert token.rpartition("_")[2] not in str(events)


def test_a_revocation_waits_until_the_key_has_left_every_cache(tmp_path: Path) -> None:
    """The loop is uvloop, as in production; its timers fire up to 1 ms early."""
    written: dict[str, float] = {}

    class Timed(KeyStore):
        async def revoke(self, key_id: str, revoked_at: datetime) -> Key | None:
            revoked = await super().revoke(key_id, revoked_at)
            written[key_id] = time.monotonic()
            return revoked

    async def waited(keyring: Keyring) -> float:
        key, _ = await made(keyring)
        await keyring.revoke(ADMIN, key.id)
        return time.monotonic() - written[key.id]

    async def revoke_many() -> list[float]:
        store = Store(open_database(f"sqlite:///{tmp_path / 'till.db'}"))
        keyring = Keyring(Timed(store), lambda: NOON)
        times = await asyncio.gather(*(waited(keyring) for _ in range(50)))
        await store.close()
        return times

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert min(runner.run(revoke_many())) > REMEMBERED_SECONDS


async def test_the_admin_scope_does_not_grant_payouts(keyring: Keyring) -> None:
    """Only the operator, or a key with the scope payouts, grants payouts."""
    with pytest.raises(PermissionDenied, match="payouts"):
        await made(keyring, scopes=[Scope.PAYOUTS])

    payer = Caller("boss", frozenset({Scope.ADMIN, Scope.PAYOUTS}))
    for by in (OPERATOR, payer):
        key, _ = await made(keyring, by, scopes=[Scope.PAYOUTS])
        assert key.scopes == {Scope.PAYOUTS}


async def test_all_keys_come_page_by_page(keyring: Keyring) -> None:
    """Each key is on one page, also keys created in the same second."""
    keys = [(await made(keyring, username=f"shop-{number}"))[0] for number in range(5)]

    pages, last = [], ""
    while page := await keyring.page(last, 2):
        pages.append(page)
        last = page[-1].id

    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(key.id for page in pages for key in page) == sorted(key.id for key in keys)
    for after in ("nonsense", "NoSuchKeyYet", "\0"):
        with pytest.raises(InvalidRequest, match="page_token"):
            await keyring.page(after, 2)


async def test_only_an_active_key_can_be_revoked(keyring: Keyring) -> None:
    key, _ = await made(keyring)
    await keyring.revoke(ADMIN, key.id)

    for key_id in (key.id, "unknown", "", "\0"):
        with pytest.raises(NotFound):
            await keyring.revoke(ADMIN, key_id)


@pytest.mark.parametrize("kind", ["", "x" * 65, "till\0", "till\n", "\x1b[2Jtill", "\u202etill"])
async def test_a_type_must_be_printable(keyring: Keyring, kind: str) -> None:
    """'tilld key list' prints the type: line breaks and control characters are rejected."""
    with pytest.raises(InvalidRequest, match="type must have 1 to 64 printable"):
        await keyring.create(ADMIN, username="shop", scopes=(), type=kind, expires_at=None)


@pytest.mark.parametrize(
    "damage",
    [
        # An older Till stored this for the largest time of .NET and Python: a float rounded it up.
        "expires_at = 253402300800",
        "expires_at = 9223372036854775807",
        "created_at = 253402300800",
        "scopes = 'invoices:read from:the:future'",
    ],
)
async def test_a_damaged_row_is_listed_and_can_be_revoked(
    store: Store, keyring: Keyring, damage: str
) -> None:
    """The key itself keeps its access until it is revoked."""
    (strange, token), (plain, _) = await made(keyring), await made(keyring)
    damaging = Bound(f"UPDATE keys SET {damage} WHERE id = '{strange.id}'")
    await store.write(lambda do: do.execute(damaging))

    listed = await keyring.page("", 1)
    listed += await keyring.page(listed[-1].id, 1)

    assert {key.id for key in listed} == {strange.id, plain.id}
    assert {key.id: messages.key(key).id for key in listed}.keys() == {strange.id, plain.id}
    access = Access(KeyStore(store), lambda: NOON)
    assert (await access.authorize(INVOICES + "GetInvoice", f"Bearer {token}")).key_id == strange.id
    assert (await keyring.revoke(ADMIN, strange.id)).revoked_at == NOON
    with pytest.raises(Unauthenticated):
        await Access(KeyStore(store)).authorize(INVOICES + "GetInvoice", f"Bearer {token}")
