"""Payability, exposed channels and hashed descriptions, over both APIs."""

import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import grpc.aio
import pytest

from lightningd_simulator.bolts import bolt11
from lightningd_simulator.channels import USUAL
from tests.support.shop import Shop, config, open_shop
from till.v1 import invoice_service_pb2 as pb

PUBLIC, PRIVATE = USUAL
RECEIVABLE = PUBLIC.receivable_msat
ALIAS = PRIVATE.remote_alias
NUMBERS = {
    "ok": pb.PAYABILITY_STATUS_OK,
    "insufficient": pb.PAYABILITY_STATUS_INSUFFICIENT,
    "private_only": pb.PAYABILITY_STATUS_PRIVATE_ONLY,
    "unknown": pb.PAYABILITY_STATUS_UNKNOWN,
}


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(config(tmp_path_factory.mktemp("payability"))) as shop:
        yield shop


async def over_rest(shop: Shop, **fields: Any) -> tuple[int, Any]:
    body = {"msat": 5000, "metadata": {"type": "shop"}} | fields
    reply = await shop.rest.post("/lightning/invoice/create", content=json.dumps(body))
    return reply.status_code, reply.json()


async def over_grpc(shop: Shop, **fields: Any) -> pb.CreateInvoiceResponse:
    good: dict[str, Any] = {"amount_msat": 5000, "metadata": '{"type":"shop"}'}
    response: pb.CreateInvoiceResponse = await shop.invoices.CreateInvoice(
        pb.CreateInvoiceRequest(**good | fields)
    )
    return response


def exposed(value: bool | list[str]) -> pb.ExposePrivateChannels:
    """Return the message for a value of REST."""
    if isinstance(value, list):
        return pb.ExposePrivateChannels(short_channel_ids=value)
    return pb.ExposePrivateChannels(all=value)


def hints(payreq: str) -> list[str]:
    return [route[0].short_channel_id for route in bolt11.read(payreq).routes or []]


@pytest.mark.parametrize(
    ("amount_msat", "channels", "status", "detail", "named"),
    [
        (5000, None, "ok", "", ["103x1x0"]),
        (RECEIVABLE + 1, None, "private_only", "set expose_private_channels", ["103x1x0"]),
        (RECEIVABLE + 1, False, "private_only", "set expose_private_channels", ["103x1x0"]),
        (RECEIVABLE + 1, True, "ok", "in several parts", None),
        (5000, ["104x1x0"], "ok", "", [ALIAS]),
        (5000, ["104x1x0", "1x1x1"], "ok", "", [ALIAS]),
        (2 * RECEIVABLE + 1, None, "insufficient", "get more incoming capacity", ["103x1x0"]),
    ],
)
async def test_a_create_estimates_and_names_channels(
    shop: Shop, amount_msat: int, channels: Any, status: str, detail: str, named: list[str] | None
) -> None:
    """Both APIs agree; null over REST is the same as an absent field."""
    code, made = await over_rest(shop, msat=amount_msat, expose_private_channels=channels)
    response = await over_grpc(
        shop,
        amount_msat=amount_msat,
        expose_private_channels=None if channels is None else exposed(channels),
    )

    assert (code, made["payability"]["status"]) == (200, status)
    assert detail in made["payability"]["detail"]
    assert bool(detail) == bool(made["payability"]["detail"])
    assert response.payability == pb.Payability(status=NUMBERS[status], detail=made["payability"]["detail"])
    for payreq in (made["payreq"], response.invoice.bolt11):
        assert hints(payreq) == named if named else set(hints(payreq)) == {"103x1x0", ALIAS}


async def test_only_the_create_estimates(shop: Shop) -> None:
    """A repeat finds the stored invoice; reads and events never have an estimate."""
    _, made = await over_rest(shop, label="order-1")
    repeated = (await over_rest(shop, label="order-1"))[1]
    response = await over_grpc(shop, label="order-1")
    read = (await shop.rest.get(f"/lightning/invoice/{made['invoiceid']}")).json()
    await shop.pay(made["payreq"])
    last = await shop.outcome(made)

    assert repeated["payability"]["status"] == "unknown"
    assert "existed before" in repeated["payability"]["detail"]
    assert response.payability.status == pb.PAYABILITY_STATUS_UNKNOWN
    assert repeated | {"payability": None} == made | {"payability": None}
    assert "payability" not in read.keys() | last.keys()
    assert "watch_token" not in read


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["1x1"], "expose_private_channels has '1x1'; a short channel id has a form"),
        (["1x1x65536"], "expose_private_channels has '1x1x65536'; a short channel id has"),
        (["1x1x1"] * 21, "expose_private_channels must have 1 to 20 short channel ids, but has 21"),
        (["1x1x1"], "expose_private_channels names no channel of the node that is open and online"),
    ],
)
async def test_wrong_channels_get_the_same_answer(shop: Shop, value: list[str], message: str) -> None:
    code, refused = await over_rest(shop, expose_private_channels=value)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await over_grpc(shop, expose_private_channels=exposed(value))

    assert (code, refused["error"]) == (400, "E1")
    assert refused["message"].startswith(message)
    assert (failed.value.code(), failed.value.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT, refused["message"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"expose_private_channels": []}, "expose_private_channels must have 1 to 20"),
        ({"expose_private_channels": "103x1x0"}, "expose_private_channels must be true, false or a list"),
        ({"expose_private_channels": 1}, "expose_private_channels must be true, false or a list"),
        ({"expose_private_channels": [1]}, "expose_private_channels must be true, false or a list"),
        ({"expose_private_channels": [None]}, "expose_private_channels must be true, false or a list"),
        ({"expose_private_channels": {"all": True}}, "expose_private_channels must be true, false or a"),
        ({"expose_private_channels": ["\ud800"]}, "expose_private_channels "),
        ({"description_hash_only": "true"}, "description_hash_only must be true or false"),
        ({"description_hash_only": True}, "description_hash_only needs a description"),
        ({"description_hash_only": True, "description": ""}, "description_hash_only needs a description"),
    ],
)
async def test_wrong_values_over_rest(shop: Shop, fields: dict[str, Any], message: str) -> None:
    code, refused = await over_rest(shop, **fields)

    assert (code, refused["error"]) == (400, "E1")
    assert refused["message"].startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"expose_private_channels": pb.ExposePrivateChannels(all=True, short_channel_ids=["1x1x1"])},
            "expose_private_channels has both all and short_channel_ids; omit one",
        ),
        ({"description_hash_only": True}, "description_hash_only needs a description"),
    ],
)
async def test_wrong_values_over_grpc(shop: Shop, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await over_grpc(shop, **fields)

    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.details() == message


async def test_the_payment_request_may_have_only_the_hash(shop: Shop) -> None:
    """As LNURL requires: Till still shows the description. A repeat without the flag conflicts."""
    order = {"description": '[["text/plain","tea"]]', "label": "hashed"}

    code, made = await over_rest(shop, **order, description_hash_only=True)
    response = await over_grpc(shop, **order, description_hash_only=True)
    other, refused = await over_rest(shop, **order)

    found = bolt11.read(made["payreq"])
    assert (code, made["description"]) == (200, order["description"])
    assert (found.description, found.description_hash) == (
        None, sha256(order["description"].encode()).hexdigest()
    )  # fmt: skip
    assert response.invoice.bolt11 == made["payreq"]
    assert (other, refused["error"]) == (409, "E5")
    assert refused["message"] == "label is in use for an invoice with another description_hash_only"
