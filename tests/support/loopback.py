"""Two loopback addresses of this machine."""

import socket
from contextlib import suppress


def has_ipv6() -> bool:
    """Return whether ::1 is an address of this machine."""
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


HOSTS = ("127.0.0.1", "::1" if has_ipv6() else "127.0.0.2")
