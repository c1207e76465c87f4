"""A payer's page: EventSource or polyfill with a watch token."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.support.keys import KEYS
from tests.support.shop import Shop, config, open_shop
from tilld.auth.caller import SHOP
from tilld.auth.key import Key
from tilld.auth.repository import KeyStore
from tilld.invoices.repository import Store
from tilld.storage.database import open_database


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A Till with a key that the shop's own requests carry."""
    directory = tmp_path_factory.mktemp("page")
    store = Store(open_database(f"sqlite:///{directory / 'till.db'}"))
    key, token = Key.new(
        username="shop", scopes=SHOP, type=None, created_at=datetime.now(UTC), expires_at=None
    )
    KEYS.add(token)
    await KeyStore(store).add(key)
    await store.close()
    async with open_shop(config(directory)) as shop:
        shop.rest.headers["authorization"] = f"Bearer {token}"
        yield shop


@pytest.fixture(scope="module")
async def page(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, which has no key."""
    async with httpx.AsyncClient(base_url=shop.rest.base_url, timeout=10) as page:
        yield page


@pytest.fixture
async def created(shop: Shop) -> Any:
    return await shop.create(
        watch_token=True, msat="any", metadata={"type": "shop", "text": "a\u2028b\u2029c\x85d"}
    )


def path(created: Any, *rest: str) -> str:
    return "/".join(["/lightning/invoice", created["invoiceid"], *rest])


async def watched(
    page: httpx.AsyncClient, url: str, **headers: str
) -> tuple[int, httpx.Headers, list[bytes]]:
    """Return the status and headers of a watch, and the first piece of its body, if any."""
    async with page.stream("GET", url, headers=headers) as reply:
        lines = reply.aiter_raw()
        return reply.status_code, reply.headers, [line async for line in _first(lines)]


async def _first(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
        return


def percent_encoded(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


QUERIES = {
    "alone": "token={token}",
    "first": "token={token}&lastEventId=1",
    "last": "utm_source=a%20b&_=1700000000000&token={token}",
    "between": "a&token={token}&b=",
    "with a trailing ampersand": "token={token}&",
    "after empty ones": "&&=x&token={token}&&",
    "percent-encoded": "x=%26&%74oken={encoded}",
    "twice": "token={token}&token=watch_other",
    "beside one with a similar name": "xtoken=y&tokens=z&token={token}",
}


@pytest.mark.parametrize("what", ["watch", "read", "read by its id"])
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_token_is_found_in_any_query(
    page: httpx.AsyncClient, created: Any, query: str, what: str
) -> None:
    """Pages, polyfills and trackers add parameters of their own."""
    query = query.format(token=created["watch_token"], encoded=percent_encoded(created["watch_token"]))

    told: list[bytes] | None
    match what:
        case "watch":
            status, _, told = await watched(page, f"{path(created, 'watch')}?{query}")
        case "read":
            status, told = (await page.get(f"{path(created)}?{query}")).status_code, None
        case _:
            status, told = (
                (await page.get(f"/lightning/invoice/i/{created['_id']}?{query}")).status_code,
                None,
            )

    assert status == 200
    assert told is None or b"unpaid" in told[0]


@pytest.mark.parametrize(
    "query",
    [
        "", "token", "token=", "Token={token}", "token=%20{token}", "token={token}%0d%0ax-a:b",
        "x=token={token}", "token=watch_other&token={token}", "token%3D{token}", "token={token};x=1",
        "token%00={token}",
    ],
)  # fmt: skip
async def test_a_query_without_a_valid_token_is_unauthorized(
    page: httpx.AsyncClient, created: Any, query: str
) -> None:
    """Neither a part of the token nor a longer text counts; nor does a key in its place."""
    query = query.format(token=created["watch_token"])

    refused = await page.get(f"{path(created, 'watch')}?{query}")

    assert (refused.status_code, refused.json()["error"]) == (401, "E3")


async def test_a_token_in_the_url_does_no_more_than_read(
    shop: Shop, page: httpx.AsyncClient, created: Any
) -> None:
    other = await shop.create()
    query = f"?token={created['watch_token']}"

    replies = [
        await page.get(path(other) + query),
        await page.post(f"/lightning/invoice/create{query}", json={"msat": 1, "metadata": {"type": "shop"}}),
        await page.get(f"{path(created)}{query}&watch_token=true"),
        await page.get(f"/lightning/info{query}"),
    ]

    assert [reply.status_code for reply in replies] == [404, 403, 403, 401]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_last_event_id_does_not_end_the_watch_of_an_open_invoice(
    page: httpx.AsyncClient, created: Any, by: str
) -> None:
    """The claimed last id is ignored: the open invoice is reported, and later its payment."""
    url, headers = by_last_id(created, by)

    status, _, told = await watched(page, url, **headers)

    assert status == 200
    assert b'"unpaid"' in told[0]


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_watcher_with_the_final_state_gets_no_content(
    shop: Shop, page: httpx.AsyncClient, created: Any, by: str
) -> None:
    """A polyfill sends no headers; without 204 it would reconnect every 2 s until the page closes."""
    await shop.pay(created["payreq"], 5)
    await shop.outcome(created)
    url, headers = by_last_id(created, by)

    again = await page.get(url, headers=headers)
    first = await page.get(url.replace("lastEventId=2", "lastEventId=1"))

    assert (again.status_code, again.content) == (204, b"")
    assert (first.status_code, b"id: 2" in first.content) == (200, True)


async def test_a_last_event_id_reveals_nothing_about_another_invoice(
    shop: Shop, page: httpx.AsyncClient, created: Any
) -> None:
    other = await shop.create()
    url, headers = by_last_id({**other, "watch_token": created["watch_token"]}, "header")

    refused = await page.get(url, headers=headers)

    assert (refused.status_code, refused.json()["error"]) == (404, "E2")


def by_last_id(created: Any, by: str) -> tuple[str, dict[str, str]]:
    query = f"?token={created['watch_token']}" + ("&lastEventId=2" if by == "query" else "")
    return path(created, "watch") + query, {"last-event-id": "2"} if by == "header" else {}


async def test_headers_forbid_to_cache_buffer_or_transform_events(
    page: httpx.AsyncClient, created: Any
) -> None:
    """Unicode line ends within a text are escaped, so that a client splits lines only between events."""
    _, headers, told = await watched(page, f"{path(created, 'watch')}?token={created['watch_token']}")

    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert rb"a\u2028b\u2029c\u0085d" in told[0]
    assert len(told[0].decode().strip().splitlines()) == 4
