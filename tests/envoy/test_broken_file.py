"""A file that fails midway never looks complete, through the real dispatcher and Envoy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc_health.v1 import health, health_pb2_grpc

from tests.support.till import Parts
from till_rest.v1 import invoice_service_pb2 as rest
from tilld.auth.access import Access
from tilld.auth.repository import KeyStore
from tilld.config import Address
from tilld.envoy.process import Envoy
from tilld.errors import Unavailable
from tilld.grpc_api.dispatcher import FILE, Dispatcher


@pytest.mark.parametrize("http2", [False, True])
async def test_a_file_that_fails_midway_breaks_the_connection(tmp_path: Path, http2: bool) -> None:
    """A failure before the first line is an error like any other."""
    told: list[bytes] = [b"first\r\n"]

    async def export(request: Any, context: Any) -> AsyncIterator[HttpBody]:
        for each in told:
            yield HttpBody(content_type="text/csv", data=each)
        await read.wait()
        raise Unavailable

    read = asyncio.Event()
    till = Parts(tmp_path)
    handler = grpc.unary_stream_rpc_method_handler(
        export, rest.ExportInvoicesRequest.FromString, HttpBody.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Dispatcher({FILE: handler}, Access(KeyStore(till.store))),))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    address = Address("127.0.0.1", server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    envoy = Envoy(Address("127.0.0.1", 0), [address], tmp_path)
    await envoy.start()
    url = f"http://{envoy.rest}/lightning/invoices.csv"
    try:
        async with httpx.AsyncClient(http1=not http2, http2=http2) as client:
            async with client.stream("GET", url) as response:
                chunks = response.aiter_bytes()
                first = await anext(chunks)
                read.set()
                with pytest.raises(httpx.RemoteProtocolError):
                    await anext(chunks)
            told.clear()
            refused = await client.get(url)
    finally:
        await envoy.stop(0)
        await server.stop(None)
        await till.close()

    assert (response.status_code, first) == (200, b"first\r\n")
    assert (refused.status_code, refused.json()["error"]) == (503, "E8")
