"""tilld is killed while it sends an invoice; after its restart it reports the one payment."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tests.support.clock import RunningClock
from tests.support.killed import SENDING
from tests.support.node_pair import pair_of_nodes
from tests.support.processes import Process
from tests.support.rpc import connected
from till.v1 import invoice_service_pb2
from till.v1 import invreq_service_pb2 as pb
from till.v1.invoice_pb2 import INVOICE_STATUS_PAID
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from till.v1.invreq_service_pb2_grpc import InvreqServiceStub


@asynccontextmanager
async def a_till(
    rpc_file: Path, database: str, point: str | None
) -> AsyncIterator[tuple[Process, grpc.aio.Channel]]:
    """Run tilld as a process; with a point, the process is killed when it reaches the point."""
    program = ("tests.support.killed", point, "1") if point else ("tilld.cli",)
    process = Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *program,
            "run",
            "--no-rest",
            "--grpc=127.0.0.1:0",
            f"--lightning-rpc={rpc_file}",
            f"--database={database}",
            f"--data-dir={rpc_file.parent / 'till'}",
            start_new_session=True,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    )
    try:
        address = await process.says(r"gRPC +(127\.0\.0\.1:\d+)\n")
        async with grpc.aio.insecure_channel(address) as channel:
            yield process, channel
    finally:
        if process.process.returncode is None:
            await process.end(signal.SIGKILL)


@pytest.mark.parametrize("point", SENDING)
async def test_killed_while_sending(point: str, database_url: str, tmp_path: Path) -> None:
    """The invoice request allows repeated payments, but a repeated send is paid once."""
    async with pair_of_nodes(tmp_path, RunningClock()) as pair, connected(pair.rpc_file("a")) as payer:
        made = await payer.result("invoicerequest", amount=1000, description="d", single_use=False)
        request = pb.SendInvoiceRequest(invreq=made["bolt12"], label="x")
        async with a_till(pair.rpc_file("b"), database_url, point) as (till, channel):
            with pytest.raises(grpc.aio.AioRpcError):
                await InvreqServiceStub(channel).SendInvoice(request)
            assert await till.process.wait() == -signal.SIGKILL

        async with a_till(pair.rpc_file("b"), database_url, None) as (_, channel):
            invreqs: Any = InvreqServiceStub(channel)
            sent = await invreqs.SendInvoice(request)
            again = await invreqs.SendInvoice(request)
            info = await InvoiceServiceStub(channel).GetInfo(invoice_service_pb2.GetInfoRequest())

        assert sent == again
        assert sent.invoice.status == INVOICE_STATUS_PAID
        assert (info.invoices, info.volume_msat) == (1, 1000)
        assert len((await payer.result("listpays"))["pays"]) == 1
