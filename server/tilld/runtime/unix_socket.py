"""Unix sockets in directories with long paths: a socket's path has at most 107 bytes."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short(directory: Path) -> Iterator[str]:
    """Yield a short path of a directory, valid until the context ends."""
    if sys.platform != "linux":
        yield str(directory)
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def is_served(path: str) -> bool:
    """Return whether a process listens on a socket. gRPC would replace it in any case."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
