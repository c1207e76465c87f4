"""A store and a node at hand, for work beside a running Till or without one."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tilld.config import Config
from tilld.database import open_database
from tilld.errors import OperatorError, TillError
from tilld.node import Node
from tilld.store import Store


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
    """Make sure that there is a socket.

    Raises OperatorError, with what to do.
    """
    try:
        found = rpc_file.is_socket()
    except OSError as reason:
        raise OperatorError(
            f"{rpc_file} cannot be reached ({reason.strerror}): run Till as a user who may, "
            "or check --lightning-rpc"
        ) from None
    if not found:
        raise OperatorError(
            f"there is no socket of a lightningd at {rpc_file}: start it, or check --lightning-rpc"
        )


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
