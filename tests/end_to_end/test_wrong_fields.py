"""An invalid field gets the same response from every method of both APIs."""

import json
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc.aio
import httpx
import pytest
from google.protobuf.message import Message

from tests.support.keys import make_key
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2, invreq_service_pb2
from till.v1 import webhook_service_pb2 as webhook_pb
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub
from till.v1.webhook_service_pb2_grpc import WebhookServiceStub
from tilld.formats.amounts import MAX_AMOUNT_MSAT

WEBHOOKS = "/lightning/webhooks"
SCOPES = ("invoices:create", "payouts", "webhooks")
TYPE = {"type": "shop"}
# For each method: its path, the REST name of its amount, and the fields of a valid request.
METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "CreateInvoice": (
        "/lightning/invoice/create", "msat",
        {"amount_msat": 5000, "metadata": TYPE, "description": "d", "label": "l"},
    ),
    "CreateInvreq": (
        "/lightning/invoicerequest/create", "amount",
        {"amount_msat": 5000, "description": "d", "issuer": "i", "label": "l"},
    ),
    "SendInvoice": (
        "/lightning/invoice/send", "amount_msat",
        {"amount_msat": 5000, "metadata": TYPE, "invreq": "lnr1qqqq", "label": "l"},
    ),
}  # fmt: skip
REQUESTS: dict[str, Any] = {
    "CreateInvoice": invoice_service_pb2.CreateInvoiceRequest,
    "CreateInvreq": invreq_service_pb2.CreateInvreqRequest,
    "SendInvoice": invreq_service_pb2.SendInvoiceRequest,
}


@pytest.fixture(scope="module")
async def cashier(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shop, dict[str, str]]]:
    """A Till, and the header of a key that may call every method."""
    directory = tmp_path_factory.mktemp("fields")
    async with open_shop(config(directory)) as shop:
        yield shop, await make_key(directory, "--username=all", *(f"--scope={each}" for each in SCOPES))


