"""Till as users run it: started by its command, with its own Envoy, a key, and logs at info."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stores
from benchmarks.processes import Cores, Program, children, pin, python, running
from tilld.auth.caller import Creator
from tilld.auth.key import key_id

USERNAME = "shop"
SCOPES = ("invoices:create", "invoices:read", "invoices:cancel", "info:read", "events:read", "webhooks")

# The whole load comes from one key, which the limits per key would stop.
LIMITS = {
    "TILLD_KEY_CREATES_PER_SECOND": "1000000",
    "TILLD_KEY_OPEN_INVOICES": "1000000000",
    "TILLD_KEY_WATCHES": "1000000",
}


@dataclass(frozen=True)
class Shop:
    """A data directory, the key to its Till, and the database."""

    directory: Path
    key: str
    database: str | None = None

    @property
    def url(self) -> str:
        """URL of the database."""
        return self.database or _sqlite(self.directory)


@dataclass(frozen=True)
class Till:
    """A running Till."""

    shop: Shop
    program: Program
    grpc: str
    rest: str

    @property
    def tilld(self) -> dict[str, list[int]]:
        """Process id of tilld, by name."""
        return {"tilld": [self.program.pid]}

    @property
    def processes(self) -> dict[str, list[int]]:
        """Process ids of tilld and Envoy, by name."""
        return self.tilld | {"envoy": children(self.program.pid)}


async def open_shop(directory: Path, rows: int, are_open: int, database: str | None = None) -> Shop:
    """Create a data directory, a key, and a store with this many invoices."""
    directory.mkdir(parents=True)
    url = database or _sqlite(directory)
    key = await create_key(url, USERNAME, directory / "key.log")
    stores.fill(url, Creator(USERNAME, key_id(key) or ""), rows, are_open)
    return Shop(directory, key, database)


async def create_key(url: str, username: str, log: Path) -> str:
    """Create a key of a user in a database, and return it."""
    scopes = [f"--scope={scope}" for scope in SCOPES]
    command = python("tilld.cli", "key", "create", f"--username={username}", f"--database={url}", *scopes)
    async with running(*command, log=log, cores=None) as program:
        return await program.line()


@asynccontextmanager
async def open_till(
    shop: Shop, lightning_rpc: Path, cores: Cores, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Till]:
    """Run a Till within this context."""
    command = python(
        "tilld.cli", "run", f"--data-dir={shop.directory}", f"--database={shop.url}",
        f"--lightning-rpc={lightning_rpc}", "--grpc=127.0.0.1:0", "--rest=127.0.0.1:0",
    )  # fmt: skip
    log = shop.directory / "till.log"
    settings = LIMITS | dict(environment or {})
    async with running(*command, log=log, cores=cores.servers, environment=settings) as program:
        addresses = {}
        while "data" not in addresses:
            label, _, value = (await program.line()).strip().rpartition("  ")
            addresses[label.strip()] = value
        till = Till(shop, program, addresses["gRPC"], _rest(addresses))
        for pid in till.processes["envoy"]:
            # Envoy inherits the core of tilld, and would compete with tilld there.
            pin(pid, cores.clients)
        yield till


def _rest(addresses: Mapping[str, str]) -> str:
    [rest] = [value for label, value in addresses.items() if label.startswith("JSON REST")]
    return rest


def _sqlite(directory: Path) -> str:
    return f"sqlite:///{directory / 'till.db'}"
