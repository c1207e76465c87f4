"""The states of an invoice as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from tilld.errors import Unavailable
from tilld.invoices.invoice import Invoice
from tilld.rest_api import invoice_json

RECONNECT_MS = 2000
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
    yield f"retry: {RECONNECT_MS}\n\n{_event(await anext(states))}"
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


def _event(invoice: Invoice) -> str:
    event_id = FINAL_ID if invoice.is_final else OPEN_ID
    return f"id: {event_id}\ndata: {invoice_json.invoice(invoice).decode().translate(_LINE_ENDS)}\n\n"
