"""The documented REST API, through the real Envoy."""

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from lightningd_simulator.bolts import bolt11
from tests.support.shop import Shop
from tilld.lightningd.rpc import Pipeline

UNKNOWN = {"error": "E2", "message": "resource not found"}
# Only a create has an estimate, which reads lack.
PAYABLE = ',"payability":{"status":"ok","detail":""}'
GOOD = {"msat": 5000, "metadata": {"type": "shop"}}


async def test_an_invoice_is_created_paid_and_read(each_shop: Shop) -> None:
    """The main use case: create, pay and read, with every field checked."""
    created = await each_shop.create(description="a coffee", label="main-job")
    decoded = bolt11.read(created["payreq"])

    assert list(created) == [
        "status", "_id", "metadata", "expires_at", "created_at", "msatoshi", "invoiceid", "rhash", "payreq",
        "username", "description", "label",
    ]  # fmt: skip
    assert (decoded.amount_msat, decoded.description) == (5000, "a coffee")
    assert (decoded.payment_hash, decoded.expiry) == (created["rhash"], 3600)
    assert created["status"] == "unpaid"

    await each_shop.pay(created["payreq"])
    read = await each_shop.outcome(created)

    assert read["status"] == "paid"
    assert read["msatoshi_received"] == 5000
    assert read["pay_index"] >= 1
    assert created["created_at"] <= read["paid_at"] <= created["expires_at"]
    assert {name: read[name] for name in created if name != "status"} == {
        name: created[name] for name in created if name != "status"
    }
    for path in (created["invoiceid"], f"i/{created['_id']}"):
        assert (await each_shop.rest.get(f"/lightning/invoice/{path}")).json() == read


async def test_any_amount(shop: Shop) -> None:
    """The payer chooses the amount; the invoice reports the received amount."""
    created = await shop.create(msat="any")
    assert created["msatoshi"] is None
    assert bolt11.read(created["payreq"]).amount_msat is None

    await shop.pay(created["payreq"], 1234)
    paid = await shop.outcome(created)

    assert (paid["msatoshi"], paid["msatoshi_received"]) == (None, 1234)


@pytest.mark.parametrize(
    "metadata",
    [
        '{"type":"x","z":1,"a":2,"m":{"b":[1,{"c":null}],"a":[]}}',
        '{"n":123456789012345678901234567890,"f":1.0,"e":1E400,"type":"x"}',
        '{"type":"é☕\\u00e9\\/","":"","nul":"\\u0000","half":"\\ud800"}',
        '{"null":null,"type":"null"}',
    ],
)
async def test_metadata_is_returned_unchanged(each_shop: Shop, metadata: str) -> None:
    """Key order, big integers, nesting and every token are kept."""
    body = f'{{"msat":1, "metadata": {metadata}}}'

    created = await each_shop.rest.post("/lightning/invoice/create", content=body.encode())
    read = await each_shop.rest.get(f"/lightning/invoice/{created.json()['invoiceid']}")

    assert created.status_code == 200
    assert f'"metadata":{metadata},"expires_at"' in created.text
    assert read.text == created.text.replace(PAYABLE, "")


async def test_of_a_long_description_only_the_hash_goes_into_the_invoice(shop: Shop) -> None:
    """BOLT 11 limits a description to 639 bytes."""
    for description, in_full in (("é" * 319 + "x", True), ("é" * 320, False), ("x" * 8192, False)):
        created = await shop.create(description=description)
        decoded = bolt11.read(created["payreq"])

        assert created["description"] == description
        if in_full:
            assert decoded.description == description
        else:
            assert decoded.description_hash == hashlib.sha256(description.encode()).hexdigest()


async def test_the_same_label_and_request_are_the_same_invoice(each_shop: Shop) -> None:
    """Concurrent and later repeats get the same invoice; a different request gets the differing fields."""
    replies = await asyncio.gather(*(each_shop.create(label="order-7", description="tea") for _ in range(10)))
    other = await each_shop.rest.post(
        "/lightning/invoice/create", json=GOOD | {"label": "order-7", "msat": 1}
    )

    assert all(reply == replies[0] for reply in replies)
    assert await each_shop.create(label="order-7", description="tea") == replies[0]
    assert other.status_code == 409
    assert other.json() == {
        "error": "E5",
        "message": "label is in use for an invoice with another amount and description",
    }


async def test_an_idempotency_key_is_a_label(shop: Shop) -> None:
    """The header and the field are equivalent; both may be given if they agree."""

    async def create(**fields: Any) -> httpx.Response:
        return await shop.rest.post(
            "/lightning/invoice/create", json=GOOD | fields, headers={"Idempotency-Key": "order-8"}
        )

    first, again, both = await create(), await create(), await create(label="order-8")
    differing, other = await create(label="order-9"), await create(msat=1)

    assert first.json()["label"] == "order-8"
    assert again.json() == both.json()
    estimated = {"payability": first.json()["payability"]}
    assert first.json() == again.json() | estimated == await shop.create(label="order-8") | estimated
    assert (differing.status_code, differing.json()["error"]) == (400, "E1")
    assert (other.status_code, other.json()["error"]) == (409, "E5")


