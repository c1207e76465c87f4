"""The typed API, directly and through Envoy."""

from typing import Any

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.support.shop import Shop
from till.v1 import invoice_pb2 as pb
from till.v1 import invoice_service_pb2 as service_pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till_rest.v1 import invoice_service_pb2 as rest_pb

GOOD: dict[str, Any] = {"amount_msat": 5000, "metadata": '{"type":"shop"}'}


async def create(shop: Shop, **fields: Any) -> Any:
    reply = await shop.invoices.CreateInvoice(service_pb.CreateInvoiceRequest(**(GOOD | fields)))
    return reply.invoice


def the_error(refused: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, str, Any]:
    """Return the status, code, reason and text of an error, after checking that its ErrorInfo agrees."""
    trailers = dict(refused.trailing_metadata())
    rich = Status.FromString(trailers["grpc-status-details-bin"])
    info = ErrorInfo()
    assert rich.details[0].Unpack(info)
    assert (rich.code, rich.message) == (refused.code().value[0], refused.details())
    assert (info.domain, info.metadata["code"]) == ("till", trailers["x-error-code"])
    return refused.code(), info.metadata["code"], info.reason, refused.details()


async def test_an_invoice_is_created_paid_and_found_by_each_of_its_keys(each_shop: Shop) -> None:
    """The main use case: create, pay, watch, look up."""
    created = await create(
        each_shop, description="a coffee", label="grpc-main-job", expiry=Duration(seconds=60)
    )
    assert created.status == pb.INVOICE_STATUS_UNPAID
    assert created.expires_at.seconds - created.created_at.seconds == 60
    assert (created.amount_msat, created.description, created.label) == (5000, "a coffee", "grpc-main-job")
    assert (created.username, created.metadata) == ("anonymous", '{"type":"shop"}')
    assert not created.HasField("payment")

    await each_shop.pay(created.bolt11)
    states = [each.invoice async for each in each_shop.invoices.WatchInvoice(id_of(created))]
    paid = states[-1]

    assert paid.status == pb.INVOICE_STATUS_PAID
    assert paid.payment.amount_received_msat == 5000
    lookups = [
        {"label": "grpc-main-job"},
        {"payment_hash": created.payment_hash},
        {"payment_hash": created.payment_hash.upper()},
        {"bolt11": created.bolt11},
        {"bolt11": f"lightning:{created.bolt11.upper()}"},
    ]
    for key in lookups:
        assert (
            await each_shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest(**key))
        ).invoice == paid
    assert (
        await each_shop.invoices.GetInvoice(service_pb.GetInvoiceRequest(invoice_id=paid.invoice_id))
    ).invoice == paid
    assert (
        await each_shop.invoices.GetInvoiceById(service_pb.GetInvoiceByIdRequest(id=paid.id))
    ).invoice == paid


def id_of(invoice: pb.Invoice) -> service_pb.WatchInvoiceRequest:
    return service_pb.WatchInvoiceRequest(invoice_id=invoice.invoice_id)


async def test_any_amount_and_amounts_beyond_2_to_the_53(shop: Shop) -> None:
    """An absent amount stays absent, and no digit is lost."""
    any_amount = (
        await shop.invoices.CreateInvoice(service_pb.CreateInvoiceRequest(metadata='{"type":"x"}'))
    ).invoice
    large = await create(shop, amount_msat=2**53 + 1)

    assert not any_amount.HasField("amount_msat")
    assert not any_amount.HasField("description")
    assert not any_amount.HasField("label")
    assert large.amount_msat == 2**53 + 1


async def test_both_protocols_return_the_same_invoice(shop: Shop) -> None:
    created = await create(shop, description="tea", metadata='{ "type": "shop", "n": 1.0 }')

    rest = (await shop.rest.get(f"/lightning/invoice/{created.invoice_id}")).json()

    assert (rest["_id"], rest["payreq"], rest["rhash"]) == (created.id, created.bolt11, created.payment_hash)
    assert created.metadata == '{"type":"shop","n":1.0}'


