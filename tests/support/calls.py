"""Calls whose status a test checks."""

from collections.abc import Awaitable
from typing import Any

import grpc.aio
import pytest

from tests.support.shop import Shop

BODY = {"msat": 5000, "metadata": {"type": "shop"}}


async def create(shop: Shop, headers: dict[str, str], **fields: Any) -> tuple[int, Any]:
    """Create an invoice over REST; return the status, and the body as reads have it."""
    reply = await shop.rest.post("/lightning/invoice/create", json=BODY | fields, headers=headers)
    return reply.status_code, {name: value for name, value in reply.json().items() if name != "payability"}


async def code(call: Awaitable[Any]) -> grpc.StatusCode:
    """Return the status of a gRPC call, which must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    status: grpc.StatusCode = refused.value.code()
    return status
