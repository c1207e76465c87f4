"""Lists, look-ups, CSV, reports and cancellation over REST, through the real Envoy."""

import csv
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.keys import make_key
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2 as pb

ALL = ["order-1", "order-2", "order-é&x=1", "refund-1"]
CAFE = {"type": "café", "n": 1.5, "ok": True}
LIST = "/lightning/invoices"
CSV = "/lightning/invoices.csv"
REPORT = "/lightning/report"
SCOPES = ("invoices:create", "invoices:read", "invoices:cancel", "info:read")


@dataclass(frozen=True)
class Market:
    """A Till with invoices of two users: `keys` of each caller, and the invoices `made` by the owner."""

    shop: Shop
    keys: dict[str, dict[str, str]]
    made: dict[str, Any]
    foreign: Any

    async def get(self, path: str, key: str = "owner", **query: Any) -> httpx.Response:
        return await self.shop.rest.get(path, params=query, headers=self.keys[key])

    async def labels(self, key: str = "owner", **query: Any) -> list[str]:
        reply = await self.get(LIST, key, **query)
        assert reply.status_code == 200, reply.text
        return [each["label"] for each in reply.json()["invoices"]]

    async def refused(self, path: str, key: str = "owner", **query: Any) -> tuple[int, str, str]:
        reply = await self.get(path, key, **query)
        return reply.status_code, reply.json()["error"], reply.json()["message"]


async def create(shop: Shop, key: dict[str, str], **fields: Any) -> Any:
    """Create an invoice; return its JSON as reads have it, with a watch token if requested."""
    body = {"msat": 5000, "metadata": {"type": "shop"}} | fields
    reply = await shop.rest.post("/lightning/invoice/create", json=body, headers=key)
    assert reply.status_code == 200, reply.text
    return {name: value for name, value in reply.json().items() if name != "payability"}


@pytest.fixture(scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Market]:
    directory = tmp_path_factory.mktemp("lists")
    scopes = [f"--scope={each}" for each in SCOPES]
    async with open_shop(config(directory)) as shop:
        keys = {
            "owner": await make_key(directory, "--username=owner", *scopes),
            "other": await make_key(directory, "--username=other", *scopes),
            "typed": await make_key(
                directory, "--username=owner", "--type=café", "--scope=invoices:read", "--scope=info:read"
            ),
            "creator": await make_key(directory, "--username=owner", "--scope=invoices:create"),
        }
        owner = keys["owner"]
        made = {
            each["label"]: each
            for each in [
                await create(shop, owner, label="order-1", metadata={"type": "shop", "order_id": "a:1"}),
                await create(shop, owner, label="order-2", msat=700, description='=tea, "green"'),
                await create(shop, owner, label="order-é&x=1", metadata=CAFE),
                await create(shop, owner, label="refund-1"),
            ]
        }  # fmt: skip
        foreign = await create(shop, keys["other"], label="order-1", watch_token=True)
        keys["watcher"] = {"authorization": f"Bearer {foreign['watch_token']}"}
        for label in ("order-1", "order-é&x=1"):
            await shop.pay(made[label]["payreq"])
        shop.rest.headers.update(owner)
        for label in ("order-1", "order-é&x=1"):
            made[label] = await shop.outcome(made[label])
        del shop.rest.headers["authorization"]
        path = f"/lightning/invoice/{made['order-2']['invoiceid']}"
        made["order-2"] = (await shop.rest.delete(path, headers=owner)).json()
        yield Market(shop, keys, made, foreign)