async def test_info_describes_till_and_its_node(shop: Shop) -> None:
    before = await shop.invoices.GetInfo(service_pb.GetInfoRequest())
    invoice = await create(shop)
    await shop.pay(invoice.bolt11)
    async for _ in shop.invoices.WatchInvoice(id_of(invoice)):
        pass
    after = await shop.invoices.GetInfo(service_pb.GetInfoRequest())

    assert after.online
    assert (after.invoices, after.volume_msat) == (before.invoices + 1, before.volume_msat + 5000)
    assert (after.node.network, after.node.alias) == ("regtest", "till-simulated")


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"amount_msat": 0}, "E1", "amount_msat must be at least 1"),
        ({"amount_msat": 1_844_674_407_370_955_162}, "E1", "amount_msat must be at least 1 and at most"),
        ({"amount_msat": 2**64 - 1}, "E1", "amount_msat must be at least 1 and at most"),
        ({"metadata": ""}, "E1", "metadata is not a JSON object"),
        ({"metadata": "[]"}, "E1", "metadata is not a JSON object"),
        ({"metadata": '{"type":1}'}, "E1", 'metadata must have a member "type"'),
        ({"metadata": '{"type":"x","a":NaN}'}, "E1", "NaN is not JSON"),
        ({"metadata": '{"type":"x",}'}, "E1", "metadata is not a JSON object"),
        ({"metadata": '{"type":"x","type":"x"}'}, "E1", "duplicate name"),
        ({"metadata": '{"type":"x","a":' + "[" * 32 + "]" * 32 + "}"}, "E1", "more than 32 levels"),
        ({"metadata": '{"type":"' + "x" * 16_384 + '"}'}, "E6", "metadata must have at most 16384 bytes"),
        ({"metadata": '{"type":"' + "x" * 100_000 + '"}'}, "E6", "request must have at most"),
        ({"expiry": Duration(seconds=0)}, "E1", "expiry must be whole seconds"),
        ({"expiry": Duration(seconds=-1)}, "E1", "expiry must be whole seconds"),
        ({"expiry": Duration(seconds=1, nanos=1)}, "E1", "expiry must be whole seconds"),
        ({"expiry": Duration(seconds=31_536_001)}, "E1", "expiry must be whole seconds"),
        ({"description": "x" * 8193}, "E6", "description must have at most 8192 bytes"),
        ({"description": "\0"}, "E1", "description must not have control characters"),
        ({"label": ""}, "E1", "label must have 1 to 128 bytes"),
        ({"label": "x" * 129}, "E6", "label must have at most 128 bytes"),
    ],
)
async def test_bad_input_is_refused(shop: Shop, fields: dict[str, Any], code: str, says: str) -> None:
    """The error has the canonical status, ErrorInfo, the documented code, the field and the limit."""
    before = (await shop.invoices.GetInfo(service_pb.GetInfoRequest())).invoices

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(shop, **fields)

    status, told, _, text = the_error(refused.value)
    assert told == code
    assert status == {"E1": grpc.StatusCode.INVALID_ARGUMENT, "E6": grpc.StatusCode.RESOURCE_EXHAUSTED}[code]
    assert says in text
    assert (await shop.invoices.GetInfo(service_pb.GetInfoRequest())).invoices == before


@pytest.mark.parametrize("invoice_id", ["~" * 21, "", "nope", "\0", "x" * 30_000])
async def test_an_unknown_id_is_not_found(each_shop: Shop, invoice_id: str) -> None:
    calls = [
        each_shop.invoices.GetInvoice(service_pb.GetInvoiceRequest(invoice_id=invoice_id)),
        each_shop.invoices.GetInvoiceById(service_pb.GetInvoiceByIdRequest(id=invoice_id)),
        each_shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest(label=invoice_id)),
        each_shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest(payment_hash=invoice_id)),
        each_shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest(bolt11=invoice_id)),
        each_shop.invoices.WatchInvoice(service_pb.WatchInvoiceRequest(invoice_id=invoice_id)).read(),
    ]
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert the_error(refused.value) == (
            grpc.StatusCode.NOT_FOUND,
            "E2",
            "NOT_FOUND",
            "resource not found",
        )


async def test_another_nodes_bolt11_is_not_found(shop: Shop) -> None:
    """The payment hash alone does not make an invoice ours."""
    foreign = (
        "lnbc1pvjluezsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygspp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5"
        "rqwzqfqypqdpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq9qrsgq357wnc5r2ueh7ck6q93dj32dlqnls"
        "087fxdwk8qakdyafkq3yap9us6v52vjjsrvywa6rt52cm9r9zqt8r2t7mlcwspyetp5h2tztugp9lfyql"
    )

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest(bolt11=foreign))

    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_lookup_needs_a_key(shop: Shop) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await shop.invoices.LookupInvoice(service_pb.LookupInvoiceRequest())

    assert the_error(refused.value)[1] == "E1"


async def test_a_label_of_a_different_request_already_exists(each_shop: Shop) -> None:
    first = await create(each_shop, label="grpc-order-1")

    assert await create(each_shop, label="grpc-order-1") == first
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await create(each_shop, label="grpc-order-1", expiry=Duration(seconds=60))
    assert the_error(refused.value) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "E5",
        "CONFLICT",
        "label is in use for an invoice with another expiry",
    )


@pytest.mark.parametrize(
    "method", ["till.v1.InvoiceService/CreateInvoice", "till.rest.v1.InvoiceService/GetInvoice"]
)
async def test_a_malformed_message_is_refused(shop: Shop, method: str) -> None:
    """tilld refuses them; grpc itself would expose an internal text."""
    call: Any = shop.channel.unary_unary(f"/{method}")

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(b"\x0a\x05ab\xff")

    assert the_error(refused.value)[1] in {"E1", "E2"}


async def test_the_typed_api_goes_through_envoy_too(shop: Shop) -> None:
    """Envoy serves the typed API at the address of the REST API."""
    created = await create(shop)
    async with grpc.aio.insecure_channel(shop.rest.base_url.netloc.decode()) as channel:
        invoices = InvoiceServiceStub(channel)

        read = await invoices.GetInvoice(service_pb.GetInvoiceRequest(invoice_id=created.invoice_id))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await invoices.GetInvoice(service_pb.GetInvoiceRequest(invoice_id="nope"))

    assert read.invoice == created
    assert the_error(refused.value)[1] == "E2"


async def test_the_rest_service_answers_without_envoy(shop: Shop) -> None:
    """Other proxies that implement google.api.http can use the service."""
    created = await create(shop)
    call: Any = shop.channel.unary_unary("/till.rest.v1.InvoiceService/GetInvoice")

    reply = await call(rest_pb.GetInvoiceRequest(invoice_id=created.invoice_id).SerializeToString())

    assert created.invoice_id.encode() in reply
