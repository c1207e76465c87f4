"""The agent of the Python client: see clients/conformance/README.md."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from till.v1 import invoice_pb2
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub

FINAL = (invoice_pb2.INVOICE_STATUS_PAID, invoice_pb2.INVOICE_STATUS_EXPIRED)
# A connection that was lost shows as one of these; behind a proxy as the last two.
LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
# gRPC's own pauses between attempts to connect would grow far beyond ours.
OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000)]


class Agent:
    """Does what comes on standard input, everything at once."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Go on to the end of standard input."""
        while line := await asyncio.to_thread(sys.stdin.readline):
            told = json.loads(line)
            self._tasks[told["id"]] = asyncio.create_task(self._answer(told))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values())

    async def _answer(self, told: dict[str, Any]) -> None:
        try:
            ok = await getattr(self, f"_{told['op']}")(told)
            say(told, ok=ok)
        except grpc.aio.AioRpcError as error:
            say(told, error=plain(error))
        except (TimeoutError, asyncio.CancelledError) as error:
            status = "CANCELLED" if isinstance(error, asyncio.CancelledError) else "DEADLINE_EXCEEDED"
            say(told, error={"status": status})
        except Exception as error:
            say(told, error={"status": "UNKNOWN", "message": repr(error)})

    async def _connect(self, told: dict[str, Any]) -> dict[str, Any]:
        if ca_file := told.get("ca_file"):
            credentials = grpc.ssl_channel_credentials(await asyncio.to_thread(Path(ca_file).read_bytes))
            channel = grpc.aio.secure_channel(told["address"], credentials, OPTIONS)
        else:
            channel = grpc.aio.insecure_channel(told["address"], OPTIONS)
        self._invoices: Any = InvoiceServiceStub(channel)
        self._metadata = [("authorization", f"Bearer {told['key']}")] if "key" in told else []
        return {}

    async def _call(self, told: dict[str, Any]) -> dict[str, Any]:
        request = json_format.ParseDict(told["request"], getattr(pb, f"{told['method']}Request")())
        call = getattr(self._invoices, told["method"])
        reply = await call(request, timeout=told.get("timeout_seconds"), metadata=self._metadata)
        return json_format.MessageToDict(reply)

    async def _watch(self, told: dict[str, Any]) -> dict[str, Any]:
        request = json_format.ParseDict(told["request"], pb.WatchInvoiceRequest())
        async with asyncio.timeout(told.get("timeout_seconds")):
            async for state in self._states(request):
                say(told, event=json_format.MessageToDict(state))
        return {}

    async def _states(self, request: Message) -> AsyncIterator[Any]:
        """All states of an invoice, through lost connections, none twice in a row."""
        last, pause = None, 0.1
        while True:
            try:
                async for state in self._invoices.WatchInvoice(request, metadata=self._metadata):
                    pause = 0.1
                    if state != last:
                        last = state
                        yield state
                    if state.invoice.status in FINAL:
                        return
            except grpc.aio.AioRpcError as error:
                is_lost = error.code() == LOST[0] or (error.code() in LOST and "code" not in plain(error))
                if not is_lost:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _cancel(self, told: dict[str, Any]) -> dict[str, Any]:
        self._tasks[told["call"]].cancel()
        return {}


def plain(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """An error as an agent tells it."""
    told: dict[str, Any] = {"status": error.code().name, "message": error.details()}
    metadata = dict(error.trailing_metadata() or ())
    for detail in Status.FromString(metadata.get("grpc-status-details-bin", b"")).details:
        info, retry = ErrorInfo(), RetryInfo()
        if detail.Unpack(info):
            told |= {"reason": info.reason, "code": info.metadata["code"]}
        if detail.Unpack(retry):
            told["retry_seconds"] = retry.retry_delay.ToTimedelta().total_seconds()
    return told


def say(told: dict[str, Any], **what: Any) -> None:
    """Answer an operation."""
    sys.stdout.write(json.dumps({"id": told["id"]} | what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Agent().run())
