"""Authorization: keys, watch tokens, and the table of scopes."""

import hmac
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from tests.support.samples import NOON, an_invoice
from till.v1 import (
    event_service_pb2,
    invoice_service_pb2,
    invreq_service_pb2,
    key_service_pb2,
    webhook_service_pb2,
)
from till_rest.v1 import event_service_pb2 as rest_events
from till_rest.v1 import health_service_pb2 as rest_health
from till_rest.v1 import invoice_service_pb2 as rest_invoices
from till_rest.v1 import invreq_service_pb2 as rest_invreqs
from till_rest.v1 import webhook_service_pb2 as rest_webhooks
from tilld.auth.access import INVREQS, KEYS, PUBLIC, SCOPES, WEBHOOKS, Access
from tilld.auth.caller import ANONYMOUS, OPERATOR, SHOP, Caller, Scope
from tilld.auth.key import REMEMBERED_SECONDS, Key
from tilld.auth.repository import KeyStore
from tilld.auth.service import Keyring
from tilld.auth.watch_token import WatchToken
from tilld.errors import InvalidRequest, PermissionDenied, Unauthenticated
from tilld.invoices.invoice import Invoice
from tilld.invoices.repository import Store
from tilld.storage.database import open_database
from tilld.storage.statements import Bound

GET = "/till.v1.InvoiceService/GetInvoice"
CREATE = "/till.v1.InvoiceService/CreateInvoice"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(open_database(database_url))
    yield store
    await store.close()


@pytest.fixture
def keys(store: Store) -> KeyStore:
    return KeyStore(store)


@pytest.fixture
def access(keys: KeyStore) -> Access:
    return Access(keys, lambda: NOON)


