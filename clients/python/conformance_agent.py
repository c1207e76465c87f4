"""The agent of the Python client: see clients/conformance/README.md."""

import asyncio
import json
import sys
from typing import Any

from google.protobuf import json_format

import till
from till.v1 import invoice_service_pb2 as pb


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
        except till.Error as error:
            say(told, error=plain(error))
        except asyncio.CancelledError:
            say(told, error={"status": "CANCELLED"})
        except Exception as error:
            say(told, error={"status": "UNKNOWN", "message": repr(error)})

    async def _connect(self, told: dict[str, Any]) -> dict[str, Any]:
        self._client = till.AsyncClient(told["address"], told.get("key"), ca=told.get("ca_file"))
        return {}

    async def _call(self, told: dict[str, Any]) -> dict[str, Any]:
        request = json_format.ParseDict(told["request"], getattr(pb, f"{told['method']}Request")())
        method = getattr(self._client.invoices, told["method"])
        reply: Any = await self._client.call(method, request, timeout=told.get("timeout_seconds"))
        return json_format.MessageToDict(reply)

    async def _watch(self, told: dict[str, Any]) -> dict[str, Any]:
        invoice_id = told["request"]["invoiceId"]
        async for state in self._client.watch(invoice_id, timeout=told.get("timeout_seconds")):
            response = pb.WatchInvoiceResponse(invoice=state.message)
            say(told, event=json_format.MessageToDict(response))
        return {}

    async def _cancel(self, told: dict[str, Any]) -> dict[str, Any]:
        self._tasks[told["call"]].cancel()
        return {}


def plain(error: till.Error) -> dict[str, Any]:
    """An error as an agent tells it."""
    return {
        "status": error.status,
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
        "retry_seconds": error.retry_after,
    }


def say(told: dict[str, Any], **what: Any) -> None:
    """Answer an operation."""
    sys.stdout.write(json.dumps({"id": told["id"]} | what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Agent().run())
