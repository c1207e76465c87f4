"""Readers of events that come back after each loss, and continue after the last event that they have."""

import asyncio
import json
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import grpc.aio

from till.v1 import event_service_pb2 as pb
from till.v1.event_service_pb2_grpc import EventServiceStub
from till_rest.v1 import event_service_pb2 as rest_pb
from till_rest.v1.event_service_pb2_grpc import EventServiceStub as RestEventServiceStub

PATIENCE_SECONDS = 3
# Readers that come back faster take the processor that a killed process needs to start again.
PAUSE_SECONDS = 0.2


class Received(NamedTuple):
    """An event as an interface returned it."""

    id: str
    sequence: int
    type: str
    subject: str


class Reader(ABC):
    """An application that reads the log of its user by one interface."""

    def __init__(self, address: Callable[[], str], key: dict[str, str]) -> None:
        self.received: list[Received] = []
        self._address = address
        self.metadata = tuple(key.items())

    async def run(self) -> None:
        """Read until cancelled, at any replica."""
        while True:
            with suppress(grpc.aio.AioRpcError, TimeoutError):
                async with grpc.aio.insecure_channel(self._address()) as channel:
                    async for event in self._read(channel, self.after):
                        self.received.append(event)
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))

    @property
    def after(self) -> int:
        """The sequence of the last event."""
        return self.received[-1].sequence if self.received else 0

    @abstractmethod
    def _read(self, channel: grpc.aio.Channel, after: int) -> AsyncIterator[Received]:
        """Yield the events after a sequence, until the call ends."""


class Stream(Reader):
    """WatchEvents of gRPC."""

    async def _read(self, channel: grpc.aio.Channel, after: int) -> AsyncIterator[Received]:
        stub: Any = EventServiceStub(channel)
        call = stub.WatchEvents(pb.WatchEventsRequest(after=after), metadata=self.metadata)
        async for response in call:
            for event in response.events:
                yield _typed(event)


class List(Reader):
    """ListEvents of gRPC."""

    async def _read(self, channel: grpc.aio.Channel, after: int) -> AsyncIterator[Received]:
        stub: Any = EventServiceStub(channel)
        request = pb.ListEventsRequest(after=after, page_size=50)
        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await stub.ListEvents(request, metadata=self.metadata)
        for event in response.events:
            yield _typed(event)


class LongPoll(Reader):
    """GET /lightning/events with `wait`."""

    async def _read(self, channel: grpc.aio.Channel, after: int) -> AsyncIterator[Received]:
        stub: Any = RestEventServiceStub(channel)
        request = rest_pb.ListEventsRequest(after=str(after), wait="1")
        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await stub.ListEvents(request, metadata=self.metadata)
        for event in json.loads(response.data)["events"]:
            yield received_json(event)


class ServerSentEvents(Reader):
    """GET /lightning/events/stream, resumed by Last-Event-ID."""

    async def _read(self, channel: grpc.aio.Channel, after: int) -> AsyncIterator[Received]:
        stub: Any = RestEventServiceStub(channel)
        metadata = (*self.metadata, ("last-event-id", str(after)))
        async for response in stub.WatchEvents(rest_pb.WatchEventsRequest(), metadata=metadata):
            for line in response.data.decode().splitlines():
                if line.startswith("data: "):
                    yield received_json(json.loads(line.removeprefix("data: ")))


READERS = (Stream, List, LongPoll, ServerSentEvents)


def _typed(event: Any) -> Received:
    return Received(event.id, event.sequence, event.type, event.invoice.invoice_id)


def received_json(event: dict[str, Any]) -> Received:
    """Return what an interface with JSON returned."""
    return Received(event["id"], event["sequence"], event["type"], event["data"]["invoiceid"])
