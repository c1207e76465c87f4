"""Checks before the start: the data directory, lightningd's socket, addresses to listen on."""

import asyncio
import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import structlog

from tilld.config import Address
from tilld.errors import OperatorError

log = structlog.get_logger()

SOCKET_SECONDS = 0.2


class NoSocket(OperatorError):
    """lightningd's socket does not exist yet."""


def check_socket(rpc_file: Path) -> None:
    """Check that a socket exists and is writable.

    Raises OperatorError, with advice.
    """
    try:
        found = rpc_file.is_socket()
        if found and not os.access(rpc_file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as reason:
        raise OperatorError(
            f"cannot connect to {rpc_file} ({reason.strerror}); run Till as a user with access, "
            "or check --lightning-rpc"
        ) from None
    if not found:
        raise NoSocket(
            f"there is no socket of lightningd at {rpc_file}; start it, check --lightning-rpc, or let Till "
            "wait for it with --wait-for-node"
        )


async def wait_for_socket(rpc_file: Path) -> None:
    """Wait without limit until a socket exists.

    Raises OperatorError if the socket is not writable.
    """
    is_told = False
    while True:
        try:
            return check_socket(rpc_file)
        except NoSocket:
            if not is_told:
                log.warning("waiting for lightningd to start", socket=str(rpc_file))
            is_told = True
            await asyncio.sleep(SOCKET_SECONDS)


def make_directory(path: Path) -> None:
    """Create the data directory, if it does not exist.

    Raises OperatorError if that fails, or the directory is not writable.
    """
    try:
        # Other users must not read the store.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as reason:
        raise OperatorError(
            f"the data directory {path} cannot be created ({reason.strerror}); give another with --data-dir"
        ) from None
    if not os.access(path, os.W_OK):
        raise OperatorError(
            f"the data directory {path} is read-only; make it writable, or give another with --data-dir"
        )


# Errors of addresses that this machine does not have, such as ::1 without IPv6.
NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


TRIES = 10


def free(address: Address, flag: str) -> list[Address]:
    """Return the IP addresses of a host on this machine, all with one free port if the port is 0.

    Raises OperatorError if one is in use, naming it and `flag`. The system's resolver may take seconds,
    except for names in files.
    """
    hint = f"give another with {flag} HOST:PORT"
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise OperatorError(f"cannot listen on {address} ({error.strerror}); {hint}") from None
    hosts = list(dict.fromkeys((family, where[0]) for family, _, _, _, where in found))
    taken = address
    for _ in range(TRIES):
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
                raise OperatorError(f"cannot listen on {taken} ({error.strerror}); {hint}") from None
            if address.port:
                break
            # The free port of one address is in use on another: try the next port.
        else:
            raise OperatorError(f"cannot listen on {address} (not an address of this machine); {hint}")
    raise OperatorError(f"{taken} is in use; stop the program that listens there, or {hint}")


def _probe(family: int, address: Address, probes: ExitStack) -> int:
    """Bind a socket until the context ends. Return its port, or 0 if this machine lacks the address."""
    try:
        probe = probes.enter_context(socket.socket(family, socket.SOCK_STREAM))
        # Envoy and gRPC set it too: connections of an earlier run may linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # On :: Envoy and gRPC also listen on IPv4.
        if family == socket.AF_INET6 and address.host != "::":
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)
    except OSError as error:
        if error.errno in NOT_HERE:
            return 0
        raise
    port: int = probe.getsockname()[1]
    return port
