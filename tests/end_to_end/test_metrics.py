"""The metrics as Prometheus scrapes them, after typical events."""

import asyncio
import json
import re
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc.aio
import pytest

from tests.support.databases import locked
from tests.support.keys import make_key
from tests.support.metrics import Sample, answered, families, figures, scrape, url
from tests.support.nodes import simulated_node
from tests.support.receiver import receiver
from tests.support.samples import an_invoice
from tests.support.shop import ANY_PORT, Shop, config, open_shop
from tests.support.waiting import eventually
from till.v1 import event_service_pb2 as events_pb
from till.v1 import invoice_service_pb2 as pb
from till.v1 import webhook_service_pb2 as webhooks_pb
from till.v1.event_service_pb2_grpc import EventServiceStub
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub
from tilld.app import Till
from tilld.config import USUAL
from tilld.invoices.repository import Store
from tilld.lightningd.rpc import Pipeline
from tilld.observability.metrics import RESULTS
from tilld.observability.metrics_server import MOST_CONNECTIONS
from tilld.storage.database import open_database

DOCS = Path(__file__).parent.parent.parent / "docs"
INVOICES = "till.v1.InvoiceService"
REST = "till.rest.v1.InvoiceService"


async def becomes(shop: Shop, wanted: dict[Sample, float]) -> dict[Sample, float]:
    """Wait until the samples have the wanted values; return all samples."""
    async with asyncio.timeout(10):
        while not (found := await figures(shop)).items() >= wanted.items():
            await asyncio.sleep(0.01)
    return found


def watched(code: str, method: str) -> Sample:
    return ("till_watches_total", code, method)


async def test_events_are_counted_and_no_secret_is_exposed(tmp_path: Path) -> None:
    """Events on both APIs: errors, watches and a payment; then the node stops."""
    (tmp_path / "node").mkdir()
    rpc_file = tmp_path / "node" / "rpc"
    settings = config(tmp_path, lightning_rpc=rpc_file, metrics=ANY_PORT)
    async with simulated_node(tmp_path / "node"):
        running = open_shop(settings)
        shop = await running.__aenter__()
        key = await make_key(tmp_path, "--username", "shop")
        shop.rest.headers.update(key)
        metadata = tuple(key.items())
        created = await shop.create(description="a coffee")
        path = f"/lightning/invoice/{created['invoiceid']}"
        for _ in range(2):
            await shop.rest.get(path)
        await shop.rest.get("/lightning/invoice/unknown")
        await shop.rest.get(path, headers={"authorization": "Bearer till_nonsense"})
        watch = shop.invoices.WatchInvoice(
            pb.WatchInvoiceRequest(invoice_id=created["invoiceid"]), metadata=metadata
        )
        await watch.read()
        while_open = await figures(shop)
        await shop.pay(created["payreq"])
        await shop.outcome(created)
        await watch.read()
        no_such_method: Any = shop.channel.unary_unary(f"/{INVOICES}/NoSuchMethod")
        with pytest.raises(grpc.aio.AioRpcError):
            await no_such_method(b"", metadata=metadata)
        paid = await becomes(shop, {("till_watchers",): 0})
        rpc = Pipeline(str(rpc_file), 10)
        [at_node] = (await rpc.listinvoices())["invoices"]
        await rpc.hang_up()
    try:
        await becomes(shop, {("till_node_up",): 0})
        await shop.rest.post("/lightning/invoice/create", json={"msat": 1, "metadata": {"type": "shop"}})
        text = await scrape(shop)
    finally:
        await running.__aexit__(None, None, None)

    assert while_open.items() >= {("till_watchers",): 1, ("till_open_invoices",): 1}.items()
    assert (
        paid.items()
        >= {
            answered("OK", f"{REST}/CreateInvoice"): 1,
            answered("OK", f"{REST}/GetInvoice"): 2,
            answered("E2", f"{REST}/GetInvoice"): 1,
            answered("E3", f"{REST}/GetInvoice"): 1,
            answered("E10", "unknown"): 1,
            watched("OK", f"{REST}/WatchInvoice"): 1,
            watched("OK", f"{INVOICES}/WatchInvoice"): 1,
            ("till_node_call_duration_seconds_count", "OK", "invoice"): 1,
            ("till_store_call_duration_seconds_count", "OK", "add"): 1,
            ("till_store_call_duration_seconds_count", "OK", "batch"): 1,
            ("till_open_invoices",): 0,
            ("till_invoices_total",): 1,
            ("till_received_msat_total",): 5000,
            ("till_node_up",): 1,
            ("till_follower_lag",): 0,
            ("till_payment_follower_lag",): 0,
            ("till_events_total",): 2,
            ("till_event_follower_lag",): 0,
            ("till_event_streams",): 0,
        }.items()
    )
    assert paid["till_node_last_heard_timestamp_seconds",] == pytest.approx(time.time(), abs=60)
    assert paid["till_store_call_duration_seconds_count", "OK", "write"] >= 2
    assert f'till_request_duration_seconds_count{{code="E8",method="{REST}/CreateInvoice"}} 1.0' in text
    assert 'till_node_call_duration_seconds_count{code="E8",method="getinfo"}' in text
    assert "NoSuchMethod" not in text
    token = key["authorization"].removeprefix("Bearer ")
    secrets = [*token.split("_")[1:], at_node["payment_preimage"], at_node["payment_hash"], "coffee"]
    for secret in [*secrets, "authorization", "nonsense", created["invoiceid"], str(tmp_path)]:
        assert secret.lower() not in text.lower()