async def test_a_list_has_the_own_invoices_newest_first(market: Market) -> None:
    reply = await market.get(LIST)
    listed = reply.json()["invoices"]

    assert list(reply.json()) == ["invoices", "next"]
    assert reply.json()["next"] is None
    assert {each["label"]: each for each in listed} == market.made
    assert listed == sorted(listed, key=lambda each: each["_id"], reverse=True)
    assert (await market.get(LIST, order="created")).json()["invoices"] == listed[::-1]
    assert reply.headers["content-type"] == "application/json"
    assert (await market.get(f"{LIST}/")).content == reply.content
    [foreign] = (await market.get(LIST, "other")).json()["invoices"]
    assert foreign == {name: value for name, value in market.foreign.items() if name != "watch_token"}
    head = await market.shop.rest.head(LIST, headers=market.keys["owner"])
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ({"status": "paid"}, ["order-1", "order-é&x=1"]),
        ({"status": ["unpaid", "canceled"]}, ["order-2", "refund-1"]),
        ({"status": ["paid", "paid"], "type": "shop"}, ["order-1"]),
        ({"status": "expired"}, []),
        ({"type": "café"}, ["order-é&x=1"]),
        ({"label": "order-é&x=1"}, ["order-é&x=1"]),
        ({"label": "order-2", "status": "unpaid"}, []),
        ({"label_prefix": "order-"}, ["order-1", "order-2", "order-é&x=1"]),
        ({"label_prefix": "order-é"}, ["order-é&x=1"]),
        ({"metadata": "order_id:a:1"}, ["order-1"]),
        ({"metadata": "n:1.5"}, ["order-é&x=1"]),
        ({"metadata": "ok:true"}, ["order-é&x=1"]),
        ({"metadata": "ok:false"}, []),
        ({"order": "created", "created_from": "2020-01-01"}, ALL),
        ({"order": "paid"}, ["order-1", "order-é&x=1"]),
        ({"order": "-paid"}, ["order-é&x=1", "order-1"]),
        ({"paid_from": "2020-01-01"}, ["order-é&x=1", "order-1"]),
        ({"paid_to": "2020-01-01T00:00:00Z"}, []),
        ({"created_from": "2020-01-01"}, ALL),
        ({"created_to": "2020-01-01", "tz": "Asia/Tokyo"}, []),
        ({"limit": "2147483647", "page": "", "tz": ""}, ALL),
    ],
)
async def test_a_filter(market: Market, query: dict[str, Any], labels: list[str]) -> None:
    found = await market.labels(**query)

    # The order within a second of creation is random.
    is_ordered = "label_prefix" in query or "paid" in str(query.get("order")) or "paid_from" in query
    assert (found if is_ordered else sorted(found)) == labels


@pytest.mark.parametrize("label", ["order-1", "order-2", "order-é&x=1"])
async def test_an_invoice_is_found_by_label_hash_and_payment_request(market: Market, label: str) -> None:
    invoice = market.made[label]
    names = {"label": label, "rhash": invoice["rhash"], "payreq": invoice["payreq"]}

    for name, value in names.items():
        assert (await market.get(LIST, **{name: value})).json() == {"invoices": [invoice], "next": None}
    for name, value in {
        "rhash": names["rhash"].upper(),
        "payreq": f"LIGHTNING:{names['payreq'].upper()}",
    }.items():
        assert await market.labels(**{name: value}) == [label]


async def test_an_invoice_of_another_user_or_type_is_not_found(market: Market) -> None:
    """The response does not reveal that it exists."""
    shop, foreign = market.made["order-1"], market.foreign

    assert await market.labels(rhash=foreign["rhash"]) == []
    assert await market.labels(payreq=foreign["payreq"]) == []
    assert await market.labels("other", label="order-2") == []
    assert await market.labels("typed") == ["order-é&x=1"]
    assert await market.labels("typed", type="shop") == []
    assert await market.labels("typed", label_prefix="order-") == ["order-é&x=1"]
    for query in ({"label": "order-1"}, {"rhash": shop["rhash"]}, {"payreq": shop["payreq"]}):
        assert await market.labels("typed", **query) == []
    assert (await market.labels("typed", metadata="order_id:a:1")) == []


@pytest.mark.parametrize("path", [LIST, CSV, f"{REPORT}?from=2026-01-01&to=2026-02-01"])
async def test_a_list_needs_a_key_with_its_scope(market: Market, path: str) -> None:
    """A watch token reads one invoice, and lists nothing."""
    nobody = await market.shop.rest.get(path)

    assert (nobody.status_code, nobody.json()["error"]) == (401, "E3")
    for key in ("creator", "watcher"):
        reply = await market.shop.rest.get(path, headers=market.keys[key])
        assert (reply.status_code, reply.json()["error"]) == (403, "E4")
        assert "content-disposition" not in reply.headers


async def test_pages_follow_each_other(market: Market) -> None:
    """A token of another list, user or type, or a changed one, is refused."""
    queries: list[dict[str, Any]] = [
        {},
        {"order": "created"},
        {"label_prefix": "o"},
        {"status": ["paid", "canceled"]},
    ]
    for query in queries:
        page: str | None = ""
        found = []
        while page is not None:
            reply = (await market.get(LIST, limit=1, page=page, **query)).json()
            found += [each["label"] for each in reply["invoices"]]
            page = reply["next"]
        assert found == await market.labels(**query)
    token = (await market.get(LIST, limit=1)).json()["next"]
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", token)
    assert await market.labels(limit="0000000002", page=token) == (await market.labels())[1:3]
    others: list[tuple[str, dict[str, Any]]] = [
        ("owner", {"page": token, "status": "paid"}),
        ("owner", {"page": token, "order": "created"}),
        ("owner", {"page": token, "label_prefix": "o"}),
        ("other", {"page": token}),
        ("typed", {"page": token}),
        *(
            ("owner", {"page": bad})
            for bad in (token[:-1], f"{token}x", token.swapcase(), "x", "é", "\0", "." * 99)
        ),
    ]
    for key, query in others:
        status, code, says = await market.refused(LIST, key, **query)
        assert (status, code) == (400, "E1"), query
        assert says == "page is not of this list; repeat its filter and order, or omit page"


