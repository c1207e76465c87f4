"""An invoice's states as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from tilld.errors import Unavailable
from tilld.invoices.invoice import Invoice
from tilld.rest_api import invoice_json

RECONNECT_MS = 2000
HEARTBEAT = ": heartbeat\n\n"

# An invoice has two states at most: the open one, and the final one.
OPEN_ID = "1"
FINAL_ID = "2"

# Some readers of lines end one at these, which JSON lets stand in a string.
_LINE_ENDS = {each: f"\\u{each:04x}" for each in (0x85, 0x2028, 0x2029)}


async def events(states: AsyncIterator[Invoice], heartbeat_seconds: float) -> AsyncGenerator[str]:
    """Yield an event for each state, and a heartbeat where nothing else is sent for that long."""
    # An error here is an HTTP status. Later there is only the end of Till, and an EventSource comes back.
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
        # It has an error that has this frame: a cycle, and what the collector spares is not freed with one.
        del state


def _event(invoice: Invoice) -> str:
    event_id = FINAL_ID if invoice.is_final else OPEN_ID
    return f"id: {event_id}\ndata: {invoice_json.invoice(invoice).decode().translate(_LINE_ENDS)}\n\n"
