"""Opens the store and the node for commands, also while Till is running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tilld.config import Config
from tilld.errors import OperatorError, TillError
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.runtime.preflight import check_socket, make_directory
from tilld.storage.database import open_database


class Workbench(NamedTuple):
    """An open store and a node."""

    store: Store
    node: InvoiceNode


@asynccontextmanager
async def workbench(config: Config, *, create: bool) -> AsyncIterator[Workbench]:
    """Open the store and the node of the settings until the context ends.

    Create a missing store if `create` is true, else raise OperatorError.
    A TillError in the context becomes an OperatorError.
    """
    rpc_file = config.lightning_rpc or config.simulated_rpc_file
    check_socket(rpc_file)
    async with open_store(config, create=create) as store:
        node = InvoiceNode(rpc_file)
        try:
            yield Workbench(store, node)
        finally:
            await node.close()


@asynccontextmanager
async def open_store(config: Config, *, create: bool) -> AsyncIterator[Store]:
    """Open only the store until the context ends.

    `create` and errors are those of `workbench`.
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
