"""Variables that systemd sets for a service. They are not settings."""

import os
from typing import NamedTuple


class ServiceManager(NamedTuple):
    """The socket for notifications, and the time after which a silent service is killed; None without one."""

    notify_socket: str | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def from_environment(cls) -> "ServiceManager":
        """Read the variables, and remove them, because they do not concern child processes."""
        found = {
            each: os.environ.pop(each, "") for each in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        }
        usec, pid = found["WATCHDOG_USEC"], found["WATCHDOG_PID"]
        is_watched = usec.isdecimal() and pid in ("", str(os.getpid()))
        return cls(found["NOTIFY_SOCKET"] or None, int(usec) / 1e6 if is_watched else None)


def is_journal(descriptor: int) -> bool:
    """Return whether a file descriptor writes to systemd's journal."""
    try:
        file = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"
