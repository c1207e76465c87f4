"""Kills tilld and its node repeatedly under load, and then compares the store with the node.

Each interface of events is read all the time, and must have each event of its user once, in order. Webhooks
may have it more than once, but always the same, and signed.

python -m tests.crash --kills 300 [--replicas N] [--seed N] [--database URL] [--real]
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import grpc.aio
from pyln.client import RpcError

from tests.support.event_log import check_event_log
from tests.support.event_readers import READERS, Reader, Received
from tests.support.hasty import hasty
from tests.support.keys import make_key
from tests.support.killed import POINTS, program
from tests.support.nodes import KillableNode, RealPair, SimulatedProcess
from tests.support.processes import Process
from tests.support.webhook_readers import Shops, has_received
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID, Invoice
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.event_log.entry import Entry
from tilld.invoices.invoice import Status
from tilld.invoices.lightningd import InvoiceNode
from tilld.invoices.repository import Store
from tilld.lightningd.rpc import ConnectionLost, Pipeline
from tilld.runtime import logs
from tilld.storage.database import open_database
from tilld.storage.nodes import NodeStore
from tilld.upkeep.audit import Doctor

WORKERS = 8
USERS = ("dakk", "another")
Key = tuple[tuple[str, str], ...]
# The processes to kill at a random moment, and the points of tilld.
KILLS = ("tilld", "node", "tilld and node", *POINTS)
PATIENCE_SECONDS = 30.0
# Callers that retry faster take the processor that a killed process needs to start again.
RETRY_SECONDS = 0.1
# Of webhooks: a killed tilld keeps them so long.
LEASE_SECONDS = 3.0


class Crash:
    """A Till and a node as processes, callers who load them, and the replies to these callers."""

    def __init__(
        self, directory: Path, node: KillableNode, seed: int, database: str | None = None, replicas: int = 1
    ) -> None:
        self.directory = directory
        self.replicas = replicas
        self.database = database or f"sqlite:///{directory / 'till.db'}"
        self.node = node
        self.random = random.Random(seed)
        self.told: dict[str, Invoice] = {}
        self.by_label: dict[str, str] = {}
        self.seen: defaultdict[str, list[int]] = defaultdict(list)
        self.kills: Counter[str] = Counter()
        # The address of each tilld.
        self.grpc: dict[int, str] = {}
        self.keys: list[dict[str, str]] = []
        self.readers: list[Reader] = []
        self.shops = Shops()

    async def run(self, kills: int) -> str:
        """Kill that often, then check everything; return a summary in one line.

        Raise AssertionError if an invoice or a payment was lost or invented.
        """
        await self.node.start()
        for username in USERS:
            key = ("--username", username, "--scope", "invoices:create", "--scope", "invoices:read")
            database = ("--database", self.database, "--scope", "events:read", "--scope", "webhooks")
            self.keys.append(await make_key(self.directory, *key, *database))
        tills = [await self._start_till(number) for number in range(self.replicas)]
        await self.shops.open(self._address(), dict(zip(USERS, self.keys, strict=True)))
        self.readers = [kind(self._address, key) for key in self.keys for kind in READERS]
        reading = [asyncio.create_task(reader.run()) for reader in self.readers]
        callers = [asyncio.create_task(self._call(number)) for number in range(WORKERS)]
        while self.kills.total() < kills:
            number = self.random.randrange(self.replicas)
            tills[number] = await self._kill(number, tills[number])
        await _ended(callers)
        await self.node.calm()
        seconds = await self._caught_up()
        checked = await self._check_events()
        await _ended(reading)
        for till in tills:
            assert await till.end() == 0, till.out
        checked = f"{await self._check()}, {checked}"
        await self.node.stop()
        killed = ", ".join(f"{count} {what}" for what, count in self.kills.items())
        return f"{self.kills.total()} kills ({killed}), {checked}, caught up in {seconds:.2f} s"

    async def _kill(self, number: int, till: Process) -> Process:
        """Kill the least often killed kind, and restart it; return the tilld process."""
        fewest = min(self.kills[kind] for kind in KILLS)
        kind = self.random.choice([kind for kind in KILLS if self.kills[kind] == fewest])
        self.kills[kind] += 1
        if kind in POINTS:
            await till.end()
            till = await self._start_till(number, kind)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await till.process.wait() == -signal.SIGKILL, till.out
            return await self._start_till(number)
        await asyncio.sleep(self.random.uniform(0.02, 0.6))
        if kind != "tilld":
            await self.node.kill()
        if kind != "node":
            await till.end(signal.SIGKILL)
            till = await self._start_till(number)
        if kind != "tilld":
            await self.node.start()
        return till

    async def _start_till(self, number: int, point: str | None = None) -> Process:
        run = program(point, self.random.randint(1, 12)) if point else ("tilld.cli",)
        process = await asyncio.create_subprocess_exec(
            *hasty("webhook_lease_seconds", LEASE_SECONDS, *run), "run", "--no-rest", "--grpc=127.0.0.1:0",
            f"--lightning-rpc={self.node.rpc_file}", f"--database={self.database}",
            f"--data-dir={self.directory / str(number)}", "--webhook-allow=localhost",
            start_new_session=True,
            # Nothing reads the log, so it must not fill the pipe.
            env=os.environ | {"TILLD_LOG_LEVEL": "error"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        till = Process(process)
        # tilld may be killed before its first output.
        with suppress(AssertionError) if point else nullcontext():
            self.grpc[number] = await till.says(r"gRPC +(127\.0\.0\.1:\d+)\n")
        return till

    def _address(self) -> str:
        """Return the address of any tilld, which may not run."""
        return self.random.choice(list(self.grpc.values()))

    async def _call(self, number: int) -> None:
        """Create, watch and pay in a loop, despite failures; failed orders are sent again."""
        payer = Pipeline(str(self.node.payer), 2)
        for order in range(sys.maxsize):
            label = f"order-{number}-{order}"
            key = tuple(self.keys[number % len(self.keys)].items())
            invoice = await self._create(label, key)
            if self.random.random() < 0.3:
                await self._create(label, key)
            if self.random.random() < 0.7:
                watching = asyncio.create_task(self._watch(invoice.invoice_id, key))
                with suppress(ConnectionLost, RpcError, TimeoutError):
                    await payer.call("xpay", {"invstring": invoice.bolt11})
                await asyncio.sleep(self.random.uniform(0, 0.05))
                await _ended([watching])

    async def _create(self, label: str, key: Key) -> Invoice:
        """Send an order until it succeeds; one label must always yield the same invoice."""
        # Also a repeated one has the same webhook.
        url = self.shops.of_invoices.url if label.endswith("0") else None
        request = pb.CreateInvoiceRequest(
            amount_msat=5000, metadata='{"type":"crash"}', label=label, webhook_url=url
        )
        while True:
            with suppress(grpc.aio.AioRpcError, TimeoutError):
                async with asyncio.timeout(3), grpc.aio.insecure_channel(self._address()) as channel:
                    stub: Any = InvoiceServiceStub(channel)
                    created = await stub.CreateInvoice(request, metadata=key)
                    break
            await asyncio.sleep(RETRY_SECONDS)
        invoice: Invoice = created.invoice
        if url:
            self.shops.of_invoices.expect(invoice.invoice_id, created.webhook.secret)
        assert self.by_label.setdefault(label, invoice.invoice_id) == invoice.invoice_id, "label used twice"
        self.told[invoice.invoice_id] = invoice
        return invoice

    async def _watch(self, invoice_id: str, key: Key) -> None:
        request = pb.WatchInvoiceRequest(invoice_id=invoice_id)
        with suppress(grpc.aio.AioRpcError):
            async with grpc.aio.insecure_channel(self._address()) as channel:
                stub: Any = InvoiceServiceStub(channel)
                async for state in stub.WatchInvoice(request, metadata=key):
                    self.seen[invoice_id].append(state.invoice.status)

    async def _caught_up(self) -> float:
        """Wait until the store has followed all updates of the node; return how long that took."""
        node, store = InvoiceNode(self.node.rpc_file), Store(open_database(self.database))
        started = time.monotonic()
        async with asyncio.timeout(30):
            nodes, node_id = NodeStore(store), await node.identity()
            while await nodes.updated_index(node_id, "invoices") < await node.latest("updated"):
                await asyncio.sleep(0.02)
        await node.close()
        await store.close()
        return time.monotonic() - started

    async def _check_events(self) -> str:
        """Wait until each reader has all events of its user; check that it has each once, in order."""
        store = Store(open_database(self.database))
        entries = await check_event_log(store)
        await store.close()
        logs = {username: _received(entries, username) for username in USERS}
        for at, reader in enumerate(self.readers):
            log = logs[USERS[at // len(READERS)]]
            await has_received(reader.received, log)
            assert reader.received == log, type(reader).__name__
        sent = await self.shops.check(logs)
        return f"{len(entries)} events, read by {len(self.readers)} readers, {sent}"

    async def _check(self) -> str:
        node, store = InvoiceNode(self.node.rpc_file), Store(open_database(self.database))
        paid = 0
        for invoice_id, told in self.told.items():
            stored, found = await store.get(invoice_id), await node.find(invoice_id)
            assert stored, f"a caller got {invoice_id}, but the store lost it"
            assert found, f"a caller got {invoice_id}, but the node does not have it"
            assert (told.payment_hash, told.bolt11) == (found.issued.payment_hash, found.issued.bolt11)
            assert (stored.payment_hash, stored.amount_msat) == (found.issued.payment_hash, found.amount_msat)
            assert (stored.status, stored.payment) == (found.seen.status, found.seen.payment), invoice_id
            states = self.seen[invoice_id]
            assert states == sorted(states), f"{invoice_id} went back to an earlier state: {states}"
            assert found.seen.status is Status.PAID or INVOICE_STATUS_PAID not in states
            paid += stored.status is Status.PAID
        report = await Doctor(store, node).examine(repair=False)
        assert report.is_clean, report
        await node.close()
        await store.close()
        return f"{len(self.told)} invoices returned to callers, {paid} of them paid"


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _received(entries: Sequence[Entry], username: str) -> list[Received]:
    """Return the events of a user as readers have them."""
    return [
        Received(each.id, each.sequence, each.type, each.subject)
        for each in entries
        if each.username == username
    ]


async def main() -> None:
    """Run the program from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--database")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="kill the lightningd that LIGHTNINGD names")
    arguments = parser.parse_args()
    logs.configure("error", "text")
    print(f"seed {arguments.seed}", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory() as directory:
        node = (RealPair if arguments.real else SimulatedProcess)(Path(directory))
        crash = Crash(Path(directory), node, arguments.seed, arguments.database, replicas=arguments.replicas)
        print(await crash.run(arguments.kills))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
