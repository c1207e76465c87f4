"""Keys as callers use them, over REST through the real Envoy and gRPC, and as an operator creates them."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest

from tests.support.calls import BODY, code, create
from tests.support.keys import KEYS, make_key
from tests.support.processes import children, fails, output, tilld
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.auth.caller import SHOP, Scope
from tilld.auth.key import Key
from tilld.auth.repository import KeyStore
from tilld.invoices.repository import Store
from tilld.storage.database import open_database


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(config(tmp_path)) as shop:
        yield shop


async def read(shop: Shop, headers: dict[str, str], invoice: Any) -> tuple[int, Any]:
    reply = await shop.rest.get(f"/lightning/invoice/{invoice['invoiceid']}", headers=headers)
    return reply.status_code, reply.json()


async def test_owners_do_not_see_each_other(shop: Shop, tmp_path: Path) -> None:
    """No request finds the invoice of another owner; each owner has separate labels."""
    shop_key = await make_key(tmp_path, "--username", "shop")
    bar_key = await make_key(tmp_path, "--username", "bar")

    _, of_shop = await create(shop, shop_key, label="order-1")
    status, of_bar = await create(shop, bar_key, label="order-1")

    assert (status, of_shop["username"], of_bar["username"]) == (200, "shop", "bar")
    assert of_bar["invoiceid"] != of_shop["invoiceid"]
    assert await read(shop, shop_key, of_shop) == (200, of_shop)
    assert await read(shop, bar_key, of_shop) == (404, {"error": "E2", "message": "resource not found"})
    watched = await shop.rest.get(f"/lightning/invoice/{of_shop['invoiceid']}/watch", headers=bar_key)
    by_id = await shop.rest.get(f"/lightning/invoice/i/{of_shop['_id']}", headers=bar_key)
    assert (watched.status_code, by_id.status_code) == (404, 404)
    metadata = tuple(bar_key.items())
    for request in (
        shop.invoices.GetInvoice(pb.GetInvoiceRequest(invoice_id=of_shop["invoiceid"]), metadata=metadata),
        shop.invoices.LookupInvoice(
            pb.LookupInvoiceRequest(payment_hash=of_shop["rhash"]), metadata=metadata
        ),
        shop.invoices.LookupInvoice(pb.LookupInvoiceRequest(bolt11=of_shop["payreq"]), metadata=metadata),
        shop.invoices.WatchInvoice(
            pb.WatchInvoiceRequest(invoice_id=of_shop["invoiceid"]), metadata=metadata
        ).read(),
    ):
        assert await code(request) == grpc.StatusCode.NOT_FOUND


async def test_concurrent_calls_keep_their_own_callers(shop: Shop, tmp_path: Path) -> None:
    """No call is authorized as the caller of a previous call, or as anonymous."""
    keys = [await make_key(tmp_path, "--username", name) for name in ("shop", "bar")]
    request = pb.CreateInvoiceRequest(metadata='{"type":"shop"}')

    async def who(headers: dict[str, str]) -> Any:
        try:
            made = await shop.invoices.CreateInvoice(request, metadata=tuple(headers.items()))
        except grpc.aio.AioRpcError as reason:
            return reason.code()
        return made.invoice.username

    answers = await asyncio.gather(*(who(headers) for _ in range(20) for headers in (*keys, {})))

    assert answers == ["shop", "bar", grpc.StatusCode.UNAUTHENTICATED] * 20


async def test_the_first_key_makes_keys_mandatory_and_a_revoked_key_fails(shop: Shop, tmp_path: Path) -> None:
    """Both take effect immediately, while Till runs. Health stays public."""
    assert (await create(shop, {}))[0] == 200
    key = await make_key(tmp_path, "--username", "shop")
    nobody = await create(shop, {})

    assert nobody == (401, {"error": "E3", "message": nobody[1]["message"]})
    assert "Authorization: Bearer" in nobody[1]["message"]
    assert (await create(shop, key))[0] == 200
    assert await code(shop.invoices.GetInfo(pb.GetInfoRequest())) == grpc.StatusCode.UNAUTHENTICATED
    key_id = key["authorization"].split("_")[1]
    revoked, _ = await output("key", "revoke", key_id, "--data-dir", str(tmp_path), cwd=tmp_path)
    assert revoked == 0
    assert (await create(shop, key))[1]["error"] == "E3"


async def test_a_watch_ends_when_its_key_is_revoked(shop: Shop, tmp_path: Path) -> None:
    """A watch without a key also ends when the first key exists."""
    anonymous = await shop.create()
    without_key = shop.invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=anonymous["invoiceid"]))
    await without_key.read()
    key = await make_key(tmp_path, "--username", "shop")
    _, invoice = await create(shop, key)
    request = pb.WatchInvoiceRequest(invoice_id=invoice["invoiceid"])
    watch = shop.invoices.WatchInvoice(request, metadata=tuple(key.items()))
    await watch.read()

    key_id = key["authorization"].split("_")[1]
    await output("key", "revoke", key_id, "--data-dir", str(tmp_path), cwd=tmp_path)
    for each in (anonymous, invoice):
        await shop.pay(each["payreq"])

    assert await code(watch.read()) == grpc.StatusCode.UNAUTHENTICATED
    assert await code(without_key.read()) == grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
async def headers_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Shop, dict[str, dict[str, str]]]]:
    """A Till with keys of each kind, and the headers that carry them."""
    directory = tmp_path_factory.mktemp("guarded")
    store = Store(open_database(f"sqlite:///{directory / 'till.db'}"))
    now = datetime.now(UTC)

    async def header(
        scopes: Collection[Scope] = SHOP, expires_at: datetime | None = None, revoked: bool = False
    ) -> dict[str, str]:
        made = now - timedelta(days=2)
        key, token = Key.new(
            username="shop", scopes=scopes, type=None, created_at=made, expires_at=expires_at
        )
        KEYS.add(token)
        await KeyStore(store).add(key)
        if revoked:
            await KeyStore(store).revoke(key.id, now)
        return {"authorization": f"Bearer {token}"}

    headers = {
        "good": await header(),
        "none": {},
        "empty": {"authorization": ""},
        "malformed": {"authorization": "Bearer till_nonsense"},
        "another kind": {"authorization": "Basic c2hvcDpzaG9w"},
        "unknown": {"authorization": f"Bearer till_{'A' * 12}_{'a' * 32}"},
        "expired": await header(expires_at=now - timedelta(days=1)),
        "revoked": await header(revoked=True),
        "without the scope": await header(scopes=[Scope.READ, Scope.ADMIN]),
    }
    await store.close()
    async with open_shop(config(directory)) as shop:
        yield shop, headers


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("good", 200),
        *(
            (kind, 401)
            for kind in ("none", "empty", "malformed", "another kind", "unknown", "expired", "revoked")
        ),
        ("without the scope", 403),
    ],
)
async def test_only_a_valid_key_is_accepted(
    headers_of: tuple[Shop, dict[str, dict[str, str]]], kind: str, status: int
) -> None:
    """The status agrees with HTTP over REST, and with gRPC directly and through Envoy."""
    shop, headers = headers_of
    error, grpc_status = {
        200: (None, None),
        401: ("E3", grpc.StatusCode.UNAUTHENTICATED),
        403: ("E4", grpc.StatusCode.PERMISSION_DENIED),
    }[status]

    reply = await shop.rest.post("/lightning/invoice/create", json=BODY, headers=headers[kind])

    assert (reply.status_code, reply.json().get("error")) == (status, error)
    assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    async with grpc.aio.insecure_channel(shop.rest.base_url.netloc.decode()) as through_envoy:
        for invoices in (shop.invoices, InvoiceServiceStub(through_envoy)):
            call = invoices.CreateInvoice(
                pb.CreateInvoiceRequest(metadata='{"type":"shop"}'), metadata=tuple(headers[kind].items())
            )
            if status == 200:
                await call
            else:
                assert await code(call) == grpc_status
                assert dict(await call.trailing_metadata())["x-error-code"] == error


async def test_anothers_invoice_gets_the_same_response_as_a_missing_one(
    headers_of: tuple[Shop, dict[str, dict[str, str]]],
) -> None:
    """The responses are identical byte for byte, so a guess reveals nothing. (An id has 126 random bits.)"""
    shop, headers = headers_of
    _, theirs = await create(shop, headers["good"], label="hers")
    bar = await make_key(shop.rpc_file.parent, "--username", "bar")
    there, not_there = (theirs["invoiceid"], "~" * 21), (theirs["_id"], "0" * 24)

    for paths in (
        [f"/lightning/invoice/{each}" for each in there],
        [f"/lightning/invoice/{each}/watch" for each in there],
        [f"/lightning/invoice/i/{each}" for each in not_there],
    ):
        replies = [await shop.rest.get(path, headers=bar) for path in paths]
        seen = [(each.status_code, each.content, {**each.headers, "date": ""}) for each in replies]
        assert seen[0] == seen[1]
        assert seen[0][0] == 404


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_no_process_shows_a_key(headers_of: tuple[Shop, dict[str, dict[str, str]]]) -> None:
    """Every user of the machine can read the list of processes."""
    shown = [Path(f"/proc/{pid}/cmdline").read_text() for pid in [os.getpid(), *children(os.getpid())]]

    assert any("envoy" in each for each in shown)
    assert not [each for each in shown if "till_" in each]


async def test_a_key_with_a_type_creates_and_sees_only_that_type(shop: Shop, tmp_path: Path) -> None:
    """Invoices of another type do not exist for the terminal, although the owner is the same."""
    owner = await make_key(tmp_path, "--username", "shop")
    terminal = await make_key(tmp_path, "--username", "shop", "--type", "till-1")

    other = (await create(shop, owner, metadata={"type": "till-2"}))[1]
    own = (await create(shop, terminal, metadata={"type": "till-1"}))[1]
    status, told = await create(shop, terminal, metadata={"type": "till-2"})

    assert (status, told["error"]) == (403, "E4")
    assert await read(shop, terminal, own) == (200, own)
    assert (await read(shop, terminal, other))[0] == 404
    assert await read(shop, owner, own) == (200, own)


async def test_a_label_reveals_nothing_about_another_types_invoice(shop: Shop, tmp_path: Path) -> None:
    """Labels belong to the user.

    The terminal learns that one is in use, but cannot confirm a guessed amount.
    """
    owner = await make_key(tmp_path, "--username", "shop")
    terminal = await make_key(tmp_path, "--username", "shop", "--type", "till-1")
    await create(shop, owner, msat=777_000, metadata={"type": "office"}, label="rent")

    guesses = [
        await create(shop, terminal, msat=msat, metadata={"type": "till-1"}, label="rent")
        for msat in (777_000, 1)
    ]

    assert guesses == [(409, {"error": "E5", "message": "label is in use; use another label"})] * 2


async def test_a_payers_browser_watches_with_a_token_in_the_url(shop: Shop, tmp_path: Path) -> None:
    """An EventSource sends no headers; a token opens one invoice, and fails when its key is revoked."""
    key = await make_key(tmp_path, "--username", "shop")
    _, other = await create(shop, key)
    _, invoice = await create(shop, key, watch_token=True)
    url = f"/lightning/invoice/{invoice['invoiceid']}"

    async with shop.rest.stream("GET", f"{url}/watch?token={invoice['watch_token']}") as watch:
        lines = watch.aiter_lines()
        states = (
            json.loads(line.removeprefix("data: ")) async for line in lines if line.startswith("data: ")
        )
        first = await anext(states)
        await shop.pay(invoice["payreq"])
        last = await anext(states)

    assert (first["status"], last["status"]) == ("unpaid", "paid")
    assert "watch_token" not in first
    again = (await shop.rest.get(f"{url}?watch_token=true", headers=key)).json()["watch_token"]
    by_token = {"authorization": f"Bearer {again}"}
    assert (await read(shop, by_token, invoice)) == (200, last)
    assert (await read(shop, by_token, other))[0] == 404
    elsewhere = await shop.rest.get(f"/lightning/invoice/{other['invoiceid']}/watch?token={again}")
    assert elsewhere.status_code == 404
    assert (await create(shop, by_token))[0] == 403
    more = await shop.rest.get(f"{url}?watch_token=true", headers=by_token)
    assert (more.status_code, more.json()["error"]) == (403, "E4")
    await output(
        "key", "revoke", key["authorization"].split("_")[1], "--data-dir", str(tmp_path), cwd=tmp_path
    )
    assert (await shop.rest.get(f"{url}/watch?token={again}")).status_code == 401


async def test_other_methods_return_no_watch_token(shop: Shop) -> None:
    """Other methods ignore the parameter, like every unknown parameter."""
    by_query = await shop.rest.post("/lightning/invoice/create?watch_token=true", json=BODY)
    by_id = await shop.rest.get(f"/lightning/invoice/i/{by_query.json()['_id']}?watch_token=true")
    info = await shop.rest.get("/lightning/info?watch_token=true")

    assert [each.status_code for each in (by_query, by_id, info)] == [200, 200, 200]
    assert "watch_token" not in by_query.json() | by_id.json()


async def test_a_malformed_watch_token_parameter_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A malformed value is rejected; other parameters of the query are ignored."""
    key = await make_key(tmp_path, "--username", "shop")
    _, invoice = await create(shop, key)

    async def ask(query: str) -> httpx.Response:
        return await shop.rest.get(f"/lightning/invoice/{invoice['invoiceid']}?{query}", headers=key)

    asked = (await ask("x=1&watch_token=true&y")).json()
    not_asked = (await ask("watch_token=false")).json()
    refused = [await ask(f"watch_token={value}") for value in ("maybe", "", "tru!e", "%FF")]

    assert ("watch_token" in asked, "watch_token" in not_asked) == (True, False)
    assert {(each.status_code, each.json()["error"]) for each in refused} == {(400, "E1")}