@pytest.mark.parametrize(
    ("msat", "amount"),
    [("5000.0", 5000), ("5e3", 5000), ("50000E-1", 5000), ("1.844674407370955161e18", 2**64 // 10)],
)
async def test_a_whole_number_may_have_any_notation(shop: Shop, msat: str, amount: int) -> None:
    """JSON Schema defines integers by value; every digit counts."""
    body = f'{{"msat":{msat},"metadata":{{"type":"shop"}},"expiry":6e1}}'

    reply = await shop.rest.post("/lightning/invoice/create", content=body)

    assert reply.status_code == 200, reply.text
    assert reply.json()["msatoshi"] == amount
    assert bolt11.read(reply.json()["payreq"]).expiry == 60


async def test_null_for_an_optional_field_is_like_omitting_it(shop: Shop) -> None:
    optional = ("description", "expiry", "label", "watch_token")

    created = await shop.create(**dict.fromkeys(optional))

    assert not created.keys() & set(optional)
    assert bolt11.read(created["payreq"]).expiry == 3600


async def test_metadata_is_the_same_by_its_value(shop: Shop) -> None:
    """Order and notation may differ in a repeat; the response has the first text."""
    first, again, other = [
        await shop.rest.post("/lightning/invoice/create", content=body.encode())
        for body in (
            '{"msat":1,"label":"by-value","metadata":{"type":"é","n":[100,0.10]}}',
            '{"label":"by-value","metadata":{"n":[1e2,1E-1],"type":"\\u00e9"},"msat":1.0}',
            '{"msat":1,"label":"by-value","metadata":{"type":"é","n":[100,true]}}',
        )
    ]

    assert again.json() | {"payability": None} == first.json() | {"payability": None}
    assert (other.status_code, "another metadata" in other.json()["message"]) == (409, True)


BAD = [
    ("", 400, "body is not a JSON object"),
    ("[]", 400, "body is not a JSON object"),
    ("null", 400, "body is not a JSON object"),
    ('{"msat":1,"metadata":{"type":"x"},}', 400, "body is not a JSON object"),
    ('{"msat":1,"metadata":{"type":"x",}}', 400, "body is not a JSON object"),
    ("{'msat':1}", 400, "body is not a JSON object"),
    ('{"msat":1,"msat":2,"metadata":{"type":"x"}}', 400, "duplicate name 'msat'"),
    ('{"msat":1,"metadata":{"type":"x","type":"y"}}', 400, "duplicate name 'type'"),
    ('{"msat":NaN,"metadata":{"type":"x"}}', 400, "NaN is not JSON"),
    ('{"msat":Infinity,"metadata":{"type":"x"}}', 400, "Infinity is not JSON"),
    (b'{"msat":1,"metadata":{"type":"\xff"}}', 400, "body is not UTF-8"),
    (b'{"msat":1,"metadata":{"type":"a\x00"}}', 400, "Invalid control character"),
    (b'{"msat":1,"metadata":{"type":"x"}}\x00', 400, "Extra data"),
    (
        '{"msat":1,"metadata":{"type":"x","d":' + "[" * 31 + "]" * 31 + "}}",
        400,
        "body has more than 32 levels",
    ),
    ('{"metadata":{"type":"x"}}', 400, "msat is missing"),
    *(
        (f'{{"msat":{msat},"metadata":{{"type":"x"}}}}', 400, "msat must be")
        for msat in (
            "0",
            "-1",
            "0.0",
            "1.5",
            "1.00000000000000000000000001",
            "1e-1",
            "1e999999999",
            "1e-999999999",
            "1e99999999999999999999",
            "1844674407370955161.5",
            '"1000"',
            '"ANY"',
            '""',
            "null",
            "true",
            "[1]",
            "{}",
        )
    ),
    ('{"msat":1844674407370955162,"metadata":{"type":"x"}}', 400, "at most 1844674407370955161"),
    ('{"msat":2100000000000000000,"metadata":{"type":"x"}}', 400, "at most 1844674407370955161"),
    (f'{{"msat":{"9" * 5000},"metadata":{{"type":"x"}}}}', 400, "msat must be"),
    ('{"msat":1}', 400, "metadata is missing"),
    *(
        (f'{{"msat":1,"metadata":{metadata}}}', 400, "metadata must")
        for metadata in ("null", "[]", '"x"', "{}", '{"type":1}', '{"type":null}', '{"Type":"x"}')
    ),
    ('{"msat":1,"metadata":{"type":"' + "x" * 16_384 + '"}}', 413, "metadata must have at most 16384 bytes"),
    *(
        (f'{{"msat":1,"metadata":{{"type":"x"}},"expiry":{expiry}}}', 400, "expiry must")
        for expiry in ("0", "-1", "1.5", "31536001", "1152921504606846976", '"60"', "true", "9" * 400)
    ),
    ('{"msat":1,"metadata":{"type":"x"},"description":"' + "x" * 8193 + '"}', 413, "description must have"),
    ('{"msat":1,"metadata":{"type":"x"},"description":5}', 400, "description must be a string"),
    ('{"msat":1,"metadata":{"type":"x"},"description":"\\u0000"}', 400, "description must not"),
    ('{"msat":1,"metadata":{"type":"x"},"description":"\\ud800"}', 400, "description is not valid Unicode"),
    ('{"msat":1,"metadata":{"type":"x"},"label":""}', 400, "label must have 1 to 128 bytes"),
    ('{"msat":1,"metadata":{"type":"x"},"label":"' + "x" * 129 + '"}', 413, "label must have at most 128"),
    ('{"msat":1,"metadata":{"type":"x"},"label":1}', 400, "label must be a string"),
    ('{"msat":1,"metadata":{"type":"x"},"mstat":1}', 400, "unknown field 'mstat'"),
    ('{"msat":1,"metadata":{"type":"x"},"' + "x" * 60_000 + '":1}', 400, "unknown field 'xxx"),
    ('{"msat":1,"metadata":{"type":"' + "x" * 65_536 + '"}}', 413, "the body must have at most 65536 bytes"),
]


@pytest.mark.parametrize(("body", "status", "says"), BAD)
async def test_bad_input_is_refused_and_leaves_nothing(
    shop: Shop, body: str | bytes, status: int, says: str
) -> None:
    """The message names the field and the limit; the store and the node stay unchanged."""
    before = await _traces(shop)
    raw = body if isinstance(body, bytes) else body.encode()

    reply = await shop.rest.post("/lightning/invoice/create", content=raw)

    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json()) == ["error", "message"]
    assert reply.json()["error"] == {400: "E1", 413: "E6"}[status]
    assert says in reply.json()["message"]
    assert await _traces(shop) == before


async def _traces(shop: Shop) -> tuple[Any, Any]:
    """Return the number of invoices in the store, and the number created at the node."""
    node = Pipeline(str(shop.rpc_file), 5)
    created = await node.call("wait", {"subsystem": "invoices", "indexname": "created", "nextvalue": 0})
    await node.hang_up()
    return (await shop.rest.get("/lightning/info")).json()["invoices"], created["created"]


@pytest.mark.parametrize(
    "path",
    [
        "~" * 21,
        "nope",
        "create",
        "%FF",
        "x" * 22,
        "x" * 4000,
        "é" * 21,
        "' OR 1=1 --",
        "i/" + "0" * 24,
        "i/nope",
        "i/%FF",
        "i/" + "A" * 24,
        "~" * 21 + "/watch",
        "nope/watch",
        "i/watch",
        "~" * 21 + "?invoice_id=x",
    ],
)
async def test_a_malformed_id_is_not_found(each_shop: Shop, path: str) -> None:
    """No malformed id causes a 500."""
    reply = await each_shop.rest.get(f"/lightning/invoice/{path}")

    assert (reply.status_code, reply.content) == (404, b'{"error":"E2","message":"resource not found"}')


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "E2"),
        ("GET", "/lightning", 404, "E2"),
        ("GET", "/till.v1.InvoiceService/GetInfo", 404, "E2"),
        ("DELETE", "/lightning/info", 405, "E10"),
        ("PUT", "/lightning/invoice/create", 405, "E10"),
        ("POST", "/lightning/invoice/abc", 405, "E10"),
    ],
)
async def test_envoys_own_errors_have_the_same_shape(
    shop: Shop, method: str, path: str, status: int, code: str
) -> None:
    """The form does not depend on whether Envoy or tilld responds."""
    reply = await shop.rest.request(method, path)

    assert reply.status_code == status
    assert reply.json()["error"] == code
    assert list(reply.json()) == ["error", "message"]


async def test_the_body_may_have_64_kib(shop: Shop) -> None:
    """One more byte is too large; white space counts."""
    body = json.dumps(GOOD).encode()

    at_limit = await shop.rest.post("/lightning/invoice/create", content=body.ljust(65_536))
    beyond = await shop.rest.post("/lightning/invoice/create", content=body.ljust(65_537))

    assert at_limit.status_code == 200
    assert (beyond.status_code, beyond.json()["error"]) == (413, "E6")
