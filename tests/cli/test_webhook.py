"""The commands `tilld webhook`, beside a running Till, and on a store without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.support.keys import make_key
from tests.support.processes import fails, output, tilld
from tests.support.receiver import Receiver, receiver
from tests.support.shop import Shop, config, open_shop
from tilld.auth.caller import SHOP, Caller
from tilld.formats.times import utc_now
from tilld.invoices.repository import Store
from tilld.storage.database import open_database
from tilld.webhooks.repository import WebhookStore
from tilld.webhooks.terms import WebhookTerms
from tilld.webhooks.webhook import Webhook

ALLOW = "--webhook-allow=localhost"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A running Till whose webhooks may reach this computer."""
    async with open_shop(config(tmp_path, webhook_allow=("localhost",))) as shop:
        yield shop


class Operator:
    """Runs commands on the store in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __call__(self, *arguments: str) -> str:
        """Run a command, which must succeed; return its output."""
        code, said = await output(
            "webhook", *arguments, "--data-dir=.", cwd=self._directory, TILLD_LOG_LEVEL="error"
        )
        assert code == 0, said
        return said

    async def create(self, url: str, *more: str) -> tuple[str, str]:
        """Create a webhook of the user anonymous; return its id and its secret."""
        secret, _ = (await self("create", url, "--username=anonymous", ALLOW, *more)).splitlines()
        return (await self.listed())[-1]["id"], secret

    async def listed(self) -> list[Any]:
        """Return all webhooks."""
        return [json.loads(line) for line in (await self("list", "--json")).splitlines()]

    async def fails(self, *arguments: str) -> str:
        """Run a command, which must fail; return what it prints."""
        return await fails(
            "webhook", *arguments, "--data-dir=.", cwd=self._directory, TILLD_LOG_LEVEL="error"
        )


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """The operator of the Till in the test's directory."""
    return Operator(tmp_path)


async def next_sequence(receiver: Receiver, *secrets: str) -> int:
    """Return the sequence of the next event; check its signature by each secret."""
    delivery = await receiver.next()
    for secret in secrets:
        standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)
    return int(json.loads(delivery.body)["sequence"])


async def new_webhook(shop: Shop, url: str, *types: str) -> tuple[str, str]:
    """Create a webhook as its user does; return its id and its secret."""
    created = (await shop.rest.post("/lightning/webhooks", json={"url": url, "types": types})).json()
    return created["id"], created["secret"]


async def test_a_running_till_notices_a_webhook_and_its_removal(shop: Shop, operator: Operator) -> None:
    async with receiver() as shops:
        webhook_id, secret = await operator.create(shops.url, "--types=invoice.created,invoice.paid")
        await shop.create()
        assert await next_sequence(shops, secret) == 1

        assert await operator("delete", webhook_id) == f"deleted: {webhook_id}\n"
        assert (await shop.rest.get(f"/lightning/webhooks/{webhook_id}")).status_code == 404
    assert "there are no webhooks" in await operator("list")


async def test_events_wait_at_a_disabled_webhook(shop: Shop, operator: Operator) -> None:
    """Its user sees the reason; once it is enabled, a running Till sends them."""
    async with receiver() as shops:
        webhook_id, secret = await new_webhook(shop, shops.url)

        assert await operator("disable", webhook_id, "--reason=moving house") == f"disabled: {webhook_id}\n"
        seen = (await shop.rest.get(f"/lightning/webhooks/{webhook_id}")).json()
        assert (seen["enabled"], seen["disabled_reason"]) == (False, "moving house")
        # Till must have noticed, so that this event waits.
        async for webhook in states(WebhookStore(shop.till.store), webhook_id):
            if not webhook.owner:
                break
        await shop.create()
        shown = json.loads(await operator("show", webhook_id, "--json"))
        assert (shown["username"], shown["waiting"], "secret" in shown) == ("anonymous", 1, False)
        assert shops.deliveries.empty()

        assert await operator("enable", webhook_id) == f"enabled: {webhook_id}\n"
        assert await next_sequence(shops, secret) == 1


async def test_a_running_till_notices_a_new_secret_and_a_replay(shop: Shop, operator: Operator) -> None:
    async with receiver() as shops:
        webhook_id, secret = await new_webhook(shop, shops.url, "invoice.created")
        await shop.create()
        assert await next_sequence(shops, secret) == 1

        new_secret, _ = (await operator("rotate", webhook_id)).splitlines()
        assert await operator("replay", webhook_id, "--after=0") == "sent again: the events after 0\n"

        assert await next_sequence(shops, secret, new_secret) == 1


async def states(store: WebhookStore, webhook_id: str) -> AsyncIterator[Webhook]:
    """Yield a webhook repeatedly, for at most 10 s."""
    async with asyncio.timeout(10):
        while True:
            webhook = await store.get(webhook_id)
            assert webhook
            yield webhook
            await asyncio.sleep(0.01)


