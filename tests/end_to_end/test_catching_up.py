"""Payments and expiries while tilld is down: after its start all are settled."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from lightningd_simulator.invoice_ledger import Created, Event, Expired, Paid
from tests.support.nodes import LIGHTNINGD, real_node, simulated_node
from tests.support.samples import an_invoice
from tests.support.shop import config, open_shop
from tests.support.till import Parts
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_pb2 import INVOICE_STATUS_EXPIRED, INVOICE_STATUS_PAID
from tilld.auth.caller import ANONYMOUS
from tilld.formats.times import utc
from tilld.invoices.invoice import Invoice
from tilld.invoices.repository import Store
from tilld.storage.database import open_database

WATCHERS = 50


def journalled(events: list[tuple[str, Event]]) -> Iterator[str]:
    """Yield the events as lines of the simulated node's state."""
    for name, event in events:
        yield json.dumps({"event": name, **asdict(event)}) + "\n"


async def what_happened(directory: Path, database_url: str, number: int) -> list[Invoice]:
    """Create a store with open invoices, and a node where half of them are paid and half are expired."""
    async with simulated_node(directory):
        till = Parts(directory, database_url)
        node_id = await till.node.identity()
        await till.close()
    now = int(time.time())
    invoices = [
        an_invoice(
            ANONYMOUS.username, node_id, expires_at=utc(now - 1), created_at=utc(now) - timedelta(hours=1)
        )
        for _ in range(number)
    ]
    store = Store(open_database(database_url))
    for start in range(0, number, 1000):
        await store.adopt(invoices[start : start + 1000])
    await store.close()
    created = [
        ("created", Created(each.invoice_id, each.bolt11, each.payment_hash, "00" * 32, 5000, None, now - 1))
        for each in invoices
    ]
    over = [
        ("paid", Paid(index, 5000, now - 2)) if index % 2 else ("expired", Expired(index))
        for index in range(1, number + 1)
    ]
    with (directory / "node.jsonl").open("a") as state:
        state.writelines(journalled([*created, *over]))
    return invoices


@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [1, 1000, 20_000])
async def test_payments_and_expiries_during_downtime_are_settled(
    tmp_path: Path, database_url: str, number: int
) -> None:
    """The follower settles in pages; watchers that connect meanwhile see only correct states."""
    invoices = await what_happened(tmp_path, database_url, number)
    chosen = random.Random(1).sample(range(number), min(number, WATCHERS))
    settings = config(
        tmp_path, lightning_rpc=tmp_path / "rpc", database=database_url, no_rest=True, log_level="error"
    )
    async with simulated_node(tmp_path), open_shop(settings) as shop:

        async def watched(at: int) -> Any:
            request = pb.WatchInvoiceRequest(invoice_id=invoices[at].invoice_id)
            *_, last = [reply.invoice.status async for reply in shop.invoices.WatchInvoice(request)]
            return last

        states = await asyncio.gather(*map(watched, chosen))

        assert states == [INVOICE_STATUS_EXPIRED if at % 2 else INVOICE_STATUS_PAID for at in chosen]
        paid = (number + 1) // 2
        while (info := await shop.invoices.GetInfo(pb.GetInfoRequest())).volume_msat < paid * 5000:
            await asyncio.sleep(0.01)
        assert (info.invoices, info.volume_msat) == (number, paid * 5000)


@pytest.mark.lightningd
@pytest.mark.skipif(not LIGHTNINGD, reason="LIGHTNINGD does not name a real lightningd")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [1, 200])
async def test_at_a_real_node_too(tmp_path: Path, number: int) -> None:
    """One in ten is paid, because real payments are slow; the others expire."""
    async with real_node(tmp_path / "nodes") as node:
        settings = config(tmp_path / "till", lightning_rpc=node.rpc_file, no_rest=True, log_level="error")
        async with open_shop(settings) as shop:
            requests = [
                pb.CreateInvoiceRequest(
                    amount_msat=5000,
                    metadata='{"type":"shop"}',
                    expiry=Duration(seconds=1 if at % 10 else 3600),
                )
                for at in range(number)
            ]
            created = [(await shop.invoices.CreateInvoice(request)).invoice for request in requests]
        for invoice in created[::10]:
            await node.pay(invoice.bolt11)

        async with open_shop(settings) as shop:
            for at, invoice in enumerate(created):
                watch = shop.invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=invoice.invoice_id))
                *_, last = [reply.invoice.status async for reply in watch]
                assert last == (INVOICE_STATUS_EXPIRED if at % 10 else INVOICE_STATUS_PAID)