@pytest.mark.parametrize(
    "query", ["?token=", "?token=watch_x", "?token=till_x", "?x=1&token=y", "?watch_token=true"]
)
async def test_an_invalid_watch_token_is_unauthorized(shop: Shop, tmp_path: Path, query: str) -> None:
    key = await make_key(tmp_path, "--username", "shop")
    _, invoice = await create(shop, key)

    refused = await shop.rest.get(f"/lightning/invoice/{invoice['invoiceid']}/watch{query}")

    assert (refused.status_code, refused.json()["error"]) == (401, "E3")


async def test_watch_tokens_over_grpc(shop: Shop, tmp_path: Path) -> None:
    """gRPC-Web sends the token in a header; tokens also work before the first key exists."""
    request = pb.CreateInvoiceRequest(metadata='{"type":"shop"}', with_watch_token=True)
    before = await shop.invoices.CreateInvoice(request)
    key = tuple((await make_key(tmp_path, "--username", "shop")).items())

    made = await shop.invoices.CreateInvoice(request, metadata=key)
    invoice_id = made.invoice.invoice_id
    get = pb.GetInvoiceRequest(invoice_id=invoice_id)
    unasked = await shop.invoices.GetInvoice(get, metadata=key)
    get.with_watch_token = True
    token = (await shop.invoices.GetInvoice(get, metadata=key)).watch_token
    watch = shop.invoices.WatchInvoice(
        pb.WatchInvoiceRequest(invoice_id=invoice_id), metadata=(("authorization", f"Bearer {token}"),)
    )

    assert before.watch_token.startswith("watch_")
    assert (await watch.read()).invoice == made.invoice
    assert not unasked.HasField("watch_token")