@pytest.mark.parametrize(
    ("field", "value", "code", "message"),
    [
        ("label", "", "E1", "label must have 1 to 128 bytes"),
        ("label", "a\nb", "E1", "label must not have control characters"),
        ("label", "x" * 129, "E6", "label must have at most 128 bytes, but has 129"),
        ("label", "é" * 65, "E6", "label must have at most 128 bytes, but has 130"),
        ("description", "\x1b", "E1", "description must not have control characters except tabs"),
        ("description", "é" * 4097, "E6", "description must have at most N bytes, but has 8194"),
        ("issuer", "a\tb", "E1", "issuer must not have control characters"),
        ("issuer", "x" * 129, "E6", "issuer must have at most 128 bytes, but has 129"),
        ("invreq", "lnr1" + "q" * 8189, "E6", "invreq must have at most 8192 bytes, but has 8193"),
        ("amount_msat", 0, "E1", "amount_msat must be at least 1 and at most 1844674407370955161"),
        ("amount_msat", MAX_AMOUNT_MSAT + 1, "E1", "amount_msat must be at least 1 and at most 18446744073"),
        ("metadata", {}, "E1", 'metadata must have a member "type" that is a string'),
        ("metadata", TYPE | {"x": "y" * 16_384}, "E6", "metadata must have at most 16384 bytes"),
    ],
)
async def test_a_wrong_field_gets_the_same_answer_everywhere(
    cashier: tuple[Shop, dict[str, str]], field: str, value: Any, code: str, message: str
) -> None:
    shop, header = cashier
    told = set()
    for method, (path, amount, good) in METHODS.items():
        if field in good:
            wanted = good | {field: value}
            told.add(await _over_rest(shop, header, path, amount, wanted))
            told.add(await _over_grpc(shop, header, method, wanted))

    [(told_code, told_message)] = told
    assert told_code == code
    assert told_message.startswith(message)


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("", "E1", "must have 1 to 2000 bytes"),
        ("https://shop.example/\n", "E1", "must not have control characters"),
        ("shop.example", "E1", "must be an absolute https URL, such as https://shop.example/webhook"),
        ("https://a@shop.example/", "E1", "must have no user, no password and no fragment"),
        ("https://127.1/", "E1", "must have a host such as shop.example"),
        ("http://shop.example/", "E1", "must be a public address with https"),
        ("https://10.0.0.5/", "E1", "must be a public address with https"),
        ("https://shop.example/" + "x" * 2000, "E6", "must have at most 2000 bytes, but has 2021"),
        ("https://shop.example/" + "é" * 400, "E6", "must have at most 2000 bytes, but has 2421"),
    ],
)
async def test_a_wrong_url_of_a_webhook_gets_the_same_answer_everywhere(
    cashier: tuple[Shop, dict[str, str]], url: str, code: str, message: str
) -> None:
    """Each error names the field as its API does."""
    shop, header = cashier
    webhooks, key = WebhookServiceStub(shop.channel), tuple(header.items())
    good = {"url": "https://shop.example/", "types": ["invoice.paid"]}
    made = (await shop.rest.post(WEBHOOKS, json=good, headers=header)).json()
    path = f"{WEBHOOKS}/{made['id']}"
    invoice = {"msat": 5000, "metadata": TYPE}

    told = [
        await _refused(shop.rest.post(WEBHOOKS, json={"url": url}, headers=header)),
        await _refused(shop.rest.patch(path, json={"url": url}, headers=header)),
        await _refused(
            shop.rest.post("/lightning/invoice/create", json=invoice | {"webhook": url}, headers=header)
        ),
        await _failed(webhooks.CreateWebhook(webhook_pb.CreateWebhookRequest(url=url), metadata=key)),
        await _failed(
            webhooks.UpdateWebhook(webhook_pb.UpdateWebhookRequest(id=made["id"], url=url), metadata=key)
        ),
        await _failed(
            shop.invoices.CreateInvoice(
                invoice_service_pb2.CreateInvoiceRequest(metadata=json.dumps(TYPE), webhook_url=url),
                metadata=key,
            )
        ),
    ]
    await shop.rest.delete(path, headers=header)

    assert {each for each, _ in told} == {code}
    fields, texts = zip(*(text.split(" ", 1) for _, text in told), strict=True)
    assert fields == ("url", "url", "webhook", "url", "url", "webhook_url")
    assert len({*texts}) == 1
    assert texts[0].startswith(message)


async def test_the_requests_are_valid_without_the_wrong_field(cashier: tuple[Shop, dict[str, str]]) -> None:
    shop, header = cashier

    for path, amount, good in (METHODS["CreateInvoice"], METHODS["CreateInvreq"]):
        reply = await shop.rest.post(path, json=_body(amount, good), headers=header)
        assert reply.status_code == 200, reply.text


async def _over_rest(
    shop: Shop, header: dict[str, str], path: str, amount: str, wanted: dict[str, Any]
) -> tuple[str, str]:
    code, message = await _refused(shop.rest.post(path, json=_body(amount, wanted), headers=header))
    return code, _comparable(re.sub(rf"^{amount}\b", "amount_msat", message))


async def _refused(call: Awaitable[httpx.Response]) -> tuple[str, str]:
    answer = (await call).json()
    return answer["error"], answer["message"]


def _body(amount: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {amount if name == "amount_msat" else name: value for name, value in fields.items()}


async def _over_grpc(
    shop: Shop, header: dict[str, str], method: str, wanted: dict[str, Any]
) -> tuple[str, str]:
    fields = wanted | ({"metadata": json.dumps(wanted["metadata"])} if "metadata" in wanted else {})
    request: Message = REQUESTS[method](**fields)
    stub = shop.invoices if method == "CreateInvoice" else InvreqServiceStub(shop.channel)
    code, message = await _failed(getattr(stub, method)(request, metadata=tuple(header.items())))
    return code, _comparable(message)


async def _failed(call: Awaitable[Any]) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    trailers = dict(refused.value.trailing_metadata() or ())
    return str(trailers["x-error-code"]), refused.value.details() or ""


def _comparable(message: str) -> str:
    """Mask the limit, because invoices may have longer descriptions than invoice requests."""
    return re.sub(r"^(description must have at most) \d+", r"\1 N", message)
