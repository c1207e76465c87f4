"""Server-sent events (WHATWG HTML, section 9.2), and the states of an invoice as such."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from tilld.errors import Unavailable
from tilld.invoices.invoice import Invoice
from tilld.rest_api.schemas import invoice_json

CONTENT_TYPE = "text/event-stream"
RECONNECT_MS = 2000
RETRY = f"retry: {RECONNECT_MS}\n\n"
HEARTBEAT = ": heartbeat\n\n"

# An invoice has at most two states: open and final.
OPEN_ID = "1"
FINAL_ID = "2"

# Some line readers split at these characters, which JSON permits within strings.
_LINE_ENDS = {each: f"\\u{each:04x}" for each in (0x85, 0x2028, 0x2029)}


async def events(states: AsyncIterator[Invoice], heartbeat_seconds: float) -> AsyncGenerator[str]:
    """Yield an event for each state, and a heartbeat after each silent interval."""
    # Errors up to here become an HTTP status. Later only a stop of Till ends the stream, and an EventSource
    # reconnects.
    yield RETRY + _event(await anext(states))
    state: asyncio.Future[Invoice]
    try:
        while True:
            state = asyncio.ensure_future(anext(states))
            while not (await asyncio.wait([state], timeout=heartbeat_seconds))[0]:
                yield HEARTBEAT
            yield _event(await state)
    except (StopAsyncIteration, Unavailable):
        pass
    finally:
        state.cancel()
        await asyncio.gather(state, return_exceptions=True)
        # The future's exception refers to this frame. Frozen objects (gc_pauses) in a cycle are never freed.
        del state


def message(event_id: str, data: bytes, event: str | None = None) -> str:
    """Return a message with JSON as its data."""
    name = f"event: {event}\n" if event else ""
    return f"{name}id: {event_id}\ndata: {data.decode().translate(_LINE_ENDS)}\n\n"


def heartbeat(event_id: str) -> str:
    """Return a heartbeat that sets the id of the last event, and that an EventSource does not dispatch."""
    return f": heartbeat\nid: {event_id}\n\n"


def _event(invoice: Invoice) -> str:
    return message(FINAL_ID if invoice.is_final else OPEN_ID, invoice_json.invoice(invoice))
