"""The commands `tilld backup` and `tilld restore`, for a SQLite store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilld.config import Config
from tilld.config.advice import shell_command

if TYPE_CHECKING:
    from tilld.storage.backup import Contents


def backup(
    config: Config,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file for the backup.")],
) -> None:
    """Back up a SQLite store to a new file, also while Till is running.

    The backup contains all invoices, metadata, keys (as hashes) and secrets of webhooks: protect it like the
    data directory.
    Only you can read the file. For PostgreSQL use pg_dump.
    """
    from tilld.runtime import logs
    from tilld.storage.backup import back_up

    logs.configure(config.log_level, config.log_format, colors=config.colors)
    contents = back_up(config.database_url, file)
    typer.echo(f"backed up to {file}, {file.stat().st_size:,} bytes; {_described(contents)}")


def restore(
    config: Config,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File that tilld backup has written.")],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the present store, and keep it under another name."),
    ] = False,
) -> None:
    """Restore a backup of a SQLite store. Stop Till first.

    The file is checked before anything changes, and stays where it is.
    """
    from tilld.runtime import logs
    from tilld.runtime.preflight import make_directory
    from tilld.storage.backup import restore as put_back

    logs.configure(config.log_level, config.log_format, colors=config.colors)
    make_directory(config.data_dir)
    contents, kept = put_back(file, config.database_url, replace=replace)
    typer.echo(f"restored {file}; {_described(contents)}")
    if kept:
        typer.echo(f"the store before is kept as {kept}")
    typer.echo(
        "Changes since the backup are missing. Next:\n"
        "1. Start Till: it settles invoices of the backup that were paid or have expired since.\n"
        f"2. Bring back invoices that were created since: {shell_command('import', '--lost-store')}\n"
        f"3. Check: {shell_command('doctor')}\n"
        f"4. Keys that were revoked since are valid again: check {shell_command('key', 'list')}\n"
        "5. Sequences of events since the backup are used again: restart applications that read events, and "
        "have them list what may have changed\n"
        "6. Webhooks are those of the backup, with its secrets; receivers get some events again: check "
        f"{shell_command('webhook', 'list')}"
    )


def _described(contents: "Contents") -> str:
    last = f" (the last of {contents.last:%Y-%m-%d %H:%M:%S} UTC)" if contents.last else ""
    return f"invoices: {contents.invoices:,}{last}, keys: {contents.keys:,}"