async def test_failed_deliveries_are_listed_and_sent_again(shop: Shop, operator: Operator) -> None:
    """The receiver asks for an hour's pause, which the operator does not wait for."""
    store = WebhookStore(shop.till.store)
    async with receiver((429, {"retry-after": "3600"})) as shops:
        webhook_id, _ = await new_webhook(shop, shops.url)
        await shop.create()
        event_id = (await shops.next()).headers["webhook-id"]
        async for _ in states(store, webhook_id):
            if await store.pending(webhook_id, 1):
                break
        pending = await operator("deliveries", webhook_id, "--state=pending", "--json")
        [delivery] = [json.loads(line) for line in pending.splitlines()]
        assert (delivery["event_id"], delivery["last_error"]) == (event_id, "status 429")
        header, row = (await operator("deliveries", webhook_id)).splitlines()
        assert header.split()[:5] == ["EVENT", "ID", "SEQUENCE", "TYPE", "STATE"]
        assert row.split()[:5] == [event_id, "1", "invoice.created", "pending", "1"]
        header, row = (await operator("list")).splitlines()
        assert row.split()[1:4] == ["anonymous", "failing", "1"]
        assert row.split()[-1] == "localhost"

        assert event_id in await operator("redeliver", webhook_id, event_id)

        assert (await shops.next()).headers["webhook-id"] == event_id
    assert "has no event evt_unknown" in await operator.fails("redeliver", webhook_id, "evt_unknown")


async def test_a_test_sends_a_ping_from_the_command(shop: Shop, operator: Operator) -> None:
    """The exit code says whether it was accepted."""
    async with receiver((204, {}), (500, {})) as shops:
        webhook_id, secret = await new_webhook(shop, shops.url)
        assert "the test succeeded: status 204" in await operator("test", webhook_id, ALLOW)
        delivery = await shops.next()
        standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)
        assert json.loads(delivery.body)["type"] == "ping"
        assert "status 500" in await operator.fails("test", webhook_id, ALLOW)
    assert "the address is not allowed" in await operator.fails("test", webhook_id)


async def test_webhooks_of_all_users_are_listed(tmp_path: Path, operator: Operator) -> None:
    """On a store without a running Till."""
    store = Store(open_database(f"sqlite:///{tmp_path / 'till.db'}"))
    webhooks = WebhookStore(store)
    for username in ("shop", "bar"):
        terms = WebhookTerms(f"https://{username}.example/hook?token=secret", ())
        await webhooks.add(Webhook.new(Caller(username, frozenset(SHOP)), terms, utc_now()))
    await store.close()

    header, *rows = (await operator("list")).splitlines()
    assert header.split() == ["ID", "USERNAME", "STATE", "WAITING", "SINCE", "(UTC)", "DEAD", "HOST"]
    assert [row.split()[1:] for row in rows] == [
        [username, "enabled", "0", "-", "0", f"{username}.example"] for username in ("bar", "shop")
    ]
    [of_shop] = (await operator("list", "--username=shop", "--json")).splitlines()
    assert json.loads(of_shop)["url"] == "https://shop.example/hook?token=secret"
    assert "there are no webhooks" in await operator("list", "--username=nobody")


async def test_advice_names_the_command(tmp_path: Path, operator: Operator) -> None:
    await Store(open_database(f"sqlite:///{tmp_path / 'till.db'}")).close()

    said = await operator.fails("show", "unknown")
    assert said == "tilld: there is no webhook unknown; list them: tilld webhook list --data-dir ."
    said = await operator.fails("create", "https://127.0.0.1/", "--username=shop")
    assert "--webhook-allow" in said
    said = await operator.fails("create", "https://shop.example/", "--username=a shop")
    assert said.startswith("tilld: --username must have")


async def test_a_revoked_key_leaves_its_webhooks_and_says_so(shop: Shop, tmp_path: Path) -> None:
    shop.rest.headers.update(await make_key(tmp_path, "--username", "shop"))
    body = {"url": "https://localhost/hook"}
    key_id = (await shop.rest.post("/lightning/webhooks", json=body)).json()["key_id"]

    async with tilld("key", "revoke", key_id, "--data-dir=.", cwd=tmp_path) as revoked:
        out, _ = await revoked.process.communicate()

    assert "webhooks of this key, which stay: 1" in out.decode()
    assert "tilld webhook list --username shop --data-dir ." in out.decode()
    assert [each.key_id for each in await WebhookStore(shop.till.store).of_user("shop")] == [key_id]


async def test_the_doctor_lists_a_disabled_webhook_and_finds_no_difference(
    shop: Shop, operator: Operator, tmp_path: Path
) -> None:
    webhook_id, _ = await new_webhook(shop, "http://localhost:1/")
    await operator("disable", webhook_id)
    node = ("--lightning-rpc", str(shop.rpc_file))

    code, said = await output("doctor", "--data-dir=.", *node, cwd=tmp_path, TILLD_LOG_LEVEL="error")

    assert code == 0, said
    reason = "the operator of Till has disabled it"
    assert f"webhook {webhook_id} of anonymous (localhost) is disabled: {reason}\n" in said
    assert "webhooks: 1, all of them: tilld webhook list --data-dir .\n" in said
    assert said.splitlines()[-1] == "nothing differs"
