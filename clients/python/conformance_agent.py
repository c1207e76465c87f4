"""Agent of the Python client: see clients/conformance/README.md."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

import conformance_webhooks
import till
from till.results import STATUS
from till.v1 import invoice_service_pb2 as pb
from till.v1.event_service_pb2 import (
    LOG_POSITION_BEGINNING,
    LOG_POSITION_NOW,
    ListEventsRequest,
    ListEventsResponse,
    WatchEventsRequest,
)
from till.v1.webhook_service_pb2 import RedeliverEventResponse

ORDERS = {
    pb.INVOICE_ORDER_UNSPECIFIED: None,
    pb.INVOICE_ORDER_CREATED_DESC: till.Order.CREATED_DESC,
    pb.INVOICE_ORDER_CREATED_ASC: till.Order.CREATED_ASC,
    pb.INVOICE_ORDER_PAID_DESC: till.Order.PAID_DESC,
    pb.INVOICE_ORDER_PAID_ASC: till.Order.PAID_ASC,
}


Item = TypeVar("Item")
PLACES = {LOG_POSITION_BEGINNING: "beginning", LOG_POSITION_NOW: "now"}


class Agent:
    """Carries out the requests of standard input concurrently."""

    def __init__(self) -> None:
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Run to the end of standard input."""
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
        except till.Error as error:
            say(told, error=plain(error))
        except asyncio.CancelledError:
            say(told, error={"status": "CANCELLED"})
        except Exception as error:
            say(told, error={"status": "UNKNOWN", "message": repr(error)})

    async def _connect(self, told: dict[str, Any]) -> dict[str, Any]:
        key_file = told.get("key_file")
        self._client = till.AsyncClient(
            told["address"],
            Path(key_file).read_text if key_file else told.get("key"),
            ca=told.get("ca_file"),
            allow_plaintext_key=told.get("allow_plaintext_key", False),
        )
        return {}

    async def _call(self, told: dict[str, Any]) -> dict[str, Any]:
        if told["method"] == "ListEvents":
            return await self._list_events(told)
        if told["method"] in conformance_webhooks.METHODS:
            return json_format.MessageToDict(await conformance_webhooks.call(self._client, told))
        request = json_format.ParseDict(told["request"], getattr(pb, f"{told['method']}Request")())
        method = getattr(self._client.invoices, told["method"])
        reply: Any = await self._client.call(method, request, timeout=told.get("timeout_seconds"))
        return json_format.MessageToDict(reply)

    async def _list_events(self, told: dict[str, Any]) -> dict[str, Any]:
        request = json_format.ParseDict(told["request"], ListEventsRequest())
        page = await self._client.list_events(
            **begin(request), page_size=request.page_size, timeout=told.get("timeout_seconds")
        )
        response = ListEventsResponse(
            events=[event.message for event in page.events],
            next_after=page.next_after,
            next_cursor=page.next_cursor,
            has_more=page.has_more,
            log_began_at=page.log_began_at,
        )
        return json_format.MessageToDict(response)

    async def _events(self, told: dict[str, Any]) -> dict[str, Any]:
        events = self._client.events(
            **begin(json_format.ParseDict(told["request"], WatchEventsRequest())),
            timeout=told.get("timeout_seconds"),
            wait_for_ready=told.get("wait_for_ready", False),
            on_connection=reporter(told),
        )
        return await reported(told, events, lambda event: event.message)

    async def _watch(self, told: dict[str, Any]) -> dict[str, Any]:
        async for state in self._client.watch(
            told["request"]["invoiceId"],
            timeout=told.get("timeout_seconds"),
            wait_for_ready=told.get("wait_for_ready", False),
            on_connection=reporter(told),
        ):
            response = pb.WatchInvoiceResponse(invoice=state.message)
            say(told, event=json_format.MessageToDict(response))
        return {}

    async def _list(self, told: dict[str, Any]) -> dict[str, Any]:
        if told.get("method") == "ListDeliveries":
            deliveries = conformance_webhooks.deliveries(self._client, told)
            return await reported(
                told, deliveries, lambda delivery: RedeliverEventResponse(delivery=delivery.message)
            )
        request = json_format.ParseDict(told["request"], pb.ListInvoicesRequest())
        invoices = self._client.list_invoices(
            order=ORDERS[request.order],
            page_size=request.page_size,
            page_token=request.page_token,
            timeout=told.get("timeout_seconds"),
            **wanted(request.filter),
        )
        return await reported(
            told, invoices, lambda invoice: pb.WatchInvoiceResponse(invoice=invoice.message)
        )

    async def _export(self, told: dict[str, Any]) -> dict[str, Any]:
        request = json_format.ParseDict(told["request"], pb.ExportInvoicesRequest())
        lines = self._client.export_invoices(
            order=ORDERS[request.order],
            time_zone=request.time_zone,
            timeout=told.get("timeout_seconds"),
            **wanted(request.filter),
        )
        async with aclosing(lines):
            async for csv in lines:
                say(told, event={"csv": csv})
        return {}

    async def _cancel(self, told: dict[str, Any]) -> dict[str, Any]:
        self._tasks[told["call"]].cancel()
        return {}


async def reported(
    told: dict[str, Any], items: AsyncGenerator[Item, None], message: Callable[[Item], Message]
) -> dict[str, Any]:
    """Report each item as its message, up to the limit."""
    taken = 0
    async with aclosing(items):
        async for item in items:
            say(told, event=json_format.MessageToDict(message(item)))
            taken += 1
            if taken == told.get("limit"):
                break
    return {}


def reporter(told: dict[str, Any]) -> Callable[[till.Connection], None] | None:
    """Return a function that reports changes of the connection, if the request asks for them."""

    def report(change: till.Connection) -> None:
        error = plain(change.error) if change.error else None
        say(told, connection={"lost": change.lost, "attempt": change.attempt, "error": error})

    return report if told.get("connection") else None


def begin(message: ListEventsRequest | WatchEventsRequest) -> dict[str, Any]:
    """Return the start and the filter of a request as the client takes them."""
    filters = message.filter
    given: dict[str, Any] = {
        "types": list(filters.types),
        "metadata_type": filters.metadata_type if filters.HasField("metadata_type") else None,
        "all_users": message.all_users,
    }
    match message.WhichOneof("start"):
        case "after":
            given["after"] = message.after
        case "cursor":
            given["cursor"] = message.cursor
        case "from":
            given["after"] = PLACES[getattr(message, "from")]
    return given


def wanted(message: pb.InvoiceFilter) -> till.InvoiceFilter:
    """Return a filter as the client takes it."""
    fields: Any = {field.name: value for field, value in message.ListFields()}
    for name, value in fields.items():
        if isinstance(value, Timestamp):
            fields[name] = value.ToDatetime(UTC)
    if "statuses" in fields:
        fields["statuses"] = [STATUS[each] for each in message.statuses]
    if "metadata" in fields:
        fields["metadata"] = (message.metadata.name, message.metadata.value)
    return cast("till.InvoiceFilter", fields)


def plain(error: till.Error) -> dict[str, Any]:
    """Return an error as an agent reports it."""
    return {
        "status": error.status,
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
        "retry_seconds": error.retry_after,
        "oldest_sequence": error.oldest_sequence if isinstance(error, till.EventsGone) else None,
    }


def say(told: dict[str, Any], **what: Any) -> None:
    """Answer an operation."""
    sys.stdout.write(json.dumps({"id": told["id"]} | what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Agent().run())
