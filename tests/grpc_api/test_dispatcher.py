"""The dispatcher maps an unexpected exception to an internal error."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.samples import NODE_ID
from tests.support.scripted_node import Request, result, scripted_node
from tests.support.till import Parts
from till.v1 import invoice_service_pb2 as pb
from till.v1 import invoice_service_pb2_grpc as invoice_service
from tilld.auth.access import Access
from tilld.auth.repository import KeyStore
from tilld.grpc_api.dispatcher import Dispatcher
from tilld.grpc_api.invoice_servicer import InvoiceServicer
from tilld.grpc_api.registrar import Registrar

REPLIES = {
    "getinfo": {
        "id": NODE_ID, "alias": "", "color": "02abab", "num_peers": 0, "num_pending_channels": 0,
        "num_active_channels": 0, "num_inactive_channels": 0, "version": "v26", "blockheight": 0,
        "network": "regtest", "fees_collected_msat": 0,
    },
    "invoice": {"payment_hash": "ab" * 32, "expires_at": 2_000_000_000, "bolt11": "lnbcrt1"},
}  # fmt: skip


async def test_a_bug_in_reading_a_reply_is_not_logged_as_lightningds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller gets no details; the log has the traceback."""

    async def slip(reply: Any, method: str, *more: Any) -> Any:
        if method == "invoice":
            raise AttributeError("a slip")
        return await ask(reply, method, *more)

    async def answer(request: Request) -> bytes:
        return result(request, REPLIES[request["method"]])

    till = Parts(tmp_path)
    ask = till.node.ask
    monkeypatch.setattr(till.node, "ask", slip)
    registrar: Any = Registrar()
    invoice_service.add_InvoiceServiceServicer_to_server(
        InvoiceServicer(till.invoicing, till.lists), registrar
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Dispatcher(registrar.handlers, Access(KeyStore(till.store))),))
    address = f"unix:{tmp_path / 'grpc'}"
    server.add_insecure_port(address)
    await server.start()
    async with scripted_node(tmp_path / "rpc", answer), grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await invoice_service.InvoiceServiceStub(channel).CreateInvoice(
                pb.CreateInvoiceRequest(amount_msat=1000, metadata='{"type":""}')
            )
        await till.close()
    await server.stop(None)

    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "slip" not in str(failed.value.details())
    logged = capsys.readouterr().out
    assert "call failed" in logged
    assert "Traceback" in logged
    assert "AttributeError: a slip" in logged
    assert "is malformed" not in logged
