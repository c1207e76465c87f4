"""How many connections the limit of open files allows: each is a file, here and in Envoy."""

import resource
from contextlib import suppress

import structlog

log = structlog.get_logger()

# What docs/design/security.md was measured with.
MOST_CONNECTIONS = 18_000
# A tilld with 33 and an Envoy with 35 files serve nobody yet; the node, the store and scrapes need more.
RESERVED = 100
FEW_CONNECTIONS = 1_000


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, and say so where that is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems report a limit that they do not accept.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if connections() < FEW_CONNECTIONS:
        log.warning(
            "few connections are possible: raise the limit of open files (ulimit -n, LimitNOFILE=)",
            open_files=_limit(),
            connections=connections(),
        )


def connections() -> int:
    """Return how many connections clients may have, so that files are left for all else."""
    limit = _limit()
    return min(max(limit - RESERVED, limit // 3), MOST_CONNECTIONS)


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS + RESERVED if soft == resource.RLIM_INFINITY else soft