async def test_a_cancelled_watch_is_counted_as_cancelled(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, metrics=ANY_PORT, no_rest=True)) as shop:
        created = await shop.invoices.CreateInvoice(pb.CreateInvoiceRequest(metadata='{"type":"shop"}'))
        watch = shop.invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=created.invoice.invoice_id))
        await watch.read()

        watch.cancel()

        await becomes(shop, {watched("CANCELLED", f"{INVOICES}/WatchInvoice"): 1, ("till_watchers",): 0})


async def test_updates_that_the_store_cannot_settle_are_the_followers_lag(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, metrics=ANY_PORT)) as shop:
        created = await shop.create()
        async with locked(tmp_path):
            await shop.pay(created["payreq"])

            locked_out = await becomes(
                shop,
                {("till_follower_lag",): 1, ("till_store_call_duration_seconds_count", "E8", "write"): 1},
            )

        await becomes(shop, {("till_follower_lag",): 0, ("till_open_invoices",): 0})
    assert locked_out["till_open_invoices",] == 1


async def test_events_of_another_process_are_the_lag_until_they_are_read(tmp_path: Path) -> None:
    """A stream counts while it is open."""
    seldom = USUAL._replace(log_seconds=3600)
    other = Store(open_database(f"sqlite:///{tmp_path / 'till.db'}"))
    async with open_shop(config(tmp_path, metrics=ANY_PORT, no_rest=True), seldom) as shop:
        from_now: Any = {"from": events_pb.LOG_POSITION_NOW}
        request = events_pb.WatchEventsRequest(**from_now)
        stream: Any = EventServiceStub(shop.channel).WatchEvents(request)
        await stream.read()
        await becomes(shop, {("till_event_streams",): 1, ("till_event_follower_lag",): 0})

        await other.add(an_invoice("anonymous"))
        await becomes(shop, {("till_events_total",): 1, ("till_event_follower_lag",): 1})

        # A write of this process lets it read the log.
        await shop.till.store.add(an_invoice())
        await becomes(shop, {("till_events_total",): 2, ("till_event_follower_lag",): 0})
        # Responses without events are heartbeats.
        while not (events := (await stream.read()).events):
            pass
        assert [each.sequence for each in events] == [1]
        stream.cancel()
        await becomes(shop, {("till_event_streams",): 0})
    await other.close()


def attempts(result: str) -> Sample:
    return ("till_webhook_attempts_total", result)