async def test_totals_are_per_user_and_for_an_admin_global(shop: Shop, tmp_path: Path) -> None:
    keys = [await make_key(tmp_path, "--username", name) for name in ("shop", "bar")]
    admin = await make_key(tmp_path, "--username", "boss", "--scope", "info:read", "--scope", "admin")
    for key in (*keys, keys[0]):
        await create(shop, key)

    totals = [
        (await shop.rest.get("/lightning/info", headers=key)).json()["invoices"] for key in (*keys, admin)
    ]

    assert totals == [2, 1, 3]


async def test_keys_are_listed_without_their_secrets(tmp_path: Path) -> None:
    """Standard output has the new key and nothing else."""
    async with tilld("key", "create", "--username", "shop", "--type", "till-1", cwd=tmp_path) as making:
        await making.process.wait()
    _, listed = await output("key", "list", cwd=tmp_path)

    header, line = listed.splitlines()
    assert header.startswith("ID ")
    assert "shop" in line
    assert "type till-1" in line
    assert "till_" not in line


async def test_invalid_options_of_key_commands_are_reported_in_one_line(tmp_path: Path) -> None:
    assert "username" in await fails("key", "create", "--username", "a b", cwd=tmp_path)
    assert "future" in await fails(
        "key", "create", "--username", "shop", "--expires", "2020-01-01", cwd=tmp_path
    )
    await output("key", "create", "--username", "shop", cwd=tmp_path)
    assert "key list" in await fails("key", "revoke", "unknown", cwd=tmp_path)


async def test_a_till_without_keys_refuses_public_addresses(tmp_path: Path) -> None:
    """The flag --allow-anonymous permits it."""
    told = await fails("run", "--grpc=0.0.0.0:0", "--no-rest", cwd=tmp_path)
    assert "tilld key create" in told
    assert "--allow-anonymous" in told

    for prepared in (("--allow-anonymous",), ()):
        async with tilld("run", "--grpc=0.0.0.0:0", "--no-rest", *prepared, cwd=tmp_path) as till:
            await till.says(r"(Till is running)")
        await output("key", "create", "--username", "shop", cwd=tmp_path)
