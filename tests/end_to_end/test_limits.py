"""The limits of a key, as REST and gRPC report them."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc.aio
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tests.support.shop import config, open_shop
from till.v1 import invoice_service_pb2 as pb

BODY = {"msat": 5000, "metadata": {"type": "shop"}}


async def test_too_many_creates_get_a_retry_delay(tmp_path: Path) -> None:
    """The delay is in whole seconds over REST, and exact over gRPC."""
    async with open_shop(config(tmp_path, key_creates_per_second=0.5)) as shop:
        await shop.create()

        over_rest = await shop.rest.post("/lightning/invoice/create", json=BODY)
        over_grpc = await refusal(
            shop.invoices.CreateInvoice(pb.CreateInvoiceRequest(metadata='{"type":""}'))
        )

    assert (over_rest.status_code, over_rest.json()["error"]) == (429, "E7")
    assert 1 <= int(over_rest.headers["retry-after"]) <= 2
    assert over_grpc.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    delay = retry_info(over_grpc).retry_delay.ToTimedelta().total_seconds()
    assert 0 < delay <= 2


async def test_too_many_open_invoices_and_watches_are_refused(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, key_open_invoices=2, key_watches=1)) as shop:
        first, _ = await shop.create(), await shop.create()
        third = await shop.rest.post("/lightning/invoice/create", json=BODY)
        watch = shop.invoices.WatchInvoice(pb.WatchInvoiceRequest(invoice_id=first["invoiceid"]))
        await watch.read()
        second_watch = await shop.rest.get(f"/lightning/invoice/{first['invoiceid']}/watch")
        await shop.pay(first["payreq"])
        assert (await watch.read()).invoice.payment.pay_index == 1

        assert (third.status_code, "too many open invoices (2 per key)" in third.json()["message"]) == (
            429,
            True,
        )
        assert (second_watch.status_code, int(second_watch.headers["retry-after"])) == (429, 10)
        await shop.create()


async def refusal(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    try:
        await asyncio.wait_for(call, 10)
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call was not refused")


def retry_info(error: grpc.aio.AioRpcError) -> RetryInfo:
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = [detail for detail in Status.FromString(details).details if detail.Is(RetryInfo.DESCRIPTOR)]
    info = RetryInfo()
    assert found[0].Unpack(info)
    return info
