"""Till as an operator sees it: health, reflection, a node that stops, restarts."""

import asyncio
import json
import socket
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from benchmarks.http2 import FRAME, PREFACE, Kind
from tests.support.health import NOT_SERVING, SERVING, becomes, health_stub, status
from tests.support.keys import make_key
from tests.support.nodes import simulated_node
from tests.support.shop import Shop, config, open_shop, talk_to
from tests.support.waiting import eventually
from till.v1 import invoice_service_pb2 as service_pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.app import Till
from tilld.config import USUAL, Address
from tilld.grpc_api import health


@pytest.mark.parametrize(
    "service", ["", "till.v1.InvoiceService", "till.rest.v1.InvoiceService", health.NODE]
)
async def test_a_running_till_is_healthy(shop: Shop, service: str) -> None:
    await becomes(shop, service, SERVING)


async def test_reflection_shows_the_services(shop: Shop) -> None:
    """With reflection grpcurl and buf curl need no proto files."""

    def ask() -> tuple[list[str], list[str]]:
        with grpc.insecure_channel(str(shop.till.running.grpc)) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            service = DescriptorPool(database).FindServiceByName("till.v1.InvoiceService")
            return list(database.get_services()), [method.name for method in service.methods]

    services, methods = await asyncio.to_thread(ask)

    assert {"till.v1.InvoiceService", "grpc.health.v1.Health"} <= set(services)
    # Reflection hides till.rest, Envoy's copy of the typed API.
    assert not [each for each in services if each.startswith("till.rest.")]
    assert "WatchInvoice" in methods


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("till.v1.InvoiceService", "till/v1/invoice_service.proto"),
        ("till.v1.InvoiceService.CreateInvoice", "till/v1/invoice_service.proto"),
        ("till.v1.KeyService.ListKeys", "till/v1/key_service.proto"),
        ("till.v1.Invoice.amount_msat", "till/v1/invoice.proto"),
        ("till.v1.INVOICE_STATUS_PAID", "till/v1/invoice.proto"),
        ("grpc.reflection.v1.ServerReflection.ServerReflectionInfo", "grpc_reflection/v1/reflection.proto"),
        ("grpc.reflection.v1alpha.ServerReflection", "grpc_reflection/v1alpha/reflection.proto"),
        ("till.v1.InvoiceService.CreateFortune", None),
        ("till.v1.CreateInvoice", None),
        ("CreateInvoice", None),
        ("", None),
    ],
)
async def test_reflection_finds_each_symbol_by_its_name(
    shop: Shop, version: str, symbol: str, file: str | None
) -> None:
    """Both versions have the same wire format; methods are found too, because grpcurl describes them."""
    call: Any = shop.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    )
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)

    replies = [each async for each in call(iter([request.SerializeToString()]))]

    (reply,) = map(reflection_pb2.ServerReflectionResponse.FromString, replies)
    files = [
        FileDescriptorProto.FromString(each).name
        for each in reply.file_descriptor_response.file_descriptor_proto
    ]
    assert files[:1] == ([file] if file else [])
    assert reply.error_response.error_code == (0 if file else grpc.StatusCode.NOT_FOUND.value[0])


async def test_a_connection_without_calls_may_ping(tmp_path: Path) -> None:
    """Envoy pings every 2 s, clients every 10 s.

    The test scales the server's limit and the pings down alike.
    """
    assert USUAL.ping_seconds < 2
    kinds: list[int] = []
    acknowledged = 0
    async with open_shop(config(tmp_path), USUAL._replace(ping_seconds=0.02)) as shop:
        reader, writer = await asyncio.open_connection(*shop.till.running.grpc)
        writer.write(PREFACE + FRAME.pack(0, 0, Kind.SETTINGS, 0, 0))
        for answered in range(1, 7):
            writer.write(FRAME.pack(0, 8, Kind.PING, 0, 0) + b"8 bytes.")
            while acknowledged < answered and Kind.GOAWAY not in kinds:
                high, low, kind, flags, _ = FRAME.unpack(await reader.readexactly(FRAME.size))
                await reader.readexactly((high << 16) + low)
                kinds.append(kind)
                # The server sends pings of its own.
                acknowledged += kind == Kind.PING and flags & 1
            await asyncio.sleep(0.05)
        writer.close()

    assert Kind.GOAWAY not in kinds


