"""Webhooks over REST, through the real Envoy; the public library checks their signatures."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import standardwebhooks

from tests.support.keys import make_key
from tests.support.receiver import Delivery, Receiver, receiver
from tests.support.shop import Shop, config, open_shop

WEBHOOKS = "/lightning/webhooks"
CREATE = "/lightning/invoice/create"
ORDER = {"msat": 5000, "metadata": {"type": "shop"}}
SCOPES = ("invoices:create", "invoices:read", "invoices:cancel", "events:read", "webhooks")
# Public, so that it is permitted; nothing is sent to it, since the webhook is disabled.
SHOP_URL = "https://shop.example/till"
UNKNOWN = "A" * 21
NOT_FOUND = (404, "E2", "resource not found")


@dataclass(frozen=True)
class Market:
    """A Till with the keys of several callers."""

    shop: Shop
    keys: dict[str, dict[str, str]]

    async def call(
        self, method: str, path: str = WEBHOOKS, body: Any = None, key: str = "owner"
    ) -> httpx.Response:
        return await self.shop.rest.request(method, path, json=body, headers=self.keys[key])

    async def answer(self, method: str, path: str = WEBHOOKS, body: Any = None, key: str = "owner") -> Any:
        reply = await self.call(method, path, body, key)
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "application/json"
        return reply.json()

    async def refused(
        self, method: str, path: str = WEBHOOKS, body: Any = None, key: str = "owner"
    ) -> tuple[int, str, str]:
        reply = await self.call(method, path, body, key)
        return reply.status_code, reply.json()["error"], reply.json()["message"]

    async def webhook(self, url: str = SHOP_URL, key: str = "owner", **fields: Any) -> tuple[Any, str]:
        """Create a webhook; return it, and its path."""
        made = await self.answer("POST", body={"url": url, **fields}, key=key)
        return made, f"{WEBHOOKS}/{made['id']}"

    async def deliveries(self, path: str, **query: Any) -> Any:
        page = httpx.QueryParams(query)
        return await self.answer("GET", f"{path}/deliveries?{page}" if query else f"{path}/deliveries")

    async def succeeded(self, path: str, count: int) -> Any:
        """Return the deliveries that succeeded when there are so many: a commit follows the delivery."""
        async with asyncio.timeout(10):
            while len(found := (await self.deliveries(path, state="succeeded"))["deliveries"]) < count:
                await asyncio.sleep(0.05)
        return found


@pytest.fixture(scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Market]:
    directory = tmp_path_factory.mktemp("webhooks")
    scopes = [f"--scope={each}" for each in SCOPES]
    async with open_shop(config(directory, webhook_allow=("localhost",))) as shop:
        keys = {
            "owner": await make_key(directory, "--username=owner", *scopes),
            "other": await make_key(directory, "--username=other", *scopes),
            "cafe": await make_key(directory, "--username=owner", "--type=café", *scopes),
            "blind": await make_key(directory, "--username=owner", "--scope=webhooks"),
            "creator": await make_key(directory, "--username=owner", "--scope=invoices:create"),
            # Each may send 5 tests immediately.
            "tester": await make_key(directory, "--username=owner", "--scope=webhooks"),
            "another tester": await make_key(directory, "--username=owner", "--scope=webhooks"),
        }
        yield Market(shop, keys)


@pytest.fixture
async def market(opened: Market) -> AsyncIterator[Market]:
    """The Till, whose webhooks a test need not delete."""
    yield opened
    for key in ("owner", "other"):
        for each in (await opened.answer("GET", key=key))["webhooks"]:
            await opened.answer("DELETE", f"{WEBHOOKS}/{each['id']}", key=key)


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiver() as running:
        yield running


def verified(delivery: Delivery, *secrets: str) -> Any:
    """Return the event of a delivery, which each of the secrets has signed."""
    for secret in secrets:
        standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)
    return json.loads(delivery.body)


def is_signed(delivery: Delivery, secret: str) -> bool:
    try:
        verified(delivery, secret)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


# The life of a webhook


async def test_a_webhook_receives_what_a_list_of_events_has(market: Market, server: Receiver) -> None:
    """The body is the event of the list, byte for byte, and its signature is that of the secret."""
    made, _ = await market.webhook(server.url, types=["invoice.paid", "invoice.created"])
    invoice = await market.answer("POST", CREATE, ORDER)
    await market.shop.pay(invoice["payreq"])

    arrived = [await server.next(), await server.next()]

    created, paid = (verified(each, made["secret"]) for each in arrived)
    assert [each["type"] for each in (created, paid)] == ["invoice.created", "invoice.paid"]
    page = await market.answer("GET", f"/lightning/events?after={made['sequence']}")
    assert page["events"] == [created, paid]
    assert [each.headers["webhook-id"] for each in arrived] == [created["id"], paid["id"]]
    assert {each.headers["content-type"] for each in arrived} == {"application/json"}
    assert b": " not in arrived[1].body


async def test_only_a_create_and_a_rotation_show_the_secret(market: Market) -> None:
    """Other answers are the same without it; types have the order of the documentation."""
    made, path = await market.webhook(types=["invoice.expired", "invoice.paid", "invoice.paid"])
    secret = made.pop("secret")

    assert list(made) == ["id", "url", "types", "enabled", "created_at", "sequence", "key_id"]
    assert (made["url"], made["enabled"]) == (SHOP_URL, True)
    assert made["types"] == ["invoice.paid", "invoice.expired"]
    assert made["key_id"] == market.keys["owner"]["authorization"].split("_")[1]
    assert await market.answer("GET", path) == made
    assert await market.answer("GET", f"{path}/") == made
    assert await market.answer("GET") == {"webhooks": [made]}
    changed = await market.answer("PATCH", path, {"types": [], "enabled": False})
    assert changed == made | {"types": [], "enabled": False}
    rotated = await market.answer("POST", f"{path}/rotate")
    assert rotated.pop("secret") != secret
    assert rotated == changed
    head = await market.call("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")


async def test_a_change_keeps_the_fields_that_it_omits(market: Market, server: Receiver) -> None:
    """A webhook that is enabled again receives the events that have waited."""
    made, path = await market.webhook(SHOP_URL, types=["invoice.created"])
    await market.answer("PATCH", path, {"enabled": False})
    invoice = await market.answer("POST", CREATE, ORDER)
    moved = await market.answer("PATCH", path, {"url": server.url, "types": None})

    assert (moved["url"], moved["types"], moved["enabled"]) == (server.url, ["invoice.created"], False)
    assert await market.answer("PATCH", path, {}) == moved
    await market.answer("PATCH", path, {"enabled": True})
    event = verified(await server.next(), made["secret"])
    assert event["data"]["invoiceid"] == invoice["invoiceid"]


async def test_after_a_rotation_both_secrets_sign(market: Market, server: Receiver) -> None:
    made, path = await market.webhook(server.url)

    rotated = await market.answer("POST", f"{path}/rotate", {})
    await market.answer("POST", f"{path}/test")
    delivery = await server.next()

    verified(delivery, made["secret"], rotated["secret"])
    assert delivery.headers["webhook-signature"].count("v1,") == 2
    again = await market.answer("POST", f"{path}/rotate")
    await market.answer("POST", f"{path}/test")
    delivery = await server.next()
    verified(delivery, rotated["secret"], again["secret"])
    assert not is_signed(delivery, made["secret"])


async def test_a_deleted_webhook_is_gone(market: Market) -> None:
    _, path = await market.webhook()

    assert await market.answer("DELETE", path) == {}

    assert await market.answer("GET") == {"webhooks": []}
    for method, sub, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": True}),
        ("DELETE", "", None),
        ("POST", "/rotate", None),
        ("POST", "/test", None),
        ("POST", "/replay", {"after": 0}),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/evt_{UNKNOWN}/redeliver", None),
    ):
        assert await market.refused(method, path + sub, body) == NOT_FOUND


# Tests, deliveries, and events again


async def test_a_test_returns_how_the_attempt_ended(market: Market, server: Receiver) -> None:
    """The ping is signed, and in no log. A disabled webhook can be tested too."""
    made, path = await market.webhook(server.url)
    await market.answer("PATCH", path, {"enabled": False})
    server.answers += [(204, {}), (500, {}), (302, {"location": "/"})]

    attempts = [await market.answer("POST", f"{path}/test") for _ in range(3)]

    pings = [verified(await server.next(), made["secret"]) for _ in attempts]
    assert [(each["status"], each["error"]) for each in attempts] == [
        (204, ""),
        (500, "status 500"),
        (302, "redirected; webhooks do not follow redirects"),
    ]
    assert all(each["duration_ms"] < 15_000 for each in attempts)
    for ping in pings:
        assert (ping["type"], ping["sequence"], ping["data"]) == ("ping", 0, {"webhook_id": made["id"]})
    assert len({each["id"] for each in pings}) == 3
    assert await market.deliveries(path) == {"deliveries": []}


async def test_a_test_of_a_server_that_is_down_has_no_status(market: Market) -> None:
    async with Receiver() as closed:
        _, path = await market.webhook(closed.url)

        attempt = await market.answer("POST", f"{path}/test", key="another tester")

    assert attempt.keys() == {"started_at", "duration_ms", "error"}
    assert attempt["error"]


async def test_a_key_may_send_five_tests_immediately(market: Market, server: Receiver) -> None:
    """Retry-After says when the next one may be sent."""
    _, path = await market.webhook(server.url)

    replies = [await market.call("POST", f"{path}/test", key="tester") for _ in range(6)]

    assert [each.status_code for each in replies[:5]] == [200] * 5
    too_many = next(each for each in replies if each.status_code == 429)
    assert too_many.json() == {"error": "E7", "message": "too many tests of webhooks; wait a second"}
    assert int(too_many.headers["retry-after"]) == 1


async def test_a_delivery_that_failed_is_listed_until_it_arrives(market: Market, server: Receiver) -> None:
    server.answers += [(500, {}), (200, {}), (200, {})]
    made, path = await market.webhook(server.url, types=["invoice.created"])
    for _ in range(2):
        await market.answer("POST", CREATE, ORDER)
    failed, later = [verified(await server.next(), made["secret"]) for _ in range(2)]

    [pending] = (await market.deliveries(path, state="pending"))["deliveries"]
    await market.answer("POST", f"{path}/deliveries/{failed['id']}/redeliver")
    again = verified(await server.next(), made["secret"])

    assert pending.keys() >= {"next_attempt_at", "last_attempt_at", "last_duration_ms"}
    assert (
        pending.items()
        >= {
            "event_id": failed["id"],
            "sequence": failed["sequence"],
            "type": "invoice.created",
            "state": "pending",
            "attempts": 1,
            "last_status": 500,
            "last_error": "status 500",
        }.items()
    )
    assert (later["sequence"], again) == (failed["sequence"] + 1, failed)

    found = await market.succeeded(path, 2)
    assert [(each["event_id"], each["attempts"]) for each in found] == [(later["id"], 1), (failed["id"], 2)]
    assert (await market.deliveries(path))["deliveries"] == found
    assert await market.deliveries(path, state="dead") == {"deliveries": []}


async def test_pages_of_deliveries_follow_each_other(market: Market, server: Receiver) -> None:
    """The newest is first; the last page has no `next`."""
    _, path = await market.webhook(server.url, types=["invoice.created"])
    for _ in range(5):
        await market.answer("POST", CREATE, ORDER)
        await server.next()

    whole = await market.succeeded(path, 5)
    found: list[Any] = []
    after: Any = ""
    for _ in range(3):
        page = await market.deliveries(path, limit=2, after=after)
        found += page["deliveries"]
        after = page.get("next")

    assert found == whole
    assert after is None
    assert [each["sequence"] for each in whole] == sorted((each["sequence"] for each in whole), reverse=True)
    assert (await market.deliveries(path, limit=2147483647, state="succeeded"))["deliveries"] == whole


async def test_a_replay_sends_the_same_events_again(market: Market, server: Receiver) -> None:
    made, path = await market.webhook(server.url, types=["invoice.created"])
    for _ in range(3):
        await market.answer("POST", CREATE, ORDER)
    first = [verified(await server.next(), made["secret"]) for _ in range(3)]

    replayed = await market.answer("POST", f"{path}/replay", {"after": first[0]["sequence"]})

    assert replayed["sequence"] == first[0]["sequence"]
    assert [verified(await server.next(), made["secret"]) for _ in range(2)] == first[1:]


async def test_one_event_can_be_sent_again(market: Market, server: Receiver) -> None:
    """It need not be in the list of deliveries, if the log has it."""
    invoice = await market.answer("POST", CREATE, ORDER)
    [event] = (await market.answer("GET", "/lightning/events?limit=1000"))["events"][-1:]
    made, path = await market.webhook(server.url)

    delivery = await market.answer("POST", f"{path}/deliveries/{event['id']}/redeliver", {})

    assert (delivery["state"], delivery["attempts"]) == ("pending", 0)
    assert verified(await server.next(), made["secret"]) == event
    assert event["data"]["invoiceid"] == invoice["invoiceid"]
    for unknown in (f"evt_{UNKNOWN}", "evt_1", UNKNOWN):
        assert await market.refused("POST", f"{path}/deliveries/{unknown}/redeliver") == NOT_FOUND


# The webhook of one invoice


async def test_an_invoice_has_a_webhook_of_its_own(market: Market, server: Receiver) -> None:
    """It receives the final state only, and a repeated create returns it again."""
    order = ORDER | {"label": "with a webhook", "webhook": server.url}
    invoice = await market.answer("POST", CREATE, order)
    again = await market.answer("POST", CREATE, order)
    await market.shop.pay(invoice["payreq"])

    event = verified(await server.next(), invoice["webhook"]["secret"])

    assert again["webhook"] == invoice["webhook"]
    assert (event["type"], event["data"]["invoiceid"]) == ("invoice.paid", invoice["invoiceid"])
    path = f"{WEBHOOKS}/{invoice['webhook']['id']}"
    found = await market.answer("GET", path)
    assert (found["url"], found["invoiceid"]) == (server.url, invoice["invoiceid"])
    assert "secret" not in found
    assert await market.answer("GET") == {"webhooks": []}
    read = await market.answer("GET", f"/lightning/invoice/{invoice['invoiceid']}")
    assert "webhook" not in read
    assert await market.refused("POST", f"{path}/replay", {"after": 0}) == (
        400,
        "E1",
        "the webhook of an invoice has one event; redeliver it",
    )


async def test_another_webhook_is_another_request(market: Market) -> None:
    """The label identifies the request, so a retry must ask for the same webhook."""
    order = ORDER | {"label": "conflict", "webhook": SHOP_URL}
    await market.answer("POST", CREATE, order)

    for body in (order | {"webhook": f"{SHOP_URL}/2"}, ORDER | {"label": "conflict"}):
        assert await market.refused("POST", CREATE, body) == (
            409,
            "E5",
            "label is in use for an invoice with another webhook",
        )


# Errors


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({}, "E1", "url is missing"),
        ({"url": 1}, "E1", "url must be a string"),
        ({"url": None}, "E1", "url must be a string"),
        ({"url": ""}, "E1", "url must have 1 to 2000 bytes"),
        ({"url": "shop.example"}, "E1", "url must be an absolute https URL, such as https://shop.example/webhook"),
        ({"url": "ftp://shop.example"}, "E1", "url must be an absolute https URL"),
        ({"url": "https://a:b@shop.example/"}, "E1", "url must have no user, no password and no fragment"),
        ({"url": "https://0x7f.1/"}, "E1", "url must have a host such as shop.example"),
        ({"url": "https://[::ffff:127.0.0.1]/"}, "E1", "url must be a public address with https"),
        ({"url": "http://shop.example/"}, "E1", "url must be a public address with https"),
        ({"url": SHOP_URL + "x" * 2000}, "E6", "url must have at most 2000 bytes, but has 2025"),
        ({"url": SHOP_URL, "types": "invoice.paid"}, "E1", "types must be an array of strings"),
        ({"url": SHOP_URL, "types": [1]}, "E1", "types must be an array of strings"),
        ({"url": SHOP_URL, "types": ["invoice.x"]}, "E1", "types has 'invoice.x'; the types are "),
        ({"url": SHOP_URL, "secret": "x"}, "E1", "unknown field 'secret'; the fields are url, types"),
        ([], "E1", "the body is not a JSON object"),
    ],
)  # fmt: skip
async def test_a_wrong_webhook_is_refused(market: Market, body: Any, code: str, message: str) -> None:
    status, found, told = await market.refused("POST", body=body)

    assert (status, found) == ({"E1": 400, "E6": 413}[code], code)
    assert told.startswith(message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"url": "https://10.0.0.5/"}, "url must be a public address with https"),
        ({"types": ["x"]}, "types has 'x'; the types are invoice.created, "),
        ({"enabled": "yes"}, "enabled must be true or false"),
        ({"id": "x"}, "unknown field 'id'; the fields are url, types, enabled"),
        (None, "the body is not a JSON object"),
    ],
)
async def test_a_wrong_change_is_refused(market: Market, body: Any, message: str) -> None:
    made, path = await market.webhook()

    status, code, told = await market.refused("PATCH", path, body)

    assert (status, code) == (400, "E1")
    assert told.startswith(message)
    del made["secret"]
    assert await market.answer("GET", path) == made


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "after is missing"),
        ({"after": -1}, "after must be a whole number, 0 to "),
        ({"after": "1"}, "after must be a whole number, 0 to "),
        ({"after": 2**63}, "after must be "),
        ({"after": 2**63 - 1}, "after is beyond the newest event, whose sequence is "),
        (None, "the body is not a JSON object"),
    ],
)
async def test_a_wrong_replay_is_refused(market: Market, body: Any, message: str) -> None:
    _, path = await market.webhook()

    status, code, told = await market.refused("POST", f"{path}/replay", body)

    assert (status, code) == (400, "E1")
    assert told.startswith(message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("state=gone", "state must be one of pending, dead, succeeded"),
        ("state=", "state must be one of pending, dead, succeeded"),
        ("limit=0", "limit must be a whole number, 1 to 2147483647"),
        ("limit=x", "limit must be a whole number, 1 to 2147483647"),
        ("after=x", "after is not from an earlier page of deliveries"),
        ("after=-1", "after is not from an earlier page of deliveries"),
        ("status=dead", "unknown parameter 'status'; the parameters are state, limit, after"),
        ("id=x", "unknown parameter 'id'; the parameters are state, limit, after"),
        ("state=dead&state=dead", "state is repeated; send it once"),
        ("state=%FF", "state is not valid UTF-8"),
    ],
)
async def test_a_wrong_parameter_is_refused(market: Market, query: str, message: str) -> None:
    _, path = await market.webhook()

    for slash in ("", "/"):
        refused = await market.refused("GET", f"{path}/deliveries{slash}?{query}")
        assert refused == (400, "E1", message)


async def test_a_user_has_at_most_16_webhooks(market: Market) -> None:
    """Those of other users and of single invoices do not count."""
    await market.answer("POST", CREATE, ORDER | {"webhook": SHOP_URL})
    for _ in range(16):
        await market.webhook()

    assert await market.refused("POST", body={"url": SHOP_URL}) == (
        429,
        "E7",
        "a user has at most 16 webhooks; delete one",
    )
    await market.webhook(key="other")


# Keys


async def test_nobody_sees_the_webhooks_of_others(market: Market) -> None:
    _, path = await market.webhook()

    assert await market.answer("GET", key="other") == {"webhooks": []}
    for method, sub, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/rotate", None),
        ("POST", "/test", None),
        ("POST", "/replay", {"after": 0}),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/evt_{UNKNOWN}/redeliver", None),
    ):
        for key in ("other", "cafe"):
            assert await market.refused(method, path + sub, body, key) == NOT_FOUND


async def test_a_key_with_a_type_receives_this_type(market: Market, server: Receiver) -> None:
    made, path = await market.webhook(server.url, key="cafe")
    await market.answer("POST", CREATE, ORDER)
    invoice = await market.answer("POST", CREATE, {"msat": 1, "metadata": {"type": "café"}})

    event = verified(await server.next(), made["secret"])

    assert made["metadata_type"] == "café"
    assert event["data"]["invoiceid"] == invoice["invoiceid"]
    assert (await market.answer("GET", key="cafe"))["webhooks"][0]["id"] == made["id"]
    assert (await market.answer("GET", path))["id"] == made["id"]


async def test_a_webhook_reveals_nothing_that_the_key_may_not_read(market: Market) -> None:
    """A key without invoices:read cannot send the events of another key to a URL of its own."""
    _, path = await market.webhook()

    for method, sub, body in (("PATCH", "", {"url": SHOP_URL}), ("POST", "/rotate", None)):
        status, code, message = await market.refused(method, path + sub, body, "blind")
        assert (status, code) == (403, "E4")
        assert message == (
            "the webhook receives what this key may not read; use a key with the scopes invoices:read"
        )
    status, code, _ = await market.refused(
        "POST", body={"url": SHOP_URL, "types": ["invoice_request.collected"]}
    )
    assert (status, code) == (403, "E4")


async def test_webhooks_need_their_scope(market: Market) -> None:
    for method, path, body in (
        ("POST", WEBHOOKS, {"url": SHOP_URL}),
        ("GET", WEBHOOKS, None),
        ("GET", f"{WEBHOOKS}/{UNKNOWN}", None),
        ("PATCH", f"{WEBHOOKS}/{UNKNOWN}", {}),
        ("DELETE", f"{WEBHOOKS}/{UNKNOWN}", None),
        ("POST", f"{WEBHOOKS}/{UNKNOWN}/rotate", None),
        ("POST", f"{WEBHOOKS}/{UNKNOWN}/test", None),
        ("POST", f"{WEBHOOKS}/{UNKNOWN}/replay", {"after": 0}),
        ("GET", f"{WEBHOOKS}/{UNKNOWN}/deliveries", None),
        ("POST", f"{WEBHOOKS}/{UNKNOWN}/deliveries/evt_{UNKNOWN}/redeliver", None),
    ):
        assert await market.refused(method, path, body, "creator") == (
            403,
            "E4",
            "the key lacks the scope webhooks; use a key that has it",
        )
    assert await market.refused("POST", CREATE, ORDER | {"webhook": SHOP_URL}, "creator") == (
        403,
        "E4",
        "the key lacks the scope webhooks, which a webhook needs; use a key that has it",
    )


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "", "GET, POST"),
        ("POST", "/x", "GET, PATCH, DELETE"),
        ("HEAD", "/x/rotate", "POST"),
        ("GET", "/x/test", "POST"),
        ("PATCH", "/x/replay", "POST"),
        ("POST", "/x/deliveries", "GET"),
        ("GET", "/x/deliveries/evt_x/redeliver", "POST"),
    ],
)
async def test_other_methods_are_not_allowed(market: Market, method: str, path: str, allow: str) -> None:
    reply = await market.call(method, WEBHOOKS + path)

    assert (reply.status_code, reply.headers["allow"]) == (405, allow)
    assert method == "HEAD" or reply.json()["error"] == "E10"
