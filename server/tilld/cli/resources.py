"""A store and a node at hand, for work beside a running Till or without one."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from tilld.config import Config
from tilld.errors import OperatorError, TillError
from tilld.invoices.repository import Store
from tilld.lightningd.node import Node
from tilld.storage.database import open_database

log = structlog.get_logger()

SOCKET_SECONDS = 0.2


class NoSocket(OperatorError):
    """No lightningd has been started there yet."""


class Workbench(NamedTuple):
    """What there is to work with."""

    store: Store
    node: Node


@asynccontextmanager
async def workbench(config: Config, *, create: bool) -> AsyncIterator[Workbench]:
    """Open the store and the node that the settings name, for as long as the context lasts.

    `create`: a store that is not there is made. Raises OperatorError where that fails, or the work does
    for reasons outside of it.
    """
    rpc_file = config.lightning_rpc or config.simulated_rpc_file
    check_socket(rpc_file)
    async with open_store(config, create=create) as store:
        node = Node(rpc_file)
        try:
            yield Workbench(store, node)
        finally:
            await node.close()


@asynccontextmanager
async def open_store(config: Config, *, create: bool) -> AsyncIterator[Store]:
    """Open the store alone, for as long as the context lasts.

    Raises OperatorError as `workbench` does.
    """
    if create:
        make_directory(config.data_dir)
    store = Store(open_database(config.database_url, create=create))
    try:
        yield store
    except TillError as reason:
        raise OperatorError(reason.message) from None
    finally:
        await store.close()


def check_socket(rpc_file: Path) -> None:
    """Make sure that there is a socket that may be used.

    Raises OperatorError, with what to do.
    """
    try:
        found = rpc_file.is_socket()
        if found and not os.access(rpc_file, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as reason:
        raise OperatorError(
            f"{rpc_file} cannot be reached ({reason.strerror}): run Till as a user who may, "
            "or check --lightning-rpc"
        ) from None
    if not found:
        raise NoSocket(
            f"there is no socket of a lightningd at {rpc_file}: start it, check --lightning-rpc, or let Till "
            "wait for it with --wait-for-node"
        )


async def wait_for_socket(rpc_file: Path) -> None:
    """Wait until there is a socket, for as long as it takes.

    Raises OperatorError where it may not be used.
    """
    is_told = False
    while True:
        try:
            return check_socket(rpc_file)
        except NoSocket:
            if not is_told:
                log.info("waiting for lightningd to start", socket=str(rpc_file))
            is_told = True
            await asyncio.sleep(SOCKET_SECONDS)


def make_directory(path: Path) -> None:
    """Make the data directory, if it is not there.

    Raises OperatorError.
    """
    try:
        # What is in it is nobody else's business.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as reason:
        raise OperatorError(
            f"the data directory {path} cannot be made ({reason.strerror}): give another with --data-dir"
        ) from None
    if not os.access(path, os.W_OK):
        raise OperatorError(
            f"the data directory {path} is read-only: make it writable, or give another with --data-dir"
        )