async def test_deliveries_of_webhooks_are_counted_by_result(tmp_path: Path) -> None:
    """One arrives, one fails and is due in an hour, and a receiver that is gone disables its webhook."""
    settings = config(tmp_path, metrics=ANY_PORT, no_rest=True, webhook_allow=("localhost",))
    async with open_shop(settings) as shop, receiver((204, {}), (429, {"retry-after": "3600"})) as busy:
        webhooks, anonymous = WebhookServiceStub(shop.channel), "anonymous"
        before = await figures(shop)
        await webhooks.CreateWebhook(webhooks_pb.CreateWebhookRequest(url=busy.url))
        await shop.till.store.add(an_invoice(anonymous))
        arrived = await becomes(shop, {attempts("succeeded"): 1, ("till_webhook_oldest_seconds",): 0})
        await shop.till.store.add(an_invoice(anonymous))
        failed = await becomes(shop, {attempts("succeeded"): 1, attempts("failed"): 1})
        waiting = await becomes_late(shop)

        async with receiver((410, {})) as gone:
            created = await webhooks.CreateWebhook(webhooks_pb.CreateWebhookRequest(url=gone.url))
            await shop.till.store.add(an_invoice(anonymous))
            await becomes(shop, {("till_webhooks_disabled",): 1})
        text = await scrape(shop)

    assert {attempts(result): before[attempts(result)] for result in RESULTS} == {
        attempts(result): 0 for result in RESULTS
    }
    assert before["till_webhook_oldest_seconds",] == before["till_webhooks_disabled",] == 0
    count, total = (("till_webhook_attempt_duration_seconds" + end,) for end in ("_count", "_sum"))
    assert (before[count], arrived[count], failed[count]) == (0, 1, 2)
    assert 0 < arrived[total] < failed[total]
    assert 0 < waiting < 60
    for secret in ("whsec_", created.webhook.id, "localhost", busy.address):
        assert secret not in text


async def becomes_late(shop: Shop) -> float:
    """Wait until an event waits at a webhook; return its age in seconds."""
    async with asyncio.timeout(10):
        while not (age := (await figures(shop))["till_webhook_oldest_seconds",]):
            await asyncio.sleep(0.01)
    return age


async def test_a_blocked_event_loop_still_serves_counters(tmp_path: Path) -> None:
    """The response omits values that only the event loop knows."""
    impatient = USUAL._replace(scrape_seconds=0.01)
    async with Till(config(tmp_path, metrics=ANY_PORT, no_rest=True), impatient) as till:
        # This call blocks the event loop.
        with urlopen(url(till)) as reply:
            text = reply.read().decode()

    assert "till_build_info" in text
    assert "till_watchers" not in text


async def test_without_an_address_there_are_no_metrics(shop: Shop) -> None:
    assert shop.till.running.metrics is None


async def test_the_guide_and_the_dashboard_name_existing_metrics(tmp_path: Path) -> None:
    """Both also name every metric of Till."""
    async with open_shop(config(tmp_path, metrics=ANY_PORT)) as shop:
        created = await shop.create()
        await shop.pay(created["payreq"])
        await shop.outcome(created)
        found = families(await scrape(shop))
    samples = {sample.name for family in found.values() for sample in family.samples}
    ours = {name for name in found if name.startswith("till_")}
    dashboard = json.loads((DOCS / "guides" / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]

    for text in ((DOCS / "guides" / "metrics.md").read_text(), "\n".join(queries)):
        named = set(re.findall(r"\b(?:till|process)_[a-z_]+\b", text))
        assert named <= samples | set(found)
        assert {name for name in ours if not any(each.startswith(name) for each in named)} == set()
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in dashboard["panels"])


async def test_connections_are_limited(tmp_path: Path) -> None:
    """Each connection takes a file and a thread; the limit closes further silent connections."""
    async with open_shop(config(tmp_path, metrics=ANY_PORT), USUAL._replace(scrape_seconds=60)) as shop:
        address = shop.till.running.metrics
        assert address
        silent = [await asyncio.open_connection(*address) for _ in range(3 * MOST_CONNECTIONS)]
        await eventually(lambda: sum(reader.at_eof() for reader, _ in silent) == 2 * MOST_CONNECTIONS)
        for _, writer in silent:
            writer.close()
        await eventually(lambda: not [each for each in threading.enumerate() if "request" in each.name])


async def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, metrics=ANY_PORT), USUAL._replace(scrape_seconds=1)) as shop:
        address = shop.till.running.metrics
        assert address
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()
        assert "till_watchers" in await scrape(shop)
