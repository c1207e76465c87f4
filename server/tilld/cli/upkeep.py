"""The commands `tilld doctor` and `tilld import`, which also work while Till is running."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from tilld.config import Config
from tilld.config.advice import shell_command
from tilld.errors import OperatorError

if TYPE_CHECKING:
    from tilld.cli.webhook_audit import WebhookAudit
    from tilld.upkeep.audit import Report


def doctor(
    config: Config,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Settle the invoices that differ by the node's state, and recount the totals."
        ),
    ] = False,
) -> None:
    """Compare the store with the node, invoice by invoice, also while Till is running.

    It prints each invoice that differs, the number of differences, and the range that it compared.
    The exit code is 0 only if nothing differs and no paid invoice is missing.
    It changes nothing without --repair.

    It also lists webhooks that are disabled, or whose events wait for more than an hour.
    They are no difference.
    """
    from tilld.cli.resources import workbench
    from tilld.cli.webhook_audit import audit, described
    from tilld.runtime import logs
    from tilld.upkeep.audit import Doctor

    logs.configure(config.log_level, config.log_format, colors=config.colors)

    async def examine() -> "tuple[Report, WebhookAudit]":
        async with workbench(config, create=False) as (store, node):
            return await Doctor(store, node).examine(repair=repair), await audit(store, repair=repair)

    report, webhooks = asyncio.run(examine())
    for line in _told(report, described(webhooks, repaired=repair), repaired=repair):
        typer.echo(line)
    raise typer.Exit(0 if report.is_clean else 1)


def import_(
    config: Config,
    username: Annotated[
        str, typer.Option(metavar="NAME", help="User who owns the imported invoices.")
    ] = "anonymous",
    kind: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="Type in the metadata of the imported invoices.")
    ] = "imported",
    lost_store: Annotated[
        bool,
        typer.Option(
            "--lost-store",
            help="Also import the invoices that a Till created, under their ids, after the store was lost. "
            "Their labels at the node have 21 letters, digits, _ or ~.",
        ),
    ] = False,
) -> None:
    """Import the node's existing invoices into the store, also while Till is running.

    Use it for a node that took payments before Till, or after the store was lost.
    Labels at the node become labels in Till. Till then follows these invoices like its own.
    Existing rows are not changed, so you can stop the import at any time and run it again.
    """
    from tilld.cli.resources import workbench
    from tilld.formats.ids import is_username
    from tilld.runtime import logs
    from tilld.upkeep.importer import Importing
    from tilld.upkeep.retention import Retention

    if not is_username(username) or not kind:
        raise OperatorError(
            "--username must have 1 to 64 letters, digits, or any of _ . @ -; --type must not be empty"
        )
    logs.configure(config.log_level, config.log_format, colors=config.colors)

    async def bring_in() -> None:
        async with workbench(config, create=True) as (store, node):
            importing = Importing(
                store,
                node,
                username,
                kind,
                lost_store=lost_store,
                expired_since=Retention.beginning(config.keep_unpaid_days),
            )
            try:
                await importing.run()
            finally:
                done = importing.imported
                typer.echo(
                    f"{done.added} imported, {done.there_before} already in the store, {done.passed_over} "
                    f"skipped: the node's invoices 1 to {done.created_index} (created index)"
                )

    asyncio.run(bring_in())


def _told(report: "Report", of_webhooks: Iterable[str], *, repaired: bool) -> list[str]:
    """Return the lines of a report, with those of webhooks."""
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
    lines += [f"{each}" for each in report.incomplete_logs]
    for creator in sorted({*report.totals, *report.counted}):
        kept, counted = (totals.get(creator, Totals()) for totals in (report.totals, report.counted))
        if kept != counted:
            lines.append(f"the totals of {creator} are stored as {kept}, but counted as {counted}")
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
    lines += [*_told_of_events(report), *of_webhooks]
    if report.deleted:
        lines.append(f"not compared: {report.deleted} settled here and deleted at the node")
    if report.of_other_nodes:
        lines.append(f"not compared: {report.of_other_nodes} of other nodes")
    if report.unpaid:
        lines.append(
            f"not compared: {report.unpaid} unpaid at the node with a label of Till, and missing here: "
            "a crash can leave these, and no reply contained them"
        )
    if report.without_preimage:
        lines.append(
            f"preimages added: {report.without_preimage}"
            if repaired
            else f"without preimage: {report.without_preimage} payments, stored before version 0.2.0; to add "
            f"the preimages, run: {repair}"
        )
    if report.settled:
        lines.append(f"settled now: {len(report.settled)}")
    counts = Counter(each.what for each in report.differences)
    lines += [f"differ: {count} {what}" for what, count in counts.items()]
    if report.missing:
        lines.append(
            f"missing: {len(report.missing)} paid at the node with a label of Till. If the store was lost or "
            f"restored, import them: {bring_in}. If another Till with its own store uses this node, "
            "they belong to that Till"
        )
    if report.unreadable:
        lines.append(
            f"cannot be read: {report.unreadable} invoices, each named in the log; correct their rows in the "
            f"database, then run: {repair}"
        )
    if report.is_clean:
        lines.append("nothing differs")
    elif not repaired and (report.differences or report.totals != report.counted):
        lines.append(f"to settle these by the node's state and recount the totals, run: {repair}")
    return lines


def _told_of_events(report: "Report") -> list[str]:
    users = [each for each in report.logs if each.username]
    lines = [f"events: {sum(each.events for each in users)}, users: {len(users)}"] if users else []
    if report.incomplete_logs:
        lines.append(
            "events are missing, and no repair brings them back; the applications of these users must list "
            "what may have changed"
        )
    return lines