BAD: list[tuple[dict[str, str], int, str]] = [
    ({"status": "open"}, 400, "status must be one of unpaid, paid, expired, canceled"),
    ({"status": "PAID"}, 400, "status must be one of"),
    ({"status": ""}, 400, "status must be one of"),
    ({"status": "paid,unpaid"}, 400, "status must be one of"),
    ({"type": "a\0"}, 400, "type must not have control characters"),
    ({"type": "é" * 3000}, 413, "request too large"),
    ({"label": ""}, 400, "label must have 1 to 128 bytes"),
    ({"label": "é" * 65}, 413, "label must have at most 128 bytes"),
    ({"label": "a\nb"}, 400, "label must not have control characters"),
    ({"label_prefix": ""}, 400, "label_prefix must have 1 to 128 bytes"),
    ({"label_prefix": "x" * 129}, 413, "label_prefix must have at most 128 bytes"),
    ({"label_prefix": "x", "order": "created"}, 400, "order cannot be combined with label_prefix"),
    ({"rhash": "ab" * 31}, 400, "rhash must have 64 hexadecimal digits"),
    ({"rhash": "zz" * 32}, 400, "rhash must have 64 hexadecimal digits"),
    ({"rhash": ""}, 400, "rhash must have 64 hexadecimal digits"),
    ({"payreq": ""}, 400, "payreq must be a BOLT 11 or BOLT 12 payment request"),
    ({"payreq": "lnbc1"}, 400, "payreq must be a BOLT 11 or BOLT 12 payment request"),
    ({"payreq": "lnbc" + "q" * 4000}, 400, "payreq must be a BOLT 11 or BOLT 12 payment request"),
    *(
        ({name: text}, 400, f"{name} must be a date such as 2026-11-26, or a time with its offset")
        for name in ("created_from", "created_to", "paid_from", "paid_to")
        for text in ("", "yesterday", "2026-02-30", "2026-11-26T12:00:00", "1795275577", "0000-01-01")
    ),
    ({"created_to": "9999-12-31"}, 400, "created_to must be before the year 9999"),
    ({"created_from": "2026-01-02", "created_to": "2026-01-02"}, 400, "created_to must be after created_fr"),
    ({"paid_from": "2026-01-02", "paid_to": "2026-01-01"}, 400, "paid_to must be after paid_from"),
    ({"metadata": "order_id"}, 400, "metadata must be NAME:VALUE"),
    ({"metadata": ""}, 400, "metadata must be NAME:VALUE"),
    ({"metadata": f"{'n' * 129}:x"}, 413, "the name of metadata must have at most 128 bytes"),
    ({"metadata": f"n:{'x' * 129}"}, 413, "the value of metadata must have at most 128 bytes"),
    ({"order": "label"}, 400, "order must be one of -created, created, -paid, paid"),
    ({"order": ""}, 400, "order must be one of"),
    ({"order": "+created"}, 400, "order must be one of"),
    ({"tz": "Europe/Atlantis"}, 400, "tz must be the name of a time zone (IANA)"),
    ({"tz": "../../etc/passwd"}, 400, "tz must be the name of a time zone (IANA)"),
    ({"tz": "x" * 4000}, 400, "tz must be the name of a time zone (IANA)"),
    ({"stat": "paid"}, 400, "unknown parameter 'stat'"),
]  # fmt: skip
BAD_PAGES: list[tuple[dict[str, str], int, str]] = [
    ({"limit": text}, 400, "limit must be a whole number, 1 to 2147483647")
    for text in ("", "0", "000", "-1", "+1", "1.0", "1e3", "ten", "٣", "0x10", " 1", "2147483648", "9" * 5000)
]


@pytest.mark.parametrize(("query", "status", "says"), BAD + BAD_PAGES)
async def test_bad_input_is_named(market: Market, query: dict[str, str], status: int, says: str) -> None:
    assert await market.refused(LIST, **query) == (status, {400: "E1", 413: "E6"}[status], _starting(says))


