"""The documented examples through the real Envoy: equal byte for byte, except for white space."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.golden import CREATE_REQUEST, CREATED, INFO, INVOICE, NOT_FOUND
from tests.support.samples import an_invoice, paid
from tests.support.scripted_node import Request, result, scripted_node
from tests.support.shop import Shop, config, open_shop
from tilld.auth.caller import SHOP
from tilld.auth.key import Key
from tilld.auth.repository import KeyStore
from tilld.formats.strict_json import compact
from tilld.invoices.repository import Store
from tilld.storage.database import open_database


@pytest.fixture(scope="module")
async def documented_shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till whose store and node contain the data of the examples."""
    directory = tmp_path_factory.mktemp("documented")
    of_the_owner = await _fill_store(f"sqlite:///{directory / 'till.db'}")

    async def answer(request: Request) -> bytes:
        if request["method"] == "getinfo":
            nodeinfo = json.loads(INFO)["nodeinfo"]
            return result(request, nodeinfo | {"fees_collected_msat": 0, "lightning-dir": "/secret"})
        if request["method"] == "wait" and request["params"]["nextvalue"] == 0:
            return result(request, {"subsystem": "invoices", "updated": 0})
        if request["method"] == "listinvoices":
            return result(request, {"invoices": []})
        return await asyncio.Future()

    rpc_file = directory / "rpc"
    async with scripted_node(rpc_file, answer):
        async with open_shop(config(directory, lightning_rpc=rpc_file)) as shop:
            shop.rest.headers.update(of_the_owner)
            yield shop


async def _fill_store(url: str) -> dict[str, str]:
    """Store the documented data; return the header with the owner's key."""
    documented = json.loads(INVOICE)
    node_id = json.loads(INFO)["nodeinfo"]["id"]
    invoice = an_invoice(username=documented["username"], node_id=node_id)._replace(
        id=documented["_id"],
        invoice_id=documented["invoiceid"],
        amount_msat=documented["msatoshi"],
        metadata='{"type":"testlightning","vote":"pino"}',
        payment_hash=documented["rhash"],
        bolt11=documented["payreq"],
        created_at=datetime.fromisoformat(documented["created_at"]),
        expires_at=datetime.fromisoformat(documented["expires_at"]),
    )
    others = [an_invoice(node_id=node_id) for _ in range(json.loads(INFO)["invoices"] - 1)]
    store = Store(open_database(url))
    await asyncio.gather(*map(store.add, [invoice, *others]))
    key, token = Key.new(
        username=invoice.username, scopes=SHOP, type=None, created_at=datetime.now(UTC), expires_at=None
    )
    await KeyStore(store).add(key)
    await store.settle(node_id, [paid(others[0], 12_000_000), paid(others[1], 143_777, 2)])
    await store.close()
    return {"authorization": f"Bearer {token}"}


async def test_get_an_invoice(documented_shop: Shop) -> None:
    reply = await documented_shop.rest.get(f"/lightning/invoice/{json.loads(INVOICE)['invoiceid']}")

    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.text == INVOICE


async def test_get_an_invoice_by_internal_id(documented_shop: Shop) -> None:
    reply = await documented_shop.rest.get(f"/lightning/invoice/i/{json.loads(INVOICE)['_id']}")

    assert reply.text == INVOICE


async def test_get_an_invoice_that_is_not_there(documented_shop: Shop) -> None:
    reply = await documented_shop.rest.get("/lightning/invoice/PDxIkt9La2h1iG~VTIEcy")

    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/json")
    assert reply.text == compact(NOT_FOUND)


async def test_get_info(documented_shop: Shop) -> None:
    reply = await documented_shop.rest.get("/lightning/info")

    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.text == INFO


async def test_the_watch_begins_with_the_invoice(documented_shop: Shop) -> None:
    path = f"/lightning/invoice/{json.loads(INVOICE)['invoiceid']}/watch"

    async with documented_shop.rest.stream("GET", path) as reply:
        lines = [line async for _, line in _first(reply.aiter_lines(), 4)]

    assert reply.headers["content-type"] == "text/event-stream"
    assert lines == ["retry: 2000", "", "id: 1", f"data: {INVOICE}"]


async def _first(lines: AsyncIterator[str], count: int) -> AsyncIterator[tuple[int, str]]:
    for number in range(count):
        yield number, await anext(lines)


async def test_create_an_invoice(shop: Shop) -> None:
    """Values that Till cannot choose equal the example; all other values have the documented form."""
    documented = json.loads(CREATED)

    reply = await shop.rest.post("/lightning/invoice/create", content=CREATE_REQUEST.encode())

    created = reply.json()
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert reply.text == compact(reply.text)
    assert created.pop("payability") == {"status": "ok", "detail": ""}
    assert list(created) == list(documented)
    assert {name: type(value) for name, value in created.items()} == {
        name: type(value) for name, value in documented.items()
    }
    assert created["metadata"] == json.loads(CREATE_REQUEST)["metadata"]
    assert created["msatoshi"] == json.loads(CREATE_REQUEST)["msat"]
    assert created["status"] == documented["status"]
    for name, form in {
        "_id": r"[0-9a-f]{24}",
        "expires_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z",
        "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z",
        "invoiceid": r"[A-Za-z0-9_~]{21}",
        "rhash": r"[0-9a-f]{64}",
        "payreq": r"ln[a-z0-9]+",
    }.items():
        assert re.fullmatch(form, documented[name])
        assert re.fullmatch(form, created[name])
    assert _seconds(created) == _seconds(documented) == 3600


def _seconds(invoice: dict[str, Any]) -> float:
    return (
        datetime.fromisoformat(invoice["expires_at"]) - datetime.fromisoformat(invoice["created_at"])
    ).total_seconds()
