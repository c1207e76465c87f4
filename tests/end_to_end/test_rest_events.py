"""Lists and long polls of events over REST, through the real Envoy."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.keys import make_key
from tests.support.shop import Shop, config, open_shop
from tests.support.waiting import eventually

EVENTS = "/lightning/events"
SCOPES = ("invoices:create", "invoices:read", "invoices:cancel", "events:read")


@dataclass(frozen=True)
class Market:
    """A Till with the keys of two shops, of an application of one type, and of an admin."""

    shop: Shop
    keys: dict[str, dict[str, str]]

    async def create(self, key: str = "owner", kind: str = "shop") -> Any:
        reply = await self.shop.rest.post(
            "/lightning/invoice/create",
            json={"msat": 5000, "metadata": {"type": kind}},
            headers=self.keys[key],
        )
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def get(self, key: str = "owner", path: str = EVENTS, **query: Any) -> httpx.Response:
        return await self.shop.rest.get(path, params=query, headers=self.keys[key])

    async def listed(self, key: str = "owner", **query: Any) -> Any:
        reply = await self.get(key, **query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def newest(self, key: str = "owner", **query: Any) -> Any:
        """Return the place behind the newest event."""
        return (await self.listed(key, after="now", **query))["next"]

    async def refused(self, key: str = "owner", path: str = EVENTS, **query: Any) -> tuple[int, str, str]:
        reply = await self.get(key, path, **query)
        return reply.status_code, reply.json()["error"], reply.json()["message"]


@pytest.fixture(scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Market]:
    directory = tmp_path_factory.mktemp("events")
    scopes = [f"--scope={each}" for each in SCOPES]
    reading = "--scope=events:read"
    async with open_shop(config(directory, key_watches=2)) as shop:
        keys = {
            "owner": await make_key(directory, "--username=owner", *scopes),
            "other": await make_key(directory, "--username=other", *scopes),
            "cafe": await make_key(directory, "--username=owner", "--type=café", *scopes),
            "listener": await make_key(directory, "--username=owner", reading),
            "creator": await make_key(directory, "--username=owner", "--scope=invoices:create"),
            "admin": await make_key(directory, "--username=owner", "--scope=admin", reading),
            "watcher": {},
        }
        market = Market(shop, keys)
        reply = await shop.rest.post(
            "/lightning/invoice/create",
            json={"msat": 1, "metadata": {"type": "shop"}, "watch_token": True},
            headers=keys["owner"],
        )
        keys["watcher"]["authorization"] = f"Bearer {reply.json()['watch_token']}"
        yield market


async def test_a_list_has_each_change_once_and_in_order(market: Market) -> None:
    """The data is the invoice as a read returned it after the event."""
    before = await market.newest()
    paid, canceled = await market.create(), await market.create()
    path = f"/lightning/invoice/{canceled['invoiceid']}"
    canceled_at_last = (await market.shop.rest.delete(path, headers=market.keys["owner"])).json()
    await market.shop.pay(paid["payreq"])
    read = await market.listed(after=before + 3, wait=10)

    reply = await market.get(after=before)
    page = reply.json()

    assert reply.headers["content-type"] == "application/json"
    assert list(page) == ["events", "next", "has_more", "log_began_at"]
    assert (page["next"], page["has_more"]) == (before + 4, False)
    assert [each["sequence"] for each in page["events"]] == [before + number for number in (1, 2, 3, 4)]
    assert [(each["type"], each["data"]["invoiceid"]) for each in page["events"]] == [
        ("invoice.created", paid["invoiceid"]),
        ("invoice.created", canceled["invoiceid"]),
        ("invoice.canceled", canceled["invoiceid"]),
        ("invoice.paid", paid["invoiceid"]),
    ]
    assert page["events"][-1:] == read["events"]
    assert page["events"][1]["data"]["status"] == "unpaid"
    assert page["events"][2]["data"] == canceled_at_last
    read_again = await market.shop.rest.get(
        f"/lightning/invoice/{paid['invoiceid']}", headers=market.keys["owner"]
    )
    assert page["events"][3]["data"] == read_again.json()
    assert len({each["id"] for each in page["events"]}) == 4
    assert (await market.get(path=f"{EVENTS}/", after=before)).json() == page
    head = await market.shop.rest.head(EVENTS, headers=market.keys["owner"])
    assert (head.status_code, head.content) == (200, b"")


async def test_pages_follow_each_other(market: Market) -> None:
    """`next` leads to the end, where it stays, also if nothing matches."""
    for _ in range(5):
        await market.create()
    whole = (await market.listed())["events"]

    found, after, has_more = [], "beginning", True
    while has_more:
        page = await market.listed(after=after, limit=2)
        assert len(page["events"]) <= 2
        found += page["events"]
        after, has_more = page["next"], page["has_more"]

    assert found == whole
    end = await market.listed(after=after)
    assert (end["events"], end["next"], end["has_more"]) == ([], after, False)
    nothing = await market.listed(after=0, types="invoice.expired", limit=1000)
    assert (nothing["events"], nothing["next"]) == ([], after)


async def test_a_filter_selects_types_and_metadata(market: Market) -> None:
    before = await market.newest()
    invoice, _ = await market.create(kind="café"), await market.create()
    await market.shop.pay(invoice["payreq"])
    await market.listed(after=before, types="invoice.paid", wait=10)

    async def types(**query: str) -> list[str]:
        return [each["type"] for each in (await market.listed(after=before, **query))["events"]]

    assert await types(types="invoice.paid,invoice.expired") == ["invoice.paid"]
    assert await types(metadata_type="café") == ["invoice.created", "invoice.paid"]
    assert await types(metadata_type="café", types="invoice.created") == ["invoice.created"]
    assert await types(metadata_type="caf") == []


async def test_nobody_sees_events_of_others(market: Market) -> None:
    """A key with a type sees that type, and a key without invoices:read no preimages."""
    before = await market.newest()
    invoice, foreign = await market.create(kind="café"), await market.create("other")
    await market.create()
    await market.shop.pay(invoice["payreq"])
    own = (await market.listed(after=before, types="invoice.paid", wait=10))["events"]

    async def seen(key: str, **query: Any) -> set[str]:
        return {each["data"]["invoiceid"] for each in (await market.listed(key, **query))["events"]}

    assert foreign["invoiceid"] not in await seen("owner", limit=1000)
    assert await seen("other") == {foreign["invoiceid"]}
    assert await seen("cafe", after=before) == {invoice["invoiceid"]}
    [paid] = (await market.listed("listener", after=before, types="invoice.paid"))["events"]
    assert "preimage" in own[0]["data"]
    assert "preimage" not in paid["data"]


async def test_an_admin_reads_the_logs_of_all_users_by_a_cursor(market: Market) -> None:
    before = await market.newest("admin", all_users="true")
    await market.create()
    await market.create("other")

    page = await market.listed("admin", after=before, all_users="true")

    assert [each["username"] for each in page["events"]] == ["owner", "other"]
    assert page["events"][-1]["cursor"] == page["next"]
    second = await market.listed("admin", after=page["events"][0]["cursor"], all_users="true")
    assert second == page | {"events": page["events"][1:]}
    own = await market.listed("admin", all_users="false")
    assert all("username" not in each and "cursor" not in each for each in own["events"])
    assert (await market.refused("owner", all_users="true"))[:2] == (403, "E4")
    made_up = before[:-1] + ("A" if before[-1] != "A" else "B")
    for after, message in ((made_up, "after is not a cursor of this Till"), ("1", "after must be a cursor")):
        status, code, text = await market.refused("admin", after=after, all_users="true")
        assert (status, code) == (400, "E1")
        assert text.startswith(message)


async def test_a_long_poll_ends_with_the_first_event(market: Market) -> None:
    """It waits for an event that matches, and only as long as asked."""
    before = await market.newest()
    asking = asyncio.create_task(market.listed(after=before, types="invoice.paid", wait=60))
    await eventually(lambda: market.shop.till.feed.streams == 1)
    invoice = await market.create()
    assert not asking.done()

    await market.shop.pay(invoice["payreq"])

    async with asyncio.timeout(10):
        page = await asking
    assert [each["type"] for each in page["events"]] == ["invoice.paid"]
    assert page["next"] == before + 2
    begun = asyncio.get_running_loop().time()
    empty = await market.listed(after=before + 2, wait=1)
    assert asyncio.get_running_loop().time() - begun >= 1
    assert (empty["events"], empty["next"], empty["has_more"]) == ([], before + 2, False)
    assert market.shop.till.feed.streams == 0


async def test_a_long_poll_counts_as_a_watch(market: Market) -> None:
    """A client that leaves ends its wait."""
    asking = [asyncio.create_task(market.get(after="now", wait=60)) for _ in range(2)]
    await eventually(lambda: market.shop.till.feed.streams == 2)

    reply = await market.get(after="now", wait=60)
    assert (reply.status_code, reply.json()["error"]) == (429, "E7")
    assert int(reply.headers["retry-after"]) > 0
    assert (await market.get(after="now")).status_code == 200

    for each in asking:
        each.cancel()
    await eventually(lambda: market.shop.till.feed.streams == 0)
    assert (await market.get(after="now", wait=1)).status_code == 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("after=", "after must be the sequence of an event, or beginning or now"),
        ("after=-1", "after must be the sequence of an event, or beginning or now"),
        ("after=1e3", "after must be the sequence of an event, or beginning or now"),
        ("after=9223372036854775808", "after must be at most 9223372036854775807"),
        ("after=9223372036854775807", "after is beyond the newest event, whose sequence is "),
        ("after=1&after=2", "after is repeated; send it once"),
        ("after=%ff", "after is not valid UTF-8"),
        ("types=", "types has ''; the types are invoice.created, "),
        ("types=invoice.paid&types=invoice.expired", "types is repeated; send it once"),
        ("types=paid", "types has 'paid'; the types are invoice.created, "),
        ("metadata_type=%00", "metadata_type must not have control characters"),
        ("limit=0", "limit must be a whole number"),
        ("wait=61", "wait must be a whole number of seconds, 0 to 60"),
        ("wait=-1", "wait must be a whole number of seconds, 0 to 60"),
        ("wait=now", "wait must be a whole number of seconds, 0 to 60"),
        ("all_users=yes", "all_users must be true or false"),
        (
            "type=shop",
            "unknown parameter 'type'; the parameters are after, types, metadata_type, limit, wait,",
        ),
        ("lastEventId=1", "unknown parameter 'lastEventId'; the parameters are after, types,"),
    ],
)
async def test_a_bad_parameter_is_named(market: Market, query: str, message: str) -> None:
    reply = await market.shop.rest.get(f"{EVENTS}?{query}", headers=market.keys["owner"])

    assert (reply.status_code, reply.json()["error"]) == (400, "E1")
    assert reply.json()["message"].startswith(message)


@pytest.mark.parametrize("key", ["creator", "watcher"])
@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/stream"])
async def test_events_need_the_scope(market: Market, key: str, path: str) -> None:
    """A watch token is for one invoice."""
    assert (await market.refused(key, path))[:2] == (403, "E4")


@pytest.mark.parametrize("path", [EVENTS, f"{EVENTS}/stream"])
async def test_other_methods_are_not_allowed(market: Market, path: str) -> None:
    for method in ("POST", "DELETE", "PUT"):
        reply = await market.shop.rest.request(method, path, headers=market.keys["owner"])
        assert (reply.status_code, reply.headers["allow"], reply.json()["error"]) == (405, "GET", "E10")
