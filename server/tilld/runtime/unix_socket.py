"""Unix sockets in directories whose paths may be longer than the 107 bytes that a socket's may have."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short(directory: Path) -> Iterator[str]:
    """Give a short path of a directory, which is good for as long as the context lasts."""
    if sys.platform != "linux":
        yield str(directory)
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def is_served(path: str) -> bool:
    """Whether somebody listens on a socket: gRPC would take it from them."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
