"""An admin's key over gRPC: creates keys that work immediately, and revokes them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tests.support.calls import code, create
from tests.support.keys import make_key
from tests.support.shop import Shop, config, open_shop
from till.v1 import key_pb2
from till.v1 import key_service_pb2 as pb
from till.v1.key_service_pb2_grpc import KeyServiceStub


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(config(tmp_path)) as shop:
        yield shop


@pytest.fixture
def keys(shop: Shop) -> Any:
    return KeyServiceStub(shop.channel)


@pytest.fixture
async def admin(tmp_path: Path) -> tuple[tuple[str, str], ...]:
    return tuple((await make_key(tmp_path, "--username", "boss", "--scope", "admin")).items())


async def test_an_admin_creates_lists_and_revokes_keys(
    shop: Shop, keys: Any, admin: tuple[tuple[str, str], ...]
) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    request = pb.CreateKeyRequest(username="shop", type="till-1")
    request.expires_at.FromDatetime(ends)

    made = await keys.CreateKey(request, metadata=admin)
    header = {"authorization": f"Bearer {made.token}"}
    status, invoice = await create(shop, header, metadata={"type": "till-1"})

    assert (status, invoice["username"]) == (200, "shop")
    assert set(made.key.scopes) == {
        key_pb2.KEY_SCOPE_INVOICES_CREATE,
        key_pb2.KEY_SCOPE_INVOICES_READ,
        key_pb2.KEY_SCOPE_INVOICES_CANCEL,
    }
    assert made.key.expires_at.ToDatetime(UTC) == ends
    first = await keys.ListKeys(pb.ListKeysRequest(page_size=1), metadata=admin)
    rest = await keys.ListKeys(pb.ListKeysRequest(page_token=first.next_page_token), metadata=admin)
    listed = {key.id: key.username for key in (*first.keys, *rest.keys)}
    assert (len(listed), listed[made.key.id], rest.next_page_token) == (2, "shop", "")
    revoked = await keys.RevokeKey(pb.RevokeKeyRequest(id=made.key.id), metadata=admin)
    assert revoked.key.HasField("revoked_at")
    assert (await create(shop, header))[0] == 401
    again = keys.RevokeKey(pb.RevokeKeyRequest(id=made.key.id), metadata=admin)
    assert await code(again) == grpc.StatusCode.NOT_FOUND


async def test_only_an_admin_manages_keys(shop: Shop, keys: Any, tmp_path: Path) -> None:
    """Before the first key exists, no caller manages keys: the operator creates the first one."""
    assert await code(keys.ListKeys(pb.ListKeysRequest())) == grpc.StatusCode.PERMISSION_DENIED
    shops = tuple((await make_key(tmp_path, "--username", "shop")).items())
    for request in (
        keys.CreateKey(pb.CreateKeyRequest(username="shop"), metadata=shops),
        keys.ListKeys(pb.ListKeysRequest(), metadata=shops),
        keys.RevokeKey(pb.RevokeKeyRequest(), metadata=shops),
    ):
        assert await code(request) == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "request_",
    [
        pb.CreateKeyRequest(username="a b"),
        pb.CreateKeyRequest(username="shop", scopes=["KEY_SCOPE_UNSPECIFIED"]),
        pb.CreateKeyRequest.FromString(b"\x0a\x04shop\x12\x01\x4d"),
        pb.CreateKeyRequest(username="shop", type=""),
        pb.CreateKeyRequest(username="shop", expires_at={"seconds": 1}),
        pb.CreateKeyRequest(username="shop", expires_at={"seconds": 2**60}),
        pb.CreateKeyRequest(username="shop", expires_at={"seconds": 253_402_300_799, "nanos": 999_999_999}),
        pb.CreateKeyRequest(username="shop", expires_at={"seconds": 253_370_764_800}),
    ],
)
async def test_an_invalid_key_is_refused(
    keys: Any, admin: tuple[tuple[str, str], ...], request_: pb.CreateKeyRequest
) -> None:
    assert await code(keys.CreateKey(request_, metadata=admin)) == grpc.StatusCode.INVALID_ARGUMENT


async def test_an_invalid_page_is_refused(keys: Any, admin: tuple[tuple[str, str], ...]) -> None:
    for request in (pb.ListKeysRequest(page_size=-1), pb.ListKeysRequest(page_token="nonsense")):
        assert await code(keys.ListKeys(request, metadata=admin)) == grpc.StatusCode.INVALID_ARGUMENT