@pytest.mark.parametrize(
    ("query", "status", "says"), [*BAD, ({"limit": "1"}, 400, "unknown parameter 'limit'")]
)
async def test_bad_input_of_csv_is_named(
    market: Market, query: dict[str, str], status: int, says: str
) -> None:
    """The response is JSON, and no attachment."""
    reply = await market.get(CSV, **query)

    assert reply.status_code == status
    assert reply.json()["message"].startswith(says)
    assert reply.headers["content-type"] == "application/json"
    assert "content-disposition" not in reply.headers


class _starting(str):  # noqa: N801 - reads as a phrase
    """Equals each text that starts with it."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.startswith(str(self))


# CSV


def rows(reply: httpx.Response) -> list[dict[str, str]]:
    assert reply.status_code == 200, reply.text
    return list(csv.DictReader(io.StringIO(reply.text, newline=""), strict=True))


async def test_csv_has_the_invoices_of_the_list(market: Market) -> None:
    reply = await market.get(CSV, label_prefix="order", tz="Asia/Kolkata")
    found = rows(reply)

    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert reply.headers["content-disposition"] == 'attachment; filename="invoices.csv"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert [each["label"] for each in found] == ["order-1", "order-2", "order-é&x=1"]
    assert [each["status"] for each in found] == ["paid", "canceled", "paid"]
    assert [each["invoice_id"].removeprefix("'") for each in found] == [
        market.made[each["label"]]["invoiceid"] for each in found
    ]
    assert found[1]["description"] == '\'=tea, "green"'
    assert (found[0]["received_msat"], found[0]["received_sat"]) == ("5000", "5.000")
    assert found[0]["created_at"].endswith("+05:30")
    assert datetime.fromisoformat(found[0]["created_at"]) == datetime.fromisoformat(
        market.made["order-1"]["created_at"]
    )
    assert not any(preimage in reply.text for preimage in (market.made["order-1"]["preimage"],))


async def test_csv_has_what_the_caller_may_see(market: Market) -> None:
    """Without invoices it has the header row only."""
    whole = await market.get(CSV)
    [header, *_] = whole.text.split("\r\n")

    assert len(rows(whole)) == 4
    assert [each["label"] for each in rows(await market.get(CSV, "typed"))] == ["order-é&x=1"]
    assert [each["invoice_id"] for each in rows(await market.get(CSV, "other"))] == [
        market.foreign["invoiceid"]
    ]
    for key, query in (("typed", {"type": "shop"}), ("owner", {"rhash": market.foreign["rhash"]})):
        empty = await market.get(CSV, key, **query)
        assert (empty.text, empty.headers["content-type"]) == (f"{header}\r\n", "text/csv; charset=utf-8")


# Reports


async def test_a_report_is_the_sum_of_the_list(market: Market) -> None:
    today = datetime.now(UTC).date()
    period = {
        "from": str(today - timedelta(days=2)),
        "to": str(today + timedelta(days=2)),
        "tz": "Europe/Rome",
    }

    by_type = (await market.get(REPORT, **period)).json()
    by_day = (await market.get(REPORT, by="day", **period)).json()
    by_key = (await market.get(REPORT, by="key", **period)).json()

    assert list(by_type) == ["from", "to", "tz", "count", "msatoshi_received", "groups"]
    assert by_type["groups"] == [
        {"type": "café", "count": 1, "msatoshi_received": 5000},
        {"type": "shop", "count": 1, "msatoshi_received": 5000},
    ]
    listed = (await market.get(LIST, paid_from=period["from"], paid_to=period["to"])).json()["invoices"]
    for report in (by_type, by_day, by_key):
        assert report["count"] == len(listed) == 2
        assert report["msatoshi_received"] == sum(each["msatoshi_received"] for each in listed)
        assert report["tz"] == "Europe/Rome"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT2[123]:00:00\.000Z", report["from"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", each["day"]) for each in by_day["groups"])
    assert len(by_key["groups"]) == 1
    assert by_key["groups"][0]["key"]
    of_type = (await market.get(REPORT, "typed", **period)).json()
    assert of_type["groups"] == by_type["groups"][:1]
    assert (await market.get(REPORT, "other", **period)).json()["groups"] == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"to": "2026-02-01"}, "from is required"),
        ({"from": "2026-02-01"}, "to is required"),
        ({"from": "2026-02-01", "to": "2026-02-01"}, "to must be after from"),
        ({"from": "2010-01-01", "to": "2026-02-01"}, "to must be at most 10 years after from"),
        ({"from": "", "to": "2026-02-01"}, "from must be a date such as"),
        ({"from": "2026-01-01", "to": "soon"}, "to must be a date such as"),
        ({"from": "2026-01-01", "to": "2026-02-01", "by": "user"}, "by must be one of type, day, key"),
        ({"from": "2026-01-01", "to": "2026-02-01", "by": ""}, "by must be one of type, day, key"),
        ({"from": "2026-01-01", "to": "2026-02-01", "tz": "Mars"}, "tz must be the name of a time zone"),
        ({"from": "2026-01-01", "to": "2026-02-01", "type": "shop"}, "unknown parameter 'type'"),
    ],
)
async def test_bad_input_of_a_report_is_named(market: Market, query: dict[str, str], says: str) -> None:
    assert await market.refused(REPORT, **query) == (400, "E1", _starting(says))


# Single invoices


async def test_a_paid_invoice_has_its_preimage(market: Market) -> None:
    paid = market.made["order-1"]
    read = await market.get(f"/lightning/invoice/{paid['invoiceid']}")

    assert read.json() == paid
    assert hashlib.sha256(bytes.fromhex(paid["preimage"])).hexdigest() == paid["rhash"]
    assert "preimage" not in market.made["refund-1"] | market.made["order-2"]


async def test_an_invoice_is_canceled(each_shop: Shop) -> None:
    """Its watchers are notified, and a retry changes nothing."""
    created = await each_shop.create(label="taken-back")
    path = f"/lightning/invoice/{created['invoiceid']}"
    async with each_shop.rest.stream("GET", f"{path}/watch") as watch:
        lines = watch.aiter_lines()
        while not (await anext(lines)).startswith("data: "):
            pass
        canceled = await each_shop.rest.delete(path)
        seen = [line async for line in lines if line.startswith("data: ")]
    again = await each_shop.rest.delete(path)

    assert canceled.json() == created | {"status": "canceled"}
    assert seen == [f"data: {canceled.text}"]
    assert (again.status_code, again.content) == (200, canceled.content)
    assert await each_shop.create(label="taken-back") == canceled.json()
    assert (await each_shop.rest.get(path)).content == canceled.content


async def test_what_cannot_be_canceled(market: Market) -> None:
    async def cancel(invoice_id: str, key: str = "owner") -> tuple[int, str]:
        reply = await market.shop.rest.delete(f"/lightning/invoice/{invoice_id}", headers=market.keys[key])
        return reply.status_code, reply.json()["error"]

    paid, unpaid = market.made["order-1"]["invoiceid"], market.made["refund-1"]["invoiceid"]

    assert await cancel(paid) == (409, "E5")
    assert await cancel(unpaid, "other") == (404, "E2")
    assert await cancel(unpaid, "typed") == (403, "E4")
    assert await cancel(market.foreign["invoiceid"], "watcher") == (403, "E4")
    for unknown in ("~" * 21, "nope", "%FF", "create"):
        assert await cancel(unknown) == (404, "E2")
    assert await market.labels(status="unpaid") == ["refund-1"]


async def test_a_preimage_is_for_keys_that_may_read(market: Market) -> None:
    """The payer's page and a key that only creates see the payment without its proof."""
    shop, owner = market.shop, market.keys["owner"]
    order = {"label": "proof", "watch_token": True}
    created = await create(shop, owner, **order)
    path = f"/lightning/invoice/{created['invoiceid']}"
    payer = {"authorization": f"Bearer {created['watch_token']}"}
    async with shop.rest.stream("GET", f"{path}/watch", headers=payer) as watch:
        await shop.pay(created["payreq"])
        told = "".join([line async for line in watch.aiter_lines()])

    seen = [
        (await shop.rest.get(path, headers=payer)).json(),
        (await shop.rest.get(f"/lightning/invoice/i/{created['_id']}", headers=payer)).json(),
        await create(shop, market.keys["creator"], **order),
        json.loads(told.rpartition("data: ")[2]),
    ]
    assert [(each["status"], "preimage" in each) for each in seen] == [("paid", False)] * 4
    assert (await shop.rest.get(path, headers=owner)).json()["preimage"]
    over_grpc = pb.GetInvoiceRequest(invoice_id=created["invoiceid"])
    for header, is_seen in ((payer, False), (owner, True)):
        read = await shop.invoices.GetInvoice(over_grpc, metadata=tuple(header.items()))
        assert read.invoice.payment.HasField("payment_preimage") is is_seen
