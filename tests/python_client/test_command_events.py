"""The command `till events`: it prints events, and forwards them as signed webhooks."""

import asyncio
import json
import re
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from typer.testing import CliRunner, Result

import till
from tests.support.impostor import impostor
from tests.support.keys import make_key
from tests.support.receiver import Delivery, Receiver, receiver
from tests.support.shop import config
from tests.support.terminals import TILL, on_terminal, process
from tests.support.waiting import eventually
from till import webhooks
from till_cli.main import app
from tilld.app import Running, Till

SHOP = {"type": "shop"}
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
async def guarded(tmp_path: Path, running: Running) -> AsyncIterator[Till]:
    """A Till of its own, so that its logs begin with the test. The shared one configures logging."""
    async with Till(config(tmp_path / "till", no_rest=True)) as own:
        yield own


@pytest.fixture
def address(guarded: Till) -> str:
    return str(guarded.running.grpc)


@pytest.fixture
async def client(address: str) -> AsyncIterator[till.AsyncClient]:
    async with till.AsyncClient(address) as client:
        yield client


@asynccontextmanager
async def forwarding(
    address: str, *arguments: str, **settings: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `till events forward` with its output in pipes."""
    command: tuple[str | Path, ...] = (TILL, "--address", address, "events", "forward", *arguments)
    async with process(*command, stdout=PIPE, stderr=PIPE, **settings) as running:
        yield running


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream
    async with asyncio.timeout(20):
        return (await stream.readline()).decode()


async def interrupted(running: asyncio.subprocess.Process) -> str:
    """End a program by Ctrl-C; return the rest of its standard error."""
    running.send_signal(signal.SIGINT)
    _, rest = await running.communicate()
    assert running.returncode == 130
    return rest.decode()


def verified(secret: str, delivery: Delivery) -> Any:
    """Return the event of a delivery, as the library of Standard Webhooks verifies it."""
    return standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)


async def test_events_are_printed_as_a_table(run: Run, client: till.AsyncClient) -> None:
    empty = await run("events")
    first = await client.create_invoice(None, SHOP, label="table\u202e4")
    second = await client.create_invoice(12000, SHOP)
    await client.cancel_invoice(first)

    shown = await run("events", "--tz", "UTC")

    assert (empty.stdout, empty.stderr, empty.exit_code) == ("", "no events\n", 0)
    head, *rows = [re.split(r"  +", line) for line in shown.stdout.splitlines()]
    assert head == ["TIME", "SEQUENCE", "TYPE", "MSAT", "LABEL", "ID"]
    assert [row[1:] for row in rows] == [
        ["1", "invoice.created", "any", r'"table\u202e4"', first.invoice_id],
        ["2", "invoice.created", "12,000", second.label, second.invoice_id],
        ["3", "invoice.canceled", "any", r'"table\u202e4"', first.invoice_id],
    ]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", row[0]) for row in rows)


async def test_events_are_chosen(run: Run, client: till.AsyncClient) -> None:
    one = await client.create_invoice(5000, SHOP)
    await client.create_invoice(5000, {"type": "bar"})
    await client.cancel_invoice(one)

    async def sequences(*options: str) -> list[int]:
        shown = await run("events", "--json", *options)
        assert shown.exit_code == 0, shown.stderr
        return [json.loads(line)["sequence"] for line in shown.stdout.splitlines()]

    assert await sequences() == [1, 2, 3]
    assert await sequences("--after", "0") == [1, 2, 3]
    assert await sequences("--after", "2") == [3]
    assert await sequences("--from", "beginning") == [1, 2, 3]
    assert await sequences("--from", "now") == []
    assert await sequences("--types", "invoice.canceled,invoice.paid") == [3]
    assert await sequences("--types", "invoice.canceled", "--types", "invoice.created") == [1, 2, 3]
    assert await sequences("--metadata-type", "bar") == [2]


async def test_a_long_log_is_printed_whole(run: Run, client: till.AsyncClient) -> None:
    """A page has about 1 MB at most, so this log has several."""
    metadata = SHOP | {"text": "x" * 16_000}
    await asyncio.gather(*(client.create_invoice(5000, metadata) for _ in range(100)))
    assert (await client.list_events(page_size=1000)).has_more

    shown = await run("events", "--json")

    assert [json.loads(line)["sequence"] for line in shown.stdout.splitlines()] == list(range(1, 101))


async def test_json_is_the_envelope_on_a_line(run: Run, client: till.AsyncClient) -> None:
    made = await client.create_invoice(5000, SHOP, label="tä\u2028ble", description="a\nb")

    shown = await run("--json", "events")

    [line] = shown.stdout.splitlines()
    event = json.loads(line)
    assert line.isascii()
    assert list(event) == ["id", "sequence", "type", "timestamp", "data"]
    assert (event["sequence"], event["type"]) == (1, "invoice.created")
    assert event["data"]["invoiceid"] == made.invoice_id
    assert event["data"]["label"] == "tä\u2028ble"
    assert event["data"]["metadata"] == SHOP


async def test_an_admin_reads_the_events_of_all_users(run: Run, address: str, tmp_path: Path) -> None:
    async def key(*options: str) -> str:
        return (await make_key(tmp_path / "till", *options))["authorization"].removeprefix("Bearer ")

    admin = await key("--username", "admin", "--scope", "admin", "--scope", "events:read")
    for username in ("one", "two"):
        async with till.AsyncClient(address, await key("--username", username)) as client:
            await client.create_invoice(5000, SHOP)

    table = await run("events", "--all-users", TILL_KEY=admin)
    as_json = await run("events", "--all-users", "--json", TILL_KEY=admin)
    first, second = map(json.loads, as_json.stdout.splitlines())
    rest = await run("events", "--all-users", "--json", "--after", first["cursor"], TILL_KEY=admin)

    assert [re.split(r"  +", line)[1] for line in table.stdout.splitlines()] == ["USERNAME", "one", "two"]
    assert (first["username"], second["username"]) == ("one", "two")
    assert [json.loads(line) for line in rest.stdout.splitlines()] == [second]


async def test_new_events_are_printed_until_ctrl_c(
    address: str, client: till.AsyncClient, guarded: Till
) -> None:
    await client.create_invoice(5000, SHOP, label="before")
    async with on_terminal("events", "--follow", address=address) as terminal:
        await eventually(lambda: guarded.feed.streams)
        await client.create_invoice(7000, SHOP, label="after")
        await terminal.shows(r"TIME .*\r\n.*\s2  invoice.created\s+7,000  after")
        terminal.program.send_signal(signal.SIGINT)

        assert await terminal.program.wait() == 130
    assert "before" not in terminal.seen
    assert "Traceback" not in terminal.seen


async def test_a_lost_connection_is_reported_and_comes_back() -> None:
    async with impostor() as address:
        options = ("--after", "0", "--types", "invoice.paid", "--metadata-type", "UNAVAILABLE", "--json")
        command = (TILL, "--address", address, "events", "--follow", *options)
        async with process(*command, stdout=PIPE, stderr=PIPE) as following:
            printed = [json.loads(await line_of(following.stdout))["sequence"] for _ in range(3)]
            lost, back = [await line_of(following.stderr) for _ in range(2)]
            await interrupted(following)

    assert printed == [1, 2, 4]
    assert re.fullmatch("the connection to Till failed or was lost: .*; reconnecting\n", lost)
    assert back == "connected again\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--after", "x"), "--after is a sequence"),
        (("--after", "-1"), "--after is a sequence"),
        (("--after", "1", "--from", "now"), "pass either --after or --from"),
        (("--from", "yesterday"), "beginning"),
        (("--types", "x", "forward", "http://localhost:1"), "till events forward URL OPTIONS"),
        (("forward",), "Missing argument 'URL'"),
        (("forward", "localhost:3000"), "expected a URL"),
        (("forward", "ftp://localhost"), "expected a URL"),
        (("forward", "http://localhost:x"), "expected a URL"),
        (("forward", "http://localhost/ä"), "expected a URL"),
        (("forward", "http://localhost:1", "--secret", "whsec_short"), "a secret is whsec_"),
    ],
)
def test_wrong_usage_is_reported(arguments: tuple[str, ...], told: str) -> None:
    wrong = CliRunner().invoke(app, ["events", *arguments], env={"COLUMNS": "300"})

    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert told in wrong.stderr


async def test_an_error_of_till_is_reported(run: Run) -> None:
    wrong = await run("events", "--types", "invoice.fried")

    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("till: E1: types has 'invoice.fried'; the types are invoice.created, ")


async def test_events_are_forwarded_as_signed_webhooks(address: str, client: till.AsyncClient) -> None:
    made = await client.create_invoice(5000, SHOP, label="täble 4")
    async with receiver() as hook, forwarding(address, hook.url, "--from", "beginning") as running:
        secret = (await line_of(running.stderr)).removeprefix("secret: ").strip()
        first = await hook.next()
        await client.cancel_invoice(made)
        second = await hook.next()
        shown = [await line_of(running.stdout) for _ in range(2)]
        rest = await interrupted(running)

    created, canceled = verified(secret, first), verified(secret, second)
    assert list(created) == ["id", "sequence", "type", "timestamp", "data"]
    assert (created["type"], canceled["type"]) == ("invoice.created", "invoice.canceled")
    assert (created["data"]["label"], canceled["data"]["status"]) == ("täble 4", "canceled")
    assert first.line == "POST /hook?shop=1 HTTP/1.1"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["webhook-id"] == created["id"]
    pattern = r"\d\d:\d\d:\d\d +1  invoice.created +204 No Content, [\d,]+ ms\n"
    assert re.fullmatch(pattern, shown[0])
    assert re.search(" 2  invoice.canceled +204 No Content", shown[1])
    assert rest.endswith("to continue with the next event: --after 2\n")
    assert "Traceback" not in rest


async def test_a_failed_delivery_is_retried_in_order(address: str, client: till.AsyncClient) -> None:
    secret = webhooks.new_secret()
    await client.create_invoice(5000, SHOP)
    await client.create_invoice(5000, SHOP)
    # A redirect is a failure: its target could be anyone's.
    answers: list[tuple[int, dict[str, str]]] = [
        (500, {}),
        (302, {"location": "http://localhost:1/"}),
    ]
    arguments = ("--after", "0", "--secret", secret, "--json")
    async with receiver(*answers) as hook, forwarding(address, hook.url, *arguments) as running:
        taken = [await hook.next() for _ in range(4)]
        shown = [json.loads(await line_of(running.stdout)) for _ in range(4)]
        await interrupted(running)

    assert [verified(secret, each)["sequence"] for each in taken] == [1, 1, 1, 2]
    assert [(each["sequence"], each["attempt"], each["status"]) for each in shown] == [
        (1, 1, 500),
        (1, 2, 302),
        (1, 3, 204),
        (2, 1, 204),
    ]
    assert [each["retry_seconds"] for each in shown] == [1, 2, None, None]
    assert len({each.headers["webhook-id"] for each in taken[:3]}) == 1
    assert int(taken[2].headers["webhook-timestamp"]) > int(taken[0].headers["webhook-timestamp"])


async def test_a_receiver_may_come_later(address: str, client: till.AsyncClient) -> None:
    await client.create_invoice(5000, SHOP)
    secret = webhooks.new_secret()
    environment = {"TILL_WEBHOOK_SECRET": secret, "PATH": ""}
    async with Receiver() as hook:
        async with forwarding(address, hook.url, "--after", "0", env=environment) as running:
            refused = await line_of(running.stdout)
            await hook.listen()
            taken = await hook.next()
            await line_of(running.stdout)
            told = await interrupted(running)

    assert re.search("Connection refused, [0-9,]+ ms; again in 1 s\n", refused)
    assert verified(secret, taken)["sequence"] == 1
    assert "secret" not in told


async def test_ctrl_c_during_a_retry_keeps_the_event(address: str, client: till.AsyncClient) -> None:
    await client.create_invoice(5000, SHOP)
    await client.create_invoice(5000, SHOP)
    # Longer than the test: a retry-after is honoured.
    answers: list[tuple[int, dict[str, str]]] = [(204, {}), (503, {"retry-after": "40"})]
    async with receiver(*answers) as hook, forwarding(address, hook.url, "--after", "0") as running:
        shown = [await line_of(running.stdout) for _ in range(2)]
        told = await interrupted(running)

    assert "503 Service Unavailable" in shown[1]
    assert shown[1].endswith("again in 40 s\n")
    assert told.endswith("to continue with the next event: --after 1\n")


async def test_a_receiver_that_is_gone_ends_it(address: str, client: till.AsyncClient) -> None:
    await client.create_invoice(5000, SHOP)
    async with receiver((410, {})) as hook, forwarding(address, hook.url, "--after", "0") as running:
        printed, told = await running.communicate()

    assert running.returncode == 1
    assert b"410 Gone" in printed
    assert b"the receiver wants no more events" in told
