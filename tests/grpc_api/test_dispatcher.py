"""The dispatcher maps an unexpected exception to an internal error."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tests.support.samples import NODE_ID
from tests.support.scripted_node import Request, result, scripted_node
from tests.support.till import Parts
from till.v1 import invoice_service_pb2 as pb
from till.v1 import invoice_service_pb2_grpc as invoice_service
from tilld import errors
from tilld.auth.access import Access
from tilld.auth.repository import KeyStore
from tilld.errors import TillError
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


CREATE = pb.CreateInvoiceRequest(amount_msat=1000, metadata='{"type":""}')


class Failing:
    """Invoices whose create fails."""

    def __init__(self, failure: TillError) -> None:
        self._failure = failure

    async def create(self, *_: Any) -> Any:
        raise self._failure


@asynccontextmanager
async def served(servicer: InvoiceServicer, till: Parts, directory: Path) -> AsyncIterator[Any]:
    registrar: Any = Registrar()
    invoice_service.add_InvoiceServiceServicer_to_server(servicer, registrar)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Dispatcher(registrar.handlers, Access(KeyStore(till.store))),))
    address = f"unix:{directory / 'grpc'}"
    server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield invoice_service.InvoiceServiceStub(channel)
    await server.stop(None)


@pytest.mark.parametrize(
    ("error", "numbers"),
    [
        (errors.NotActive, {"code": "E11", "lightningd_code": "1001"}),
        (errors.Expired, {"code": "E12", "lightningd_code": "1002"}),
        (errors.Unreachable, {"code": "E13", "lightningd_code": "1003"}),
        (errors.Refused, {"code": "E14", "lightningd_code": "1004"}),
        (errors.NotPaid, {"code": "E15", "lightningd_code": "1005"}),
        (errors.NodeFailed, {"code": "E0"}),
        (errors.Conflict, {"code": "E5"}),
    ],
)
async def test_an_error_of_sendinvoice_has_lightningds_number_too(
    tmp_path: Path, error: type[TillError], numbers: dict[str, str]
) -> None:
    till = Parts(tmp_path)
    failing: Any = Failing(error("told"))
    async with served(InvoiceServicer(failing, till.lists), till, tmp_path) as invoices:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await invoices.CreateInvoice(CREATE)
    await till.close()

    trailers = dict(failed.value.trailing_metadata() or ())
    info = ErrorInfo()
    assert Status.FromString(trailers["grpc-status-details-bin"]).details[0].Unpack(info)
    assert dict(info.metadata) == numbers
    assert trailers["x-error-code"] == numbers["code"]


async def test_a_bug_in_reading_a_reply_is_not_logged_as_lightningds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller gets no details; the log has the traceback."""

    async def slip(method: str, *more: Any, **options: Any) -> Any:
        if method == "invoice":
            raise AttributeError("a slip")
        return await call(method, *more, **options)

    async def answer(request: Request) -> bytes:
        return result(request, REPLIES[request["method"]])

    till = Parts(tmp_path)
    call = till.node.rpc.call
    monkeypatch.setattr(till.node.rpc, "call", slip)
    async with (
        scripted_node(tmp_path / "rpc", answer),
        served(InvoiceServicer(till.invoicing, till.lists), till, tmp_path) as invoices,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await invoices.CreateInvoice(CREATE)
        await till.close()

    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "slip" not in str(failed.value.details())
    logged = capsys.readouterr().out
    assert "call failed" in logged
    assert "Traceback" in logged
    assert "AttributeError: a slip" in logged
    assert "is malformed" not in logged
