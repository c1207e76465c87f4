"""The command `till webhook`, and webhooks in other commands."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from typer.testing import CliRunner, Result

import till
from tests.support.impostor import impostor
from tests.support.receiver import receiver
from tests.support.shop import config
from till_cli.main import app
from tilld.app import Running, Till

SHOP = {"type": "shop"}
URL = "https://shop.example/till"
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def guarded(tmp_path: Path, running: Running) -> AsyncIterator[Till]:
    """A Till of its own, so that it has no other webhooks. The shared one configures logging."""
    async with Till(config(tmp_path / "till", no_rest=True, webhook_allow=("localhost",))) as own:
        yield own


@pytest.fixture
def address(guarded: Till) -> str:
    return str(guarded.running.grpc)


@pytest.fixture
async def pretended() -> AsyncIterator[Run]:
    """Return a function that runs the command with the impostor, which ends calls as the ID says."""
    async with impostor() as address:

        async def run(*arguments: str) -> Result:
            return await asyncio.to_thread(CliRunner().invoke, app, ("--address", address, *arguments))

        yield run


async def test_a_webhook_is_created_with_its_secret(run: Run) -> None:
    """Only the secret is on standard output, for a variable of a script."""
    made = await run("webhook", "create", URL, "--types", "invoice.paid, invoice.expired")
    [listed] = (await run("webhook", "list", "--json")).stdout.splitlines()
    rotated = await run("webhook", "rotate", json.loads(listed)["id"])

    assert made.exit_code == 0, made.stderr
    for each in (made, rotated):
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]+=*\n", each.stdout)
    assert rotated.stdout != made.stdout
    assert rotated.stderr.endswith("store it.\nFor 24 hours the old secret signs too.\n")
    webhook_id = json.loads(listed)["id"]
    assert made.stderr.endswith(f"To test the webhook: till webhook test {webhook_id}\n")
    assert sorted(json.loads(listed)["types"]) == ["invoice.expired", "invoice.paid"]
    assert "whsec" not in listed


async def test_json_of_a_new_webhook_has_its_secret(run: Run) -> None:
    made = json.loads((await run("webhook", "create", URL, "--json")).stdout)
    rotated = json.loads((await run("webhook", "rotate", made["id"], "--json")).stdout)
    shown = json.loads((await run("webhook", "show", made["id"], "--json")).stdout)

    assert (made["url"], made["types"], made["enabled"]) == (URL, [], True)
    assert made["secret"].startswith("whsec_")
    assert rotated.pop("secret") not in {made.pop("secret"), ""}
    assert made == rotated == shown
    assert list(shown) == [
        "id", "url", "types", "metadata_type", "enabled", "disabled_reason", "created_at", "sequence",
        "failing_since", "key_id", "invoice_id",
    ]  # fmt: skip


async def test_webhooks_are_a_table(run: Run) -> None:
    empty = await run("webhook", "list")
    one = json.loads((await run("webhook", "create", URL, "--json")).stdout)
    options = ("--types", "invoice.paid", "--json")
    two = json.loads((await run("webhook", "create", f"{URL}/two", *options)).stdout)
    await run("webhook", "update", two["id"], "--disable")

    listed = await run("webhook", "list")

    assert (empty.stdout, empty.exit_code) == ("", 0)
    assert empty.stderr == "no webhooks; to create one: till webhook create URL\n"
    head, *rows = [re.split(r" {2,}", line) for line in listed.stdout.splitlines()]
    assert head == ["ID", "STATE", "SEQUENCE", "URL", "TYPES"]
    assert rows == [
        [one["id"], "enabled", "0", URL, "all"],
        [two["id"], "disabled", "0", f"{URL}/two", "invoice.paid"],
    ]


async def test_a_webhook_is_changed_and_deleted(run: Run) -> None:
    made = json.loads((await run("webhook", "create", URL, "--types", "invoice.paid", "--json")).stdout)

    moved = await run("webhook", "update", made["id"], "--url", f"{URL}/new")
    widened = await run("webhook", "update", made["id"], "--types", "all", "--disable", "--json")
    enabled = await run("webhook", "update", made["id"], "--enable", "--json")
    deleted = await run("webhook", "delete", made["id"])
    again = await run("webhook", "delete", made["id"])

    assert f"url         {URL}/new\n" in moved.stdout
    assert "types       invoice.paid\n" in moved.stdout
    assert (json.loads(widened.stdout)["types"], json.loads(widened.stdout)["enabled"]) == ([], False)
    assert (json.loads(enabled.stdout)["types"], json.loads(enabled.stdout)["enabled"]) == ([], True)
    assert deleted.stdout == f"deleted: {made['id']}\n"
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith("till: E2: ")


async def test_an_invoice_has_a_webhook_of_its_own(run: Run) -> None:
    options = ("--webhook-url", URL, "--label", "table 4")
    made = await run("invoice", "create", "5000", *options)
    again = json.loads((await run("invoice", "create", "5000", *options, "--json")).stdout)

    secret = again["webhook"]["secret"]
    assert secret.startswith("whsec_")
    assert f"webhook {again['webhook']['id']}; its secret: {secret}\n" in made.stderr
    assert "whsec" not in made.stdout


async def test_a_failed_test_has_the_exit_code_1(pretended: Run) -> None:
    failed = await pretended("webhook", "test", "one")
    as_json = await pretended("webhook", "test", "one", "--json")

    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr == "till: the test failed after 2 ms: the status is 500\n"
    assert as_json.exit_code == 1
    attempt = json.loads(as_json.stdout)
    assert (attempt["status"], attempt["error"], attempt["duration_ms"]) == (500, "the status is 500", 2)


async def test_deliveries_are_a_table(pretended: Run) -> None:
    """The page size of the impostor is 2, which a limit of 1 asks for: one more shows that there are more."""
    listed = await pretended("webhook", "deliveries", "one", "--state", "dead", "--limit", "1")

    assert listed.exit_code == 0, listed.stderr
    head, row = [re.split(r" {2,}", line) for line in listed.stdout.splitlines()]
    assert head == ["EVENT ID", "SEQUENCE", "TYPE", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "LAST RESULT"]
    assert row[:3] == ["evt_1", str(2**53 + 1), "invoice.paid"]
    assert row[3:] == ["dead", "10", "-", "the status is 500"]
    assert listed.stderr == "and more; --limit 0 lists all\n"


async def test_deliveries_as_json_are_those_of_all_pages(run: Run, pretended: Run) -> None:
    as_json = await pretended("webhook", "redeliver", "one", "evt_1", "evt_2", "--json")

    first, second = map(json.loads, as_json.stdout.splitlines())
    assert (first["event_id"], second["event_id"]) == ("evt_1", "evt_2")
    assert (first["state"], first["sequence"], first["next_attempt_at"]) == ("dead", 2**53 + 1, None)
    assert first["last_attempt"]["duration_ms"] == 2
    made = json.loads((await run("webhook", "create", URL, "--json")).stdout)
    none = await run("webhook", "deliveries", made["id"])
    assert (none.stdout, none.stderr, none.exit_code) == ("", "no deliveries\n", 0)


async def test_events_are_replayed(run: Run, address: str) -> None:
    made = json.loads((await run("webhook", "create", URL, "--json")).stdout)
    await run("webhook", "update", made["id"], "--disable")
    async with till.AsyncClient(address) as client:
        await client.create_invoice(5000, SHOP)

    replayed = await run("webhook", "replay", made["id"], "--after", "0", "--json")
    beyond = await run("webhook", "replay", made["id"], "--after", "2")

    assert json.loads(replayed.stdout)["sequence"] == 0
    assert (beyond.exit_code, beyond.stderr[:10]) == (1, "till: E1: ")


async def test_a_receiver_that_was_broken_gets_its_events(run: Run, address: str) -> None:
    """From the first test to a replay; the library of Standard Webhooks verifies each delivery."""
    async with receiver((500, {})) as hook, till.AsyncClient(address) as client:

        async def event() -> Any:
            taken = await hook.next()
            return standardwebhooks.Webhook(secret).verify(taken.body, taken.headers)

        secret = (await run("webhook", "create", hook.url)).stdout.strip()
        [webhook] = await client.list_webhooks()
        failed = await run("webhook", "test", webhook.id)
        assert (await event())["type"] == "ping"
        works = await run("webhook", "test", webhook.id)
        assert (await event())["type"] == "ping"
        hook.answers = [(500, {})]
        made = await client.create_invoice(5000, SHOP, label="one")
        first = await event()
        redelivered = await run("webhook", "redeliver", webhook.id, first["id"])
        assert await event() == first
        replayed = await run("webhook", "replay", webhook.id, "--after", "0")
        assert await event() == first
        await client.cancel_invoice(made)
        canceled = await event()

        # Till stores what has arrived some time later.
        arrived: set[str] = set()
        async with asyncio.timeout(10):
            while arrived != {first["id"], canceled["id"]}:
                await asyncio.sleep(0.02)
                found = client.list_deliveries(webhook, state="succeeded")
                arrived = {each.event_id async for each in found}
        listed = await run("webhook", "deliveries", webhook.id, "--tz", "UTC")

    assert (failed.exit_code, works.exit_code, works.stdout[:31]) == (1, 0, "the test succeeded: status 204,")
    assert failed.stderr.startswith("till: the test failed after ")
    assert first["data"]["label"] == "one"
    assert re.search(rf"^{first['id']} +1  invoice.created +pending ", redelivered.stdout, re.MULTILINE)
    assert replayed.stdout.startswith("id ")
    _, newest, oldest = [re.split(r" {2,}", line) for line in listed.stdout.splitlines()]
    assert newest[:4] == [canceled["id"], "2", "invoice.canceled", "succeeded"]
    assert (oldest[0], oldest[5:]) == (first["id"], ["-", "204"])


async def test_a_disabled_webhook_is_an_event(run: Run, address: str) -> None:
    async with receiver((410, {})) as hook, till.AsyncClient(address) as client:
        webhook, _ = await client.create_webhook(hook.url, ["invoice.created"])
        await client.create_invoice(5000, SHOP)
        disabled = await anext(client.events("beginning", types=["webhook.disabled"]))
        listed = await run("webhook", "list")
        table = await run("events", "--types", "webhook.disabled")
        as_json = await run("events", "--types", "webhook.disabled", "--json")

    assert disabled.disabled_webhook
    assert (disabled.disabled_webhook.id, disabled.disabled_webhook.url) == (webhook.id, hook.url)
    assert "410" in disabled.disabled_webhook.reason
    assert re.split(r" {2,}", listed.stdout.splitlines()[1])[1] == "disabled"
    assert re.split(r" {2,}", table.stdout.splitlines()[1])[2:] == ["webhook.disabled", hook.url, webhook.id]
    assert json.loads(as_json.stdout)["data"] == {
        "id": webhook.id,
        "url": hook.url,
        "reason": disabled.disabled_webhook.reason,
    }


async def test_an_error_of_till_is_one_line(pretended: Run) -> None:
    denied = await pretended("webhook", "show", "E4")
    as_json = await pretended("webhook", "replay", "E16", "--after", "1", "--json")

    assert (denied.exit_code, denied.stderr) == (1, "till: E4: PERMISSION_DENIED\n")
    assert json.loads(as_json.stderr)["error"] == "E16"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create",), "Missing argument 'URL'"),
        (("create", URL, "--types", "all,invoice.paid"), "--types has all beside other types"),
        (("update", "one"), "pass what to change: --url, --types, --enable or --disable"),
        (("deliveries", "one", "--state", "fried"), "fried"),
        (("redeliver", "one"), "Missing argument 'EVENT...'"),
        (("replay", "one"), "Missing option '--after'"),
        (("replay", "one", "--after", "-1"), "greater than or equal to 0"),
    ],
)
def test_wrong_usage_is_reported(arguments: tuple[str, ...], told: str) -> None:
    wrong = CliRunner().invoke(app, ["webhook", *arguments], env={"COLUMNS": "300"})

    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert told in wrong.stderr
