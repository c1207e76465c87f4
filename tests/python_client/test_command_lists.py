"""The commands of `till` for many invoices: list, export, cancel and report."""

import asyncio
import csv
import io
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import Result

import till
from tests.support.impostor import impostor
from tests.support.terminals import on_terminal

TOKYO = ZoneInfo("Asia/Tokyo")
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Return a type of this test."""
    return str(request.node.name)


def names_in(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


@pytest.fixture
async def shop(address: str) -> AsyncIterator[till.AsyncClient]:
    async with till.AsyncClient(address) as client:
        yield client


@pytest.fixture
async def pretended() -> AsyncIterator[str]:
    """Yield the address of a server that ends exports as the type in the filter says."""
    async with impostor() as address:
        yield address


async def test_a_list_is_a_table(
    run: Run, shop: till.AsyncClient, kind: str, pay: Callable[..., Awaitable[None]]
) -> None:
    unpaid = await shop.create_invoice(None, {"type": kind}, label=f"{kind} a", description="1\n2 ☕")
    paid = await shop.create_invoice(5000, {"type": kind}, label=f"{kind} b")
    await pay(paid)
    [*_] = [state async for state in shop.watch(paid)]

    listed = await run("invoice", "list", "--label-prefix", kind, "--tz", "Asia/Tokyo")
    received = await run("invoice", "list", "--type", kind, "--paid")

    assert listed.exit_code == received.exit_code == 0, listed.stderr
    header, *rows = listed.stdout.splitlines()
    assert re.split(r" {2,}", header) == ["CREATED", "STATUS", "MSAT", "INVOICE ID", "LABEL", "DESCRIPTION"]
    created = unpaid.created_at.astimezone(TOKYO).strftime("%Y-%m-%d %H:%M:%S")
    assert [re.split(r" {2,}", row)[1:] for row in rows] == [
        ["unpaid", "any", unpaid.invoice_id, f"{kind} a", r'"1\n2 \u2615"'],
        ["paid", "5,000", paid.invoice_id, f"{kind} b"],
    ]
    assert rows[0].startswith(created)
    assert received.stdout.startswith("PAID ")
    assert len(received.stdout.splitlines()) == 2


async def test_a_table_ends_after_a_screenful_and_json_does_not(
    run: Run, shop: till.AsyncClient, kind: str
) -> None:
    for _ in range(22):
        await shop.create_invoice(1000, {"type": kind})

    table = await run("invoice", "list", "--type", kind)
    everything = await run("invoice", "list", "--type", kind, "--limit", "0")
    exact = await run("invoice", "list", "--type", kind, "--limit", "22")
    objects = await run("invoice", "list", "--type", kind, "--json")

    assert len(table.stdout.splitlines()) == 1 + 20
    assert "--limit 0 lists all" in table.stderr
    assert everything.stdout == exact.stdout
    assert (len(everything.stdout.splitlines()), everything.stderr, exact.stderr) == (1 + 22, "", "")
    assert len({json.loads(line)["invoice_id"] for line in objects.stdout.splitlines()}) == 22
    nothing = await run("invoice", "list", "--type", "no such")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "no invoice matches\n")


async def test_a_list_has_all_filters(
    run: Run, shop: till.AsyncClient, kind: str, pay: Callable[..., Awaitable[None]]
) -> None:
    one = await shop.create_invoice(1000, {"type": kind, "order": 17})
    two = await shop.create_invoice(1000, {"type": kind, "order": "18"})
    await pay(two)
    [*_] = [state async for state in shop.watch(two)]
    now = datetime.now(UTC)

    async def found(*options: str) -> list[str]:
        listed = await run("invoice", "list", "--type", kind, "--json", *options, TZ="UTC")
        assert listed.exit_code == 0, listed.stderr
        return sorted(json.loads(line)["invoice_id"] for line in listed.stdout.splitlines())

    both = sorted((one.invoice_id, two.invoice_id))
    assert await found("--metadata", "order=17") == await found("--status", "unpaid") == [one.invoice_id]
    assert await found("--payment-hash", two.payment_hash) == [two.invoice_id]
    assert await found("--bolt11", two.bolt11, "--label", str(two.label)) == [two.invoice_id]
    assert await found("--status", "unpaid", "--status", "paid") == await found("--oldest-first") == both
    assert await found("--month", f"{now:%Y-%m}") == await found("--from", "2026-11-01") == both
    assert await found("--paid", "--month", f"{now:%Y-%m}") == await found("--paid") == [two.invoice_id]
    assert await found("--to", "2026-11-01T12:30Z") == await found("--paid", "--to", "2026-11-01") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--from", "1.11.2026"), "is not a date; use 2026-11-01"),
        (("list", "--from", "2026-02-30"), "is not a date; use 2026-11-01"),
        (("list", "--month", "2026-13"), "is not a month; use 2026-11"),
        (("list", "--month", "2026-11", "--to", "2026-12-01"), "pass either --month, or --from and --to"),
        (("list", "--from", "2026-11-02", "--to", "2026-11-02"), "--to must be after --from"),
        (("list", "--tz", "Rome"), "no time zone 'Rome'; use a name such as Europe/Rome"),
        (("list", "--metadata", "order"), "is not NAME=VALUE"),
        (("list", "--status", "open"), "'open' is not one of"),
        (("list", "--paid", "--status", "paid"), "pass either --paid or --status"),
        (("export", "--label-prefix", "a", "--newest-first"), "--label-prefix orders by label"),
        (("list", "--label-prefix", "a", "--oldest-first"), "--label-prefix orders by label"),
        (("export", "-o", "/"), "is a directory"),
    ],
)
async def test_wrong_options_say_what_is_right(run: Run, arguments: tuple[str, ...], message: str) -> None:
    told = await run("invoice", *arguments, COLUMNS="200")

    assert told.exit_code == 2
    assert message in told.stderr


async def test_an_export_is_a_file(run: Run, shop: till.AsyncClient, kind: str, tmp_path: Path) -> None:
    invoice = await shop.create_invoice(1001, {"type": kind})
    file = tmp_path / "november.csv"
    link = tmp_path / "link.csv"
    link.symlink_to(file)

    exported = await run("invoice", "export", "--type", kind, "--tz", "Asia/Tokyo", "-o", str(link))
    printed = await run("invoice", "export", "--type", kind, TILL_TZ="Asia/Tokyo")

    assert (exported.exit_code, exported.stdout, exported.stderr) == (0, "", "invoices: 1\n")
    assert file.read_bytes() == printed.stdout_bytes
    [row] = csv.DictReader(io.StringIO(file.read_bytes().decode(), newline=""))
    assert row["invoice_id"] == invoice.invoice_id
    assert row["created_at"].endswith("+09:00")
    assert link.is_symlink()
    assert names_in(tmp_path) == {"november.csv", "link.csv"}


@pytest.mark.parametrize("before", [None, "of last month"])
async def test_a_file_is_complete_or_unchanged(
    run: Run, pretended: str, tmp_path: Path, before: str | None
) -> None:
    file = tmp_path / "all.csv"
    if before:
        file.write_text(before)

    failed = await run("--address", pretended, "invoice", "export", "--type", "UNAVAILABLE", "-o", str(file))

    assert failed.exit_code == 1
    assert failed.stderr.startswith("till: the connection to Till failed or was lost")
    assert names_in(tmp_path) == ({file.name} if before else set())
    assert not before or file.read_text() == before


async def test_an_unfinished_output_is_an_error(run: Run, pretended: str) -> None:
    failed = await run("--address", pretended, "invoice", "export", "--type", "UNAVAILABLE")

    assert (failed.exit_code, failed.stdout_bytes) == (1, b"invoice_id,status\r\n1,paid\r\n")
    assert "the output is incomplete" in failed.stderr


async def test_a_file_that_cannot_be_written_is_named(run: Run, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "no such" / "all.csv"

    told = await run("invoice", "export", "--type", kind, "-o", str(file))

    assert (told.exit_code, told.stderr) == (1, f"till: cannot write {file}: No such file or directory\n")


async def test_an_export_may_go_to_a_pipe(run: Run, kind: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = asyncio.create_task(asyncio.to_thread(pipe.read_bytes))

    exported = await run("invoice", "export", "--type", kind, "-o", str(pipe))

    assert exported.exit_code == 0
    assert (await reading).startswith(b"paid_at,")
    assert pipe.is_fifo()


async def test_a_person_sees_the_progress_of_an_export(
    address: str, shop: till.AsyncClient, kind: str, tmp_path: Path
) -> None:
    await shop.create_invoice(1001, {"type": kind})
    arguments = ("invoice", "export", "--type", kind, "-o", str(tmp_path / "all.csv"))
    async with on_terminal(*arguments, address=address) as terminal:
        await terminal.shows(r"\rinvoices: \d\rinvoices: 1\r\n")

        assert await terminal.program.wait() == 0


async def test_cancel_prints_the_state(run: Run, shop: till.AsyncClient, kind: str) -> None:
    invoice = await shop.create_invoice(5000, {"type": kind}, label=kind)

    canceled = await run("invoice", "cancel", invoice.invoice_id)
    again = await run("invoice", "cancel", invoice.invoice_id, "--json")
    watched = await run("watch", invoice.invoice_id)
    created = await run("invoice", "create", "5000", "--type", kind, "--label", kind)

    assert (canceled.exit_code, canceled.stdout) == (0, "canceled: 5,000 msat\n")
    assert json.loads(again.stdout)["status"] == "canceled"
    assert (watched.exit_code, watched.stdout) == (3, "canceled: 5,000 msat\n")
    # The payment request can no longer be paid, so it is not shown.
    assert (created.exit_code, created.stdout) == (3, "")
    assert f"the invoice with this label is canceled: {invoice.invoice_id}" in created.stderr


async def test_a_report_has_groups_and_a_total(
    run: Run, shop: till.AsyncClient, kind: str, pay: Callable[..., Awaitable[None]]
) -> None:
    invoice = await shop.create_invoice(5000, {"type": kind})
    await pay(invoice)
    [*_] = [state async for state in shop.watch(invoice)]

    told = await run("report", TZ="Europe/Rome")
    as_json = await run("report", "--from", "2026-01-01", "--by", "day", "--tz", "Asia/Tokyo", "--json")

    assert told.exit_code == as_json.exit_code == 0, told.stderr
    header, *rows, total = [line.split() for line in told.stdout.splitlines()]
    assert header == ["TYPE", "PAYMENTS", "MSAT"]
    assert [kind, "1", "5,000"] in rows
    report = json.loads(as_json.stdout)
    assert total == ["total", f"{report['count']:,}", f"{report['amount_received_msat']:,}"]
    assert (report["time_zone"], report["by"]) == ("Asia/Tokyo", "day")
    assert report["paid_from"] == "2026-01-01T00:00:00+09:00"
    assert {group["name"][:5] for group in report["groups"]} <= {"2026-", "2027-"}
    assert "--to needs --from" in (await run("report", "--to", "2026-01-01")).stderr
