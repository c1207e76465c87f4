"""The header Idempotency-Key, through the real Envoy."""

from typing import Any

import httpx
import pytest

from tests.support.shop import Shop

ORDER = {"msat": 5000, "metadata": {"type": "shop"}}


async def create(shop: Shop, *values: str, **fields: Any) -> httpx.Response:
    headers = [("idempotency-key", value) for value in values]
    return await shop.rest.post("/lightning/invoice/create", json=ORDER | fields, headers=headers)


@pytest.mark.parametrize(
    ("value", "label"), [("key-1", "key-1"), ('"key-2"', "key-2"), (r'"a \"b\" \\ c"', r'a "b" \ c')]
)
async def test_a_key_may_be_bare_or_quoted(shop: Shop, value: str, label: str) -> None:
    """RFC 8941, section 3.3.3 defines the quoted form, which the IETF draft requires."""
    created = (await create(shop, value)).json()

    assert created["label"] == label
    assert (await create(shop, value, label=label)).json()["invoiceid"] == created["invoiceid"]


@pytest.mark.parametrize("values", [("a", "b"), ("a", "a"), ('"a',), ('"a" b',), ('"a\\b"',), ('""',)])
@pytest.mark.parametrize("path", ["invoice/create", "invoice/send"])
async def test_a_malformed_idempotency_key_is_refused(shop: Shop, path: str, values: tuple[str, ...]) -> None:
    """The header is repeated, or is not a complete string."""
    headers = [("idempotency-key", value) for value in values]
    body = ORDER if path == "invoice/create" else {"invreq": "lnr1"}

    reply = await shop.rest.post(f"/lightning/{path}", json=body, headers=headers)

    assert (reply.status_code, reply.json()["error"]) == (400, "E1")


async def test_sending_uses_the_header_as_its_label(shop: Shop) -> None:
    async def send(headers: dict[str, str]) -> Any:
        reply = await shop.rest.post("/lightning/invoice/send", json={"invreq": "lnr1"}, headers=headers)
        return reply.json()["message"]

    assert await send({}) == "label is missing"
    assert "invreq" in await send({"idempotency-key": "key-3"})


async def test_a_byte_order_mark_is_ignored(shop: Shop) -> None:
    body = b'\xef\xbb\xbf{"msat":1,"metadata":{"type":"x"}}'

    reply = await shop.rest.post("/lightning/invoice/create", content=body)

    assert reply.status_code == 200
