"""The command `till`, called as a function and as a program."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import segno
from typer.testing import Result

import till
from tests.support.keys import make_key
from tests.support.shop import config
from tests.support.terminals import TILL, on_terminal, process
from tilld.app import Till

EXAMPLE = Path(__file__).parents[2] / "clients/python/examples/first_invoice.py"
BOLT11 = re.compile("lnbcrt[0-9a-z]+")


async def test_create_prints_the_payment_request(run: Callable[..., Awaitable[Result]]) -> None:
    created = await run("invoice", "create", "5000", "--type", "shop", "--description", "a coffee")

    bolt11 = created.stdout.strip()
    assert created.exit_code == 0
    assert BOLT11.fullmatch(bolt11)
    assert "unpaid: 5,000 msat, expires in 0:59:5" in created.stderr
    found = json.loads((await run("invoice", "get", "--bolt11", bolt11, "--json")).stdout)
    assert (found["description"], found["metadata"]) == ("a coffee", {"type": "shop"})


async def test_create_warns_of_an_amount_that_the_node_cannot_receive(
    run: Callable[..., Awaitable[Result]],
) -> None:
    options = ("--private-channels", "none", "--description", "a coffee", "--description-hash-only")
    created = await run("invoice", "create", "10btc", *options)
    as_json = await run("invoice", "create", "10btc", "--json")
    wrong = await run("invoice", "create", "5000", "--private-channels", "1x")

    assert created.exit_code == 0, created.stderr
    assert BOLT11.fullmatch(created.stdout.strip())
    assert created.stderr.startswith("warning: payability insufficient: ")
    assert json.loads(as_json.stdout)["payability"]["status"] == "insufficient"
    assert (wrong.exit_code, wrong.stderr[:10]) == (1, "till: E1: ")


async def test_create_draws_a_qr_code(run: Callable[..., Awaitable[Result]]) -> None:
    """The payment request in upper case makes a smaller code, with a margin of 2."""
    created = await run("invoice", "create", "5000", "--qr")

    *drawing, bolt11 = created.stdout.splitlines()
    assert BOLT11.fullmatch(bolt11)
    width, wider = (segno.make(text).symbol_size(border=2)[0] for text in (bolt11.upper(), bolt11))
    assert {len(line) for line in drawing} == {width}
    assert width < wider
    assert set("".join(drawing)) == set("█▀▄ ")


async def test_create_applies_its_options(run: Callable[..., Awaitable[Result]]) -> None:
    options = ("--any", "--label", "table 4", "--expiry", "60", "--metadata", '{"order": 17}', "--json")

    one, other = [json.loads((await run("invoice", "create", *options)).stdout) for _ in range(2)]

    # lightningd estimates only when it creates an invoice.
    assert (one.pop("payability")["status"], other.pop("payability")["status"]) == ("ok", "unknown")
    assert one == other
    assert (one["amount_msat"], one["label"], one["metadata"]) == (
        None,
        "table 4",
        {"type": "till", "order": 17},
    )
    assert (await run("invoice", "get", "--label", "table 4")).stdout.startswith(
        f"invoice_id    {one['invoice_id']}"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("invoice", "create"),
        ("invoice", "create", "5000", "--any"),
        ("invoice", "create", "5000", "--metadata", "[]"),
        ("invoice", "get"),
        ("invoice", "get", "ID", "--label", "x"),
        ("--cert", __file__, "info"),
    ],
)
async def test_wrong_usage_is_reported(
    run: Callable[..., Awaitable[Result]], arguments: tuple[str, ...]
) -> None:
    told = await run(*arguments)

    assert told.exit_code == 2
    assert re.search("pass|expected|use", told.stderr)


async def test_a_description_cannot_add_lines(run: Callable[..., Awaitable[Result]]) -> None:
    options = ("--description", "a\nstatus  paid", "--type", "b", "--json")
    created = json.loads((await run("invoice", "create", "5000", *options)).stdout)

    shown = (await run("invoice", "get", created["invoice_id"])).stdout.splitlines()

    assert r'description   "a\nstatus  paid"' in shown
    assert 'metadata      {"type":"b"}' in shown


async def test_an_error_is_one_line_with_the_remedy(run: Callable[..., Awaitable[Result]]) -> None:
    missing = await run("watch", "a" * 21)
    as_json = await run("invoice", "get", "--label", "no such", "--json")
    away = await run("--timeout", "0.2", "info", TILL_ADDRESS="127.0.0.1:1")

    assert (missing.exit_code, missing.stderr) == (1, "till: E2: resource not found\n")
    assert json.loads(as_json.stderr) == {"error": "E2", "message": "resource not found"}
    assert away.exit_code == 1
    assert "Is Till running at 127.0.0.1:1? If not, set --address" in away.stderr


async def test_a_key_is_taken_from_the_environment_or_a_file(
    run: Callable[..., Awaitable[Result]], tmp_path: Path
) -> None:
    async with Till(config(tmp_path / "till", no_rest=True)) as guarded:
        header = await make_key(tmp_path / "till", "--username", "shop")
        key = header["authorization"].removeprefix("Bearer ")
        file = tmp_path / "key"
        file.write_text(f"{key}\n")
        where = ("--address", str(guarded.running.grpc))

        without = await run(*where, "info")
        assert without.exit_code == 1
        assert without.stderr.startswith("till: E3: ")
        assert "Set TILL_KEY, or pass --key-file" in without.stderr
        assert (await run(*where, "info", TILL_KEY=key)).exit_code == 0
        assert (await run(*where, "--key-file", str(file), "info")).exit_code == 0


async def test_a_malformed_key_is_wrong_usage(run: Callable[..., Awaitable[Result]]) -> None:
    told = await run("info", TILL_KEY="till_…")

    assert told.exit_code == 2
    assert "TILL_KEY" in told.stderr


async def test_info_shows_the_node(run: Callable[..., Awaitable[Result]]) -> None:
    assert "node.alias                  till-simulated" in (await run("info")).stdout
    assert json.loads((await run("info", "--json")).stdout)["node"]["version"].endswith("-simulated")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--address", "ADDRESS", "--json", "invoice", "create", "5000"),
        ("invoice", "--json", "create", "--address=ADDRESS", "5000"),
        ("invoice", "create", "5000", "--json", "--address", "ADDRESS"),
    ],
)
async def test_options_of_till_itself_may_be_anywhere(
    run: Callable[..., Awaitable[Result]], address: str, arguments: tuple[str, ...]
) -> None:
    made = await run(*(each.replace("ADDRESS", address) for each in arguments), TILL_ADDRESS="127.0.0.1:1")

    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["amount_msat"] == 5000


async def test_arguments_after_two_dashes_are_no_options(run: Callable[..., Awaitable[Result]]) -> None:
    missing = await run("watch", "--", "--json")

    assert (missing.exit_code, missing.stderr[:12]) == (1, "till: E2: re")


async def test_a_watch_reports_an_expired_invoice(run: Callable[..., Awaitable[Result]]) -> None:
    created = await run("invoice", "create", "5000", "--expiry", "1", "--watch")

    assert created.exit_code == 3
    assert created.stdout.splitlines()[-1] == "expired: 5,000 msat"


async def test_a_program_watches_until_it_is_paid(address: str, pay: Callable[..., Awaitable[None]]) -> None:
    """Run by its entry point: prints a JSON object per line, each state once."""
    arguments = ("--address", address, "invoice", "create", "5000", "--watch", "--json")
    async with process(TILL, *arguments, stdout=asyncio.subprocess.PIPE) as watching:
        assert watching.stdout
        created = json.loads(await watching.stdout.readline())
        async with till.AsyncClient(address) as client:
            await pay(await client.get_invoice(created["invoice_id"]))
        rest, _ = await watching.communicate()

    [paid] = map(json.loads, rest.splitlines())
    assert (created["status"], paid["status"], watching.returncode) == ("unpaid", "paid", 0)
    assert paid["payment"]["amount_received_msat"] == 5000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", paid["expires_at"])


async def test_a_person_sees_a_qr_code_and_a_live_line_until_it_is_paid(
    address: str, pay: Callable[..., Awaitable[None]]
) -> None:
    async with on_terminal("invoice", "create", "5000", "--watch", address=address) as terminal:
        bolt11 = await terminal.shows(BOLT11.pattern + r"(?=\s)")
        await terminal.shows(r"\x1b\[2Kunpaid: 5,000 msat, expires in 0:59:\d\d")
        async with till.AsyncClient(address) as client:
            await pay(await client.get_invoice(bolt11=bolt11))
        await terminal.shows("paid: 5,000 msat\x1b")

        assert await terminal.program.wait() == 0
    assert "█▀▄" in terminal.seen


async def test_ctrl_c_ends_a_watch_silently(address: str) -> None:
    async with till.AsyncClient(address) as client:
        invoice = await client.create_invoice(5000, {"type": "shop"})
    async with on_terminal("watch", invoice.invoice_id, address=address) as terminal:
        await terminal.shows("unpaid")
        terminal.program.send_signal(signal.SIGINT)

        assert await terminal.program.wait() == 130
    assert "Traceback" not in terminal.seen


async def test_the_shell_completes_commands() -> None:
    asked = {"_TILL_COMPLETE": "complete_bash", "COMP_WORDS": "till invoice cr", "COMP_CWORD": "2"}
    async with process(TILL, env=os.environ | asked, stdout=asyncio.subprocess.PIPE) as completing:
        words, _ = await completing.communicate()

    assert words.split() == [b"create"]


async def test_without_its_extra_the_command_names_the_package_to_install() -> None:
    program = "import sys; sys.modules['typer'] = None; import till_cli; till_cli.main()"
    async with process(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE) as lacking:
        _, told = await lacking.communicate()

    assert lacking.returncode == 1
    assert b"pip install 'lightning-till-client[cli]'" in told


async def test_the_example_sells_a_coffee(address: str, pay: Callable[..., Awaitable[None]]) -> None:
    async with process(sys.executable, EXAMPLE, address, stdout=asyncio.subprocess.PIPE) as selling:
        assert selling.stdout
        bolt11 = (await selling.stdout.readline()).decode().strip()
        async with till.AsyncClient(address) as client:
            await pay(await client.get_invoice(bolt11=bolt11))
        rest, _ = await selling.communicate()

    assert selling.returncode == 0
    assert rest.decode().split()[:3] == ["unpaid", "paid", "received"]