async def test_buf_curl_calls_by_reflection(tmp_path: Path) -> None:
    """As documented: directly and through Envoy, and with a key once one exists."""
    buf = Path(sys.executable).parent / "buf"

    async def curl(address: Address, *flags: str) -> Any:
        process = await asyncio.create_subprocess_exec(
            buf, "curl", "--http2-prior-knowledge", "--protocol", "grpc", *flags, "-d", "{}",
            f"http://{address}/till.v1.InvoiceService/GetInfo", stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        return json.loads(out or errors)

    async with open_shop(config(tmp_path)) as shop:
        running = shop.till.running
        assert running.rest
        straight = await curl(running.grpc)
        through_envoy = await curl(running.rest)
        key = await make_key(tmp_path, "--username", "shop")
        refused = await curl(running.grpc)
        with_key = await curl(running.grpc, "--header", f"Authorization: {key['authorization']}")

    assert straight == through_envoy == with_key
    assert straight["node"]["alias"] == "till-simulated"
    assert refused["code"] == "unauthenticated"


async def test_reading_works_while_the_node_is_down(tmp_path: Path) -> None:
    """A create fails immediately; when the node is back, no restart is needed."""
    (tmp_path / "node").mkdir()
    async with simulated_node(tmp_path / "node"):
        settings = config(tmp_path / "till", lightning_rpc=tmp_path / "node" / "rpc")
        till = open_shop(settings)
        shop = await till.__aenter__()
        created = await shop.create(label="before")
        known = (await shop.rest.get("/lightning/info")).json()
    try:
        await becomes(shop, health.NODE, NOT_SERVING)
        assert await status(shop, "") == SERVING
        read = await shop.rest.get(f"/lightning/invoice/{created['invoiceid']}")
        assert read.json() == created
        info = (await shop.rest.get("/lightning/info")).json()
        assert info == known | {"online": False}
        async with asyncio.timeout(1):
            refused = await shop.rest.post(
                "/lightning/invoice/create", json={"msat": 1, "metadata": {"type": "shop"}}
            )
        assert (refused.status_code, refused.json()["error"]) == (503, "E8")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await shop.invoices.CreateInvoice(service_pb.CreateInvoiceRequest(metadata='{"type":"shop"}'))
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert await shop.create(label="before") == created

        async with simulated_node(tmp_path / "node"):
            await becomes(shop, health.NODE, SERVING)
            await shop.create()
            await shop.pay(created["payreq"])
            assert (await shop.outcome(created))["status"] == "paid"
    finally:
        await till.__aexit__(None, None, None)


async def test_a_start_without_the_node_uses_its_last_known_info(tmp_path: Path) -> None:
    """A killed node leaves its socket behind."""
    (tmp_path / "node").mkdir()
    settings = config(tmp_path / "till", lightning_rpc=tmp_path / "node" / "rpc")
    async with simulated_node(tmp_path / "node"):
        async with open_shop(settings) as shop:
            await becomes(shop, health.NODE, SERVING)
            known = (await shop.rest.get("/lightning/info")).json()
    stale_socket(tmp_path / "node" / "rpc")

    async with open_shop(settings) as shop:
        assert (await shop.rest.get("/lightning/info")).json() == known | {"online": False}


def stale_socket(path: Path) -> None:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))


async def test_after_a_restart_everything_is_still_there(tmp_path: Path) -> None:
    """Invoices, payments and node info persist; open invoices can be paid."""
    settings = config(tmp_path)
    async with open_shop(settings) as shop:
        paid, unpaid = await shop.create(), await shop.create()
        await shop.pay(paid["payreq"])
        paid = await shop.outcome(paid)
        info = (await shop.rest.get("/lightning/info")).json()

    async with open_shop(settings) as shop:
        for invoice in (paid, unpaid):
            assert (await shop.rest.get(f"/lightning/invoice/{invoice['invoiceid']}")).json() == invoice
        assert (await shop.rest.get("/lightning/info")).json() == info
        await shop.pay(unpaid["payreq"])
        assert (await shop.outcome(unpaid))["status"] == "paid"


async def test_stopping_ends_watches_and_lets_calls_finish(tmp_path: Path) -> None:
    """A gRPC watcher gets a retryable status; an event stream just ends, and its EventSource reconnects."""
    till = Till(config(tmp_path))
    await till.__aenter__()
    async with talk_to(till) as shop:
        created = await shop.create()
        call = shop.invoices.WatchInvoice(service_pb.WatchInvoiceRequest(invoice_id=created["invoiceid"]))
        await call.read()
        events = asyncio.create_task(shop.rest.get(f"/lightning/invoice/{created['invoiceid']}/watch"))
        health_watch = health_stub(shop).Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await health_watch.read()).status == SERVING
        await eventually(lambda: till.hub.watchers == 2)
        stopping = asyncio.create_task(till.__aexit__(None, None, None))

        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "again" in (ended.value.details() or "")
        assert '"status":"unpaid"' in (await events).text
        assert (await health_watch.read()).status == NOT_SERVING
        health_watch.cancel()
        await stopping


async def test_stopping_waits_for_the_load_balancer(tmp_path: Path) -> None:
    """A load balancer sends requests until all its threads have seen NOT_SERVING."""
    till = Till(config(tmp_path, no_rest=True))
    await till.__aenter__()
    async with grpc.aio.insecure_channel(str(till.running.grpc)) as channel:
        balancer: Any = health_pb2_grpc.HealthStub(channel)
        invoices: Any = InvoiceServiceStub(channel)
        assert (await balancer.Check(health_pb2.HealthCheckRequest())).status == SERVING

        stopping = asyncio.create_task(till.__aexit__(None, None, None))
        while (await balancer.Check(health_pb2.HealthCheckRequest())).status == SERVING:
            pass
        await invoices.CreateInvoice(service_pb.CreateInvoiceRequest(metadata='{"type":"shop"}'))
        assert not stopping.done()
        await balancer.Check(health_pb2.HealthCheckRequest())

        await stopping


async def test_an_unknown_method_has_the_usual_form_of_an_error(shop: Shop) -> None:
    call: Any = shop.channel.unary_unary("/till.v1.InvoiceService/CreateFortune")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"")

    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert dict(refused.value.trailing_metadata())["x-error-code"] == "E10"
