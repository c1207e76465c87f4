"""Targets: each is tried by a real client before any load."""

import asyncio
import json
from collections.abc import Sequence

import grpc.aio
import httpx
from google.protobuf.message import Message

from benchmarks import stores
from benchmarks.bench import Bench, Floor
from benchmarks.floors import SERVICE
from benchmarks.load import BUSY, Call, Calls, H2load, Width, frame, grpc_headers
from benchmarks.stand_in import AMOUNT_MSAT
from benchmarks.till import Till
from till.v1 import invoice_service_pb2 as pb
from till_rest.v1 import invoice_service_pb2 as rest_pb
from tilld.errors import OperatorError

EMPTY = Call(f"/{SERVICE}/Unary", b"")

# h2load uses its paths in the same order on each connection, so several would read the same concurrently.
ONE_CONNECTION = Width(1, BUSY.connections * BUSY.at_once)


def call(method: str, message: Message, package: str = "till.v1") -> Call:
    """Return a call of the invoice service."""
    return Call(f"/{package}.InvoiceService/{method}", message.SerializeToString())


INFO = call("GetInfo", pb.GetInfoRequest())
CREATE = call(
    "CreateInvoice",
    pb.CreateInvoiceRequest(
        amount_msat=AMOUNT_MSAT, metadata=stores.METADATA, description=stores.ORDER.description
    ),
)
REST_CREATE = json.dumps({
    "msat": AMOUNT_MSAT, "metadata": json.loads(stores.METADATA), "description": stores.ORDER.description,
}).encode()  # fmt: skip


def reads(rows: int) -> list[Call]:
    """Return reads by id, from all over a store of this size."""
    return [call("GetInvoice", pb.GetInvoiceRequest(invoice_id=_id(each))) for each in stores.many(rows)]


def reads_of_rest(rows: int) -> list[Call]:
    """Return the same reads by the method that Envoy calls for REST."""
    return [
        call("GetInvoice", rest_pb.GetInvoiceRequest(invoice_id=_id(each)), "till.rest.v1")
        for each in stores.many(rows)
    ]


def lookups(rows: int) -> list[Call]:
    """Return lookups of the same invoices by payment hash."""
    return [
        call("LookupInvoice", pb.LookupInvoiceRequest(payment_hash=stores.payment_hash(each)))
        for each in stores.many(rows)
    ]


def creates() -> list[Call]:
    """Return creates whose metadata differs, all over the index of its members."""
    orders = (json.dumps({"type": "shop", "order": stores.payment_hash(each)[:8]}) for each in range(50_000))
    return [
        call("CreateInvoice", pb.CreateInvoiceRequest(amount_msat=AMOUNT_MSAT, metadata=each))
        for each in orders
    ]


def watches(numbers: Sequence[int]) -> list[Call]:
    """Return watches of invoices."""
    return [call("WatchInvoice", pb.WatchInvoiceRequest(invoice_id=_id(each))) for each in numbers]


def paths(rows: int) -> list[str]:
    """Return the paths of the same reads over REST."""
    return [f"/lightning/invoice/{_id(each)}" for each in stores.many(rows)]


async def one_call(bench: Bench, target: Till | Floor, call: Call, width: Width = BUSY) -> H2load:
    """Return h2load with a single gRPC call."""
    address, key = _where(target)
    [reply] = await answers(target, call)
    url, size = f"http://{address}{call.path}", len(frame(reply))
    return H2load(bench.directory, url, grpc_headers(key), size, width, frame(call.message))


async def many_calls(target: Till | Floor, calls: Sequence[Call], width: Width = BUSY) -> Calls:
    """Return the benchmark's own client with these calls."""
    await answers(target, calls[0])
    return Calls(*_where(target), calls, width)


async def rest(bench: Bench, till: Till, targets: Sequence[str], body: bytes | None = None) -> H2load:
    """Return h2load with REST requests through Envoy, on one path or many."""
    headers = {"authorization": f"Bearer {till.shop.key}"}
    async with httpx.AsyncClient(base_url=till.rest, headers=headers) as client:
        reply = await client.request("GET" if body is None else "POST", targets[0], content=body)
    if reply.status_code != httpx.codes.OK:
        raise OperatorError(f"{till.rest}{targets[0]} returns {reply.status_code}: {reply.text}")
    is_one = len(targets) == 1
    url, many, width = (till.rest + targets[0], (), BUSY) if is_one else (till.rest, targets, ONE_CONNECTION)
    sent = [f"{name}: {value}" for name, value in headers.items()]
    return H2load(bench.directory, url, sent, len(reply.content), width, body, many)


async def answers(target: Till | Floor, *calls: Call) -> list[bytes]:
    """Make calls concurrently; return the replies. Raises OperatorError if one fails."""
    address, key = _where(target)
    metadata = [("authorization", f"Bearer {key}")]

    async def answer(channel: grpc.aio.Channel, call: Call) -> bytes:
        invoke: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(call.path)
        return await invoke(call.message, metadata=metadata)

    try:
        async with grpc.aio.insecure_channel(address) as channel:
            return await asyncio.gather(*(answer(channel, each) for each in calls))
    except grpc.aio.AioRpcError as refused:
        raise OperatorError(f"{calls[0].path} returns {refused.code().name}: {refused.details()}") from None


def _where(target: Till | Floor) -> tuple[str, str]:
    # A floor needs no key, but the header has a cost too.
    return (
        (target.grpc, target.shop.key) if isinstance(target, Till) else (target.address, "till_" + "0" * 56)
    )


def _id(number: int) -> str:
    return stores.invoice_id(number)
