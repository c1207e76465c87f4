"""tilld doctor, tilld import: work on a store and its node, beside a running Till or without one."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from tilld.config import Config
from tilld.config.advice import shell_command
from tilld.errors import OperatorError

if TYPE_CHECKING:
    from tilld.invoices.audit import Report


def doctor(
    config: Config,
    repair: Annotated[
        bool, typer.Option("--repair", help="Settle what the node knows, and count the totals anew.")
    ] = False,
) -> None:
    """Hold the store and the node against each other, invoice by invoice.

    Works beside a running Till or without one. Prints each invoice that differs, then how many do, and from
    where to where was compared. The exit code is 0 only where nothing differs. Nothing is changed
    without --repair, which takes the node's word for what became of invoices.
    """
    from tilld.cli.resources import workbench
    from tilld.invoices.audit import Doctor
    from tilld.runtime import logs

    logs.configure(config.log_level, config.log_format, colors=config.colors)

    async def examine() -> "Report":
        async with workbench(config, create=False) as (store, node):
            return await Doctor(store, node).examine(repair=repair)

    report = asyncio.run(examine())
    for line in _told(report, repaired=repair):
        typer.echo(line)
    raise typer.Exit(0 if report.is_clean else 1)


def import_(
    config: Config,
    username: Annotated[
        str, typer.Option(metavar="NAME", help="The user whose invoices they will be.")
    ] = "anonymous",
    kind: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="The type in their metadata.")
    ] = "imported",
    lost_store: Annotated[
        bool,
        typer.Option(
            "--lost-store",
            help="Also those that a Till made, under their ids: for a store that was lost. They are known by "
            "labels of 21 letters, digits, _ or ~.",
        ),
    ] = False,
) -> None:
    """Bring the invoices that the node has already into the store.

    For a node that took payments before Till came, or a store that was lost. Works beside a running Till or
    without one. They are followed from then on like any other; their labels at the node become their labels
    here. What is in the store stays as it is, so this can be stopped at any time, and run again.
    """
    from tilld.cli.resources import workbench
    from tilld.formats.ids import is_username
    from tilld.invoices.importer import Importing
    from tilld.runtime import logs

    if not is_username(username) or not kind:
        raise OperatorError(
            "--username must have 1 to 64 letters, digits, or any of _ . @ -; --type must not be empty"
        )
    logs.configure(config.log_level, config.log_format, colors=config.colors)

    async def bring_in() -> None:
        async with workbench(config, create=True) as (store, node):
            importing = Importing(store, node, username, kind, lost_store=lost_store)
            try:
                await importing.run()
            finally:
                done = importing.imported
                typer.echo(
                    f"{done.added} imported, {done.there_before} were here before, {done.passed_over} "
                    f"passed over: the node's invoices 1 to {done.created_index} (created index)"
                )

    asyncio.run(bring_in())


def _told(report: "Report", *, repaired: bool) -> list[str]:
    """A report in lines."""
    from tilld.invoices.totals import Totals

    repair = shell_command("doctor", "--repair")
    bring_in = shell_command("import", "--lost-store")
    first, last = (each and f"{each:%Y-%m-%d %H:%M:%S}" for each in (report.first, report.last))
    created = f", created from {first} to {last} UTC" if report.invoices else ""
    lines = [
        f"settled now, {each.status}: {each.invoice_id} (payment_hash {each.payment_hash})"
        for each in report.settled
    ]
    lines += [f"{each.what}: {each.label} (payment_hash {each.payment_hash})" for each in report.differences]
    lines += [
        f"PAID AT THE NODE, MISSING HERE: {each.label} (payment_hash {each.issued.payment_hash})"
        for each in report.missing
    ]
    for creator in sorted({*report.totals, *report.counted}):
        kept, counted = (totals.get(creator, Totals()) for totals in (report.totals, report.counted))
        if kept != counted:
            lines.append(f"the totals of {creator} are kept as {kept}, and counted as {counted}")
    if lines:
        lines.append("")
    lines += [
        f"node {report.node_id}",
        (
            f"compared: the node's invoices 1 to {report.created_index} (created index), its updates up to "
            f"{report.updated_index}, of which Till has followed {report.followed}"
        ),
        f"with: {report.invoices} invoices of the store{created}",
    ]
    if report.deleted:
        lines.append(f"not compared: {report.deleted} that are settled here and deleted at the node")
    if report.of_other_nodes:
        lines.append(f"not compared: {report.of_other_nodes} of other nodes")
    if report.unpaid:
        lines.append(
            f"not compared: {report.unpaid} unpaid at the node that a Till labelled, and that are not here: "
            "a crash leaves such, which nobody was shown"
        )
    if report.settled:
        lines.append(f"settled now: {len(report.settled)}")
    counts = Counter(each.what for each in report.differences)
    lines += [f"differ: {count} {what}" for what, count in counts.items()]
    if report.missing:
        lines.append(
            f"missing: {len(report.missing)} paid at the node that a Till labelled. If the store was lost or "
            f"restored, this brings them in: {bring_in}. If another Till with a store of its own uses this "
            "node, they are its own"
        )
    if report.unreadable:
        lines.append(
            f"cannot be read: {report.unreadable} invoices, each named in the log; correct their rows in the "
            f"database, then run: {repair}"
        )
    if report.is_clean:
        lines.append("nothing differs")
    elif not repaired and (report.differences or report.totals != report.counted):
        lines.append(f"this settles what the node knows, and counts the totals anew: {repair}")
    return lines
