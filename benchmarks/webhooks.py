"""The users of a Till that have webhooks, and the receiver of their events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import grpc.aio

from benchmarks import stores
from benchmarks.bench import Bench
from benchmarks.processes import Program, python, running
from benchmarks.receiver import Arrival
from benchmarks.stand_in import AMOUNT_MSAT
from benchmarks.till import Till
from till.v1 import invoice_service_pb2 as invoice_pb
from till.v1 import webhook_service_pb2 as pb
from tilld.errors import OperatorError

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Receiver:
    """The running receiver."""

    url: str
    program: Program
    _session: aiohttp.ClientSession

    async def arrivals(self, path: str, count: int) -> list[Arrival]:
        """Wait for this many posts to a path; return and forget them."""
        try:
            async with self._session.get(f"{self.url}{path}?{count}") as response:
                return [Arrival(*each) for each in await response.json(content_type=None)]
        except TimeoutError:
            raise OperatorError(f"fewer than {count} events arrived in {PATIENCE_SECONDS:g} s") from None

    async def answer(self, path: str, status: int) -> None:
        """Let a path answer with a status from now on, or never (0); forget its posts."""
        await self._session.put(f"{self.url}{path}", data=str(status))


class Owner:
    """A user of a Till."""

    def __init__(self, till: Till, channel: grpc.aio.Channel, key: str) -> None:
        self.till = till
        self._channel = channel
        self._metadata = [("authorization", f"Bearer {key}")]

    async def add(self, url: str, *types: str) -> str:
        """Create a webhook; return its id."""
        request = pb.CreateWebhookRequest(url=url, types=types)
        reply = await self._call("WebhookService/CreateWebhook", request.SerializeToString())
        return pb.CreateWebhookResponse.FromString(reply).webhook.id

    async def delete(self, webhook_id: str) -> None:
        """Delete a webhook."""
        request = pb.DeleteWebhookRequest(id=webhook_id)
        await self._call("WebhookService/DeleteWebhook", request.SerializeToString())

    async def replay(self, webhook_id: str) -> None:
        """Send all events of the log again."""
        request = pb.ReplayEventsRequest(id=webhook_id)
        await self._call("WebhookService/ReplayEvents", request.SerializeToString())

    async def create(self, webhook_url: str | None = None) -> invoice_pb.CreateInvoiceResponse:
        """Create an invoice."""
        request = invoice_pb.CreateInvoiceRequest(
            amount_msat=AMOUNT_MSAT, metadata=stores.METADATA, webhook_url=webhook_url
        )
        reply = await self._call("InvoiceService/CreateInvoice", request.SerializeToString())
        return invoice_pb.CreateInvoiceResponse.FromString(reply)

    async def _call(self, method: str, message: bytes) -> bytes:
        invoke: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            f"/till.v1.{method}"
        )
        try:
            return await invoke(message, metadata=self._metadata)
        except grpc.aio.AioRpcError as refused:
            raise OperatorError(f"{method} returns {refused.code().name}: {refused.details()}") from None


@asynccontextmanager
async def receiving(bench: Bench) -> AsyncIterator[Receiver]:
    """Run the receiver."""
    log = bench.directory / "receiver.log"
    async with (
        running(*python("benchmarks.receiver"), log=log, cores=bench.cores.clients) as program,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS)) as session,
    ):
        yield Receiver(await program.line(), program, session)
