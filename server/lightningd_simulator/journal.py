"""The events of a node on disk, one JSON line each, written before the reply.

A line is passed to the kernel before the reply, so it survives a kill, but perhaps not a power failure.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from lightningd_simulator.invoice_ledger import Created, Deleted, DescriptionRemoved, Expired, Paid
from lightningd_simulator.invoice_ledger import Event as InvoiceEvent
from lightningd_simulator.offers import Event as OfferEvent
from lightningd_simulator.offers import Offered, Switched
from lightningd_simulator.payment_ledger import Completed, Disabled, Failed, Requested, Started
from lightningd_simulator.payment_ledger import Event as SpendingEvent

Event: TypeAlias = InvoiceEvent | SpendingEvent | OfferEvent

_HEADER = "lightningd simulated by tilld"
_KINDS: dict[str, type[Event]] = {
    "created": Created,
    "paid": Paid,
    "expired": Expired,
    "deleted": Deleted,
    "description_removed": DescriptionRemoved,
    "requested": Requested,
    "disabled": Disabled,
    "payment_started": Started,
    "payment_completed": Completed,
    "payment_failed": Failed,
    "offered": Offered,
    "offer_switched": Switched,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Journal:
    """An open state file, locked by one process at a time.

    Raises OSError if the file is not accessible, and ValueError, with file and line, if it is not the state
    of a simulated node.
    """

    def __init__(self, path: Path, apply: Callable[[Event], object], new_private_key: Callable[[], str]):
        """Open the file, or create it with a new key, and apply its events."""
        if not path.exists() or not path.stat().st_size:
            _create(path, new_private_key())
        self._file: BinaryIO = path.open("r+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.private_key = self._replay(path, apply)
        except BlockingIOError as error:
            self._file.close()
            raise OSError(error.errno, "another simulated node uses this state", str(path)) from None
        except BaseException:
            self._file.close()
            raise

    def _replay(self, path: Path, apply: Callable[[Event], object]) -> str:
        lines = self._file.read().splitlines(keepends=True)
        header = _decoded(lines[0])
        if header.get("journal") != _HEADER or not isinstance(header.get("private_key"), str):
            raise ValueError(f"{path}, line 1: this is not the state of a simulated node")
        if not lines[-1].endswith(b"\n"):
            # An incomplete line was written during a kill, before any reply.
            self._file.truncate(self._file.tell() - len(lines.pop()))
            self._file.seek(0, os.SEEK_END)
        for number, line in enumerate(lines[1:], start=2):
            try:
                apply(_event(_decoded(line)))
            except (KeyError, TypeError):
                raise ValueError(f"{path}, line {number}: the state is damaged here") from None
        return str(header["private_key"])

    def append(self, events: Iterable[Event]) -> None:
        """Write events."""
        self._file.write(b"".join(_line({"event": _NAMES[type(event)], **asdict(event)}) for event in events))
        self._file.flush()

    def close(self) -> None:
        """Close the file, which releases its lock."""
        # Events that could not be written had no reply.
        with suppress(OSError):
            self._file.close()


def _create(path: Path, private_key: str) -> None:
    # Written atomically, so that another program's file is never mistaken for a truncated one.
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_line({"journal": _HEADER, "private_key": private_key}))
    new.replace(path)


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _decoded(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line; empty if the line is malformed."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _event(record: dict[str, Any]) -> Event:
    return _KINDS[record.pop("event")](**record)
