"""The limit of open files, and the connections that it allows: each is a file, here and in Envoy."""

import resource
from contextlib import suppress

import structlog

log = structlog.get_logger()

# docs/design/security.md has the measurements for this number.
MOST_CONNECTIONS = 18_000
# An idle tilld has 33 open files, and Envoy 35; the node, the store and scrapes need more.
RESERVED = 100
FEW_CONNECTIONS = 1_000


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard limit. Log a warning if that is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems report a limit that they do not accept.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if connections() < FEW_CONNECTIONS:
        log.warning(
            "the limit of open files is low: raise it (ulimit -n, LimitNOFILE=)",
            open_files=_limit(),
            connections=connections(),
        )


def connections() -> int:
    """Return the most connections of clients. The rest of the open files is for other uses."""
    limit = _limit()
    return min(max(limit - RESERVED, limit // 3), MOST_CONNECTIONS)


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS + RESERVED if soft == resource.RLIM_INFINITY else soft
