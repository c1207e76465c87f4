"""Where to listen: all addresses that a name stands for, or none of them."""

import errno
import socket
from contextlib import ExitStack

from tilld.config import Address
from tilld.errors import OperatorError

# What a name stands for may not be on this machine: ::1 is not where IPv6 is off.
NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

TRIES = 10


def free(address: Address, flag: str) -> list[Address]:
    """Find a host's IP addresses on this machine, with a port if it is 0, and make sure that all are free.

    Raises OperatorError, naming the address that is taken and the flag that gives another. Asks the system's
    resolver: names in files are found immediately, others may take seconds.
    """
    hint = f"give another with {flag} HOST:PORT"
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise OperatorError(f"can't listen on {address} ({error.strerror}): {hint}") from None
    hosts = list(dict.fromkeys((family, where[0]) for family, _, _, _, where in found))
    for _ in range(TRIES):
        taken = address
        try:
            with ExitStack() as probes:
                here: list[Address] = []
                for family, host in hosts:
                    taken = Address(str(host), here[0].port if here else address.port)
                    if port := _probe(family, taken, probes):
                        here.append(taken._replace(port=port))
                if here:
                    return here
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OperatorError(f"can't listen on {taken} ({error.strerror}): {hint}") from None
            if address.port:
                break
            # The port that one address gave is taken on another.
        else:
            raise OperatorError(f"can't listen on {address} (no address of this machine): {hint}")
    raise OperatorError(f"{taken} is in use: stop what listens there, or {hint}")


def _probe(family: int, address: Address, probes: ExitStack) -> int:
    """Bind a socket until the context ends; returns its port, 0 where the address is not on this machine."""
    try:
        probe = probes.enter_context(socket.socket(family, socket.SOCK_STREAM))
        # As Envoy and gRPC do: connections of an earlier run may linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # On :: both listen for IPv4 as well.
        if family == socket.AF_INET6 and address.host != "::":
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)
    except OSError as error:
        if error.errno in NOT_HERE:
            return 0
        raise
    port: int = probe.getsockname()[1]
    return port