async def new_key(
    store: Store,
    username: str = "shop",
    scopes: Collection[Scope] = SHOP,
    kind: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[Key, str]:
    """Create a key; return it and the header that carries it."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    key, token = Key.new(username=username, scopes=scopes, type=kind, created_at=made, expires_at=expires_at)
    await KeyStore(store).add(key)
    return key, f"Bearer {token}"


def a_token(invoice: Invoice, key_id: str = "", now: datetime = NOON) -> WatchToken:
    return WatchToken.of(invoice.invoice_id, invoice.expires_at, key_id, now)


def test_every_method_has_a_scope() -> None:
    """A method without a scope would be open by oversight."""
    methods = {
        f"/{service.full_name}/{method.name}"
        for file in (
            event_service_pb2,
            invoice_service_pb2,
            invreq_service_pb2,
            key_service_pb2,
            webhook_service_pb2,
            rest_events,
            rest_invoices,
            rest_invreqs,
            rest_webhooks,
            rest_health,
        )
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }

    assert set(SCOPES) | PUBLIC == methods
    assert not PUBLIC & set(SCOPES)


async def test_before_the_first_key_every_caller_is_anonymous(access: Access) -> None:
    assert await access.authorize(GET, None) == ANONYMOUS
    assert await access.authorize(GET, "Bearer whatever") == ANONYMOUS


async def test_a_key_identifies_its_caller(store: Store, access: Access) -> None:
    key, header = await new_key(store, kind="till-1")

    caller = Caller("shop", frozenset(SHOP), "till-1", key.id)
    assert await access.authorize(GET, header) == caller
    for spelling in ("bearer ", "Bearer  ", "BEARER   "):
        assert await access.authorize(GET, header.replace("Bearer ", spelling)) == caller


async def test_from_the_first_key_on_every_call_needs_one(store: Store, access: Access) -> None:
    """The rule applies immediately, and also when all keys are revoked."""
    await access.authorize(GET, None)
    key, header = await new_key(store)

    with pytest.raises(Unauthenticated, match="the header Authorization is missing"):
        await access.authorize(GET, None)
    await KeyStore(store).revoke(key.id, NOON)
    with pytest.raises(Unauthenticated, match="revoked"):
        await access.authorize(GET, header)
    with pytest.raises(Unauthenticated):
        await access.authorize(GET, None)


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Bearer ", "Basic c2hvcDpzaG9w", "Bearer till_", "Bearer nonsense", "Bearer till_é_ü",
        "Bearer till_aaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Bearer till_AAAAAAAAAAAA_" + "a" * 33, "till_AAAAAAAAAAAA_" + "a" * 32,
    ],
)  # fmt: skip
async def test_a_malformed_key_is_unauthorized(store: Store, access: Access, header: str) -> None:
    await new_key(store)

    with pytest.raises(Unauthenticated):
        await access.authorize(GET, header)


async def test_the_id_of_a_key_is_not_enough(store: Store, access: Access) -> None:
    """The id of a key is not secret."""
    key, _ = await new_key(store)

    with pytest.raises(Unauthenticated):
        await access.authorize(GET, f"Bearer till_{key.id}_{'a' * 32}")


async def test_an_expired_key_is_unauthorized(store: Store, access: Access) -> None:
    _, good = await new_key(store, expires_at=NOON + timedelta(seconds=1))
    _, over = await new_key(store, expires_at=NOON)

    assert (await access.authorize(GET, good)).username == "shop"
    with pytest.raises(Unauthenticated, match="expired"):
        await access.authorize(GET, over)


@pytest.mark.parametrize("case", ["unknown", "wrong secret", "revoked", "expired"])
async def test_every_refused_key_costs_the_same(
    store: Store, keys: KeyStore, access: Access, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Each refusal takes a lookup and a comparison of whole digests, so that timing reveals nothing."""
    key, header = await new_key(store, expires_at=NOON if case == "expired" else None)
    if case == "revoked":
        await KeyStore(store).revoke(key.id, NOON)
    header = {
        "unknown": f"Bearer till_{'A' * 12}_{'a' * 32}",
        "wrong secret": f"Bearer till_{key.id}_{'a' * 32}",
    }.get(case, header)
    await access.authorize(GET, (await new_key(store))[1])
    look_up, compare = Mock(wraps=keys.get), Mock(wraps=hmac.compare_digest)
    monkeypatch.setattr(keys, "get", look_up)
    monkeypatch.setattr(hmac, "compare_digest", compare)

    for _ in range(2):
        with pytest.raises(Unauthenticated, match="the key is unknown, expired or revoked"):
            await access.authorize(GET, header)

    assert [len(call.args[0]) for call in look_up.call_args_list] == [12, 12]
    assert [list(map(len, call.args)) for call in compare.call_args_list] == [[64, 64], [64, 64]]


async def test_the_id_of_a_key_is_unauthorized(store: Store, access: Access) -> None:
    """The same holds for an id under which the key of a watch is cached."""
    key, header = await new_key(store)
    await access.recheck(await access.authorize(GET, header))

    for header in (key.id, f"Bearer {key.id}"):
        with pytest.raises(Unauthenticated):
            await access.authorize(GET, header)


async def test_a_key_needs_the_scope_of_the_method(store: Store, access: Access) -> None:
    """No scope implies another."""
    _, reader = await new_key(store, scopes=[Scope.READ])
    _, admin = await new_key(store, scopes=[Scope.ADMIN, Scope.PAYOUTS])

    await access.authorize(GET, reader)
    for header in (reader, admin):
        with pytest.raises(PermissionDenied, match="invoices:create"):
            await access.authorize(CREATE, header)


@pytest.mark.parametrize("kind", [None, "till-1"])
async def test_webhooks_need_their_own_scope(store: Store, access: Access, kind: str | None) -> None:
    """A shop's key has it, one for a type only if asked for. Neither admin nor events:read implies it."""
    scopes = frozenset(Scope) - {Scope.WEBHOOKS, Scope.ADMIN, Scope.PAYOUTS}
    if kind is None:
        scopes |= {Scope.ADMIN, Scope.PAYOUTS}
    _, others = await new_key(store, kind=kind, scopes=scopes)
    _, usual = await new_key(store, kind=kind, scopes=())
    _, granted = await new_key(store, kind=kind, scopes=[Scope.WEBHOOKS])
    create = WEBHOOKS + "CreateWebhook"

    assert (await access.authorize(create, granted)).type == kind
    if kind is None:
        await access.authorize(create, usual)
    for header in (others, usual) if kind else (others,):
        with pytest.raises(PermissionDenied, match="webhooks"):
            await access.authorize(create, header)


async def test_a_watch_token_reads_one_invoice_only(store: Store, access: Access) -> None:
    """The token only reads; it expires, and fails when its key is revoked."""
    key, _ = await new_key(store, kind="shop")
    invoice = an_invoice("shop")

    def header(now: datetime) -> str:
        return f"Bearer {a_token(invoice, key.id, now).signed(store.secret)}"

    good, over = header(NOON), header(NOON - timedelta(days=1))
    who = await access.authorize(GET, good)
    assert invoice.is_visible_to(who)
    assert not an_invoice("shop").is_visible_to(who)
    for method in (CREATE, WEBHOOKS + "CreateWebhook"):
        with pytest.raises(PermissionDenied):
            await access.authorize(method, good)
    for bad in (over, good[:-1], good.replace("watch_", "watch_x"), "Bearer watch_"):
        with pytest.raises(Unauthenticated, match="watch token"):
            await access.authorize(GET, bad)
    await Keyring(KeyStore(store)).revoke(OPERATOR, key.id)
    with pytest.raises(Unauthenticated, match="watch token"):
        await access.authorize(GET, good)


async def test_a_key_fails_as_soon_as_its_revocation_returns(store: Store, access: Access) -> None:
    """Neither a recently used key nor the recheck of an open watch passes."""
    key, header = await new_key(store)
    caller = await access.authorize(GET, header)
    await access.recheck(caller)

    await Keyring(KeyStore(store)).revoke(OPERATOR, key.id)

    with pytest.raises(Unauthenticated):
        await access.authorize(GET, header)
    with pytest.raises(Unauthenticated):
        await access.recheck(caller)


async def test_a_busy_key_is_cached(store: Store, keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1.0
    access = Access(keys, lambda: NOON, lambda: now)
    _, header = await new_key(store)
    look_up = Mock(wraps=keys.get)
    monkeypatch.setattr(keys, "get", look_up)

    for _ in range(3):
        await access.authorize(GET, header)
    now += REMEMBERED_SECONDS
    await access.authorize(GET, header)

    assert look_up.call_count == 2


@pytest.mark.parametrize("again", [False, True])
async def test_a_cached_key_expires_from_the_start_of_its_lookup(
    store: Store, keys: KeyStore, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """A slow lookup does not extend the time for which a key is remembered after its revocation."""
    now = 1.0
    access = Access(keys, lambda: NOON, lambda: now)
    key, header = await new_key(store)
    get = keys.get

    async def slow(key_id: str) -> Key:
        nonlocal now
        found = await get(key_id)
        now += REMEMBERED_SECONDS
        return found

    async def ask() -> None:
        await (access.recheck(key.caller) if again else access.authorize(GET, header))

    monkeypatch.setattr(keys, "get", slow)
    await ask()
    await KeyStore(store).revoke(key.id, NOON)

    with pytest.raises(Unauthenticated):
        await ask()


async def test_a_watch_token_is_not_cached_beyond_its_key(store: Store, keys: KeyStore) -> None:
    now = 1.0
    access = Access(keys, lambda: NOON, lambda: now)
    key, _ = await new_key(store)
    token = f"Bearer {a_token(an_invoice('shop'), key.id).signed(store.secret)}"
    await access.recheck(key.caller)
    now += 0.8 * REMEMBERED_SECONDS
    await access.authorize(GET, token)
    await KeyStore(store).revoke(key.id, NOON)
    now += 0.4 * REMEMBERED_SECONDS

    with pytest.raises(Unauthenticated):
        await access.authorize(GET, token)


async def test_an_anonymous_watch_token_fails_after_the_first_key(store: Store, access: Access) -> None:
    token = a_token(an_invoice("anonymous")).signed(store.secret)
    assert await access.authorize(GET, f"Bearer {token}") == ANONYMOUS

    await new_key(store)

    with pytest.raises(Unauthenticated, match="watch token"):
        await access.authorize(GET, f"Bearer {token}")


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [(timedelta(hours=-2), 10), (timedelta(hours=1), 70), (timedelta(days=365), 24 * 60)],
)
def test_a_watch_token_outlives_its_invoice_but_lasts_a_day_at_most(
    expires_in: timedelta, good_for: int
) -> None:
    invoice = an_invoice(expires_at=NOON + expires_in)

    assert a_token(invoice).expires_at == NOON + timedelta(minutes=good_for)


async def test_a_revoked_key_is_revoked_once(store: Store) -> None:
    key, _ = await new_key(store)

    revoked = await KeyStore(store).revoke(key.id, NOON)

    assert revoked
    assert revoked.revoked_at == NOON
    assert await KeyStore(store).revoke(key.id, NOON) is None
    assert await KeyStore(store).revoke("unknown", NOON) is None
    assert await KeyStore(store).page() == [revoked]


async def test_the_key_itself_is_not_stored(store: Store) -> None:
    key, header = await new_key(store)

    [row] = await store.read(Bound("SELECT * FROM keys"))

    assert header.rpartition("_")[2] not in str(row)
    assert await KeyStore(store).get(key.id) == key


def test_a_key_with_a_type_cannot_have_all_scopes() -> None:
    """Such a key has no access to the shop's totals, and cannot create keys."""
    key, _ = Key.new(username="shop", scopes=(), type="till-1", created_at=NOON, expires_at=None)

    assert key.scopes == {Scope.CREATE, Scope.READ, Scope.CANCEL}
    with pytest.raises(InvalidRequest, match="admin"):
        Key.new(username="shop", scopes=[Scope.ADMIN], type="till-1", created_at=NOON, expires_at=None)


@pytest.mark.parametrize("username", ["", "a b", "é", "a" * 65, "a\n"])
def test_a_username_is_a_plain_word(username: str) -> None:
    with pytest.raises(InvalidRequest, match="username"):
        Key.new(username=username, scopes=SHOP, type=None, created_at=NOON, expires_at=None)


async def test_an_error_without_keys_names_the_command_that_creates_one(access: Access) -> None:
    for method, scope in ((KEYS + "ListKeys", "admin"), (INVREQS + "CreateInvreq", "payouts")):
        with pytest.raises(PermissionDenied, match=f"create one with 'tilld key create --scope {scope}'"):
            await access.authorize(method, None)
