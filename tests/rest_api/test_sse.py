"""The states of an invoice as server-sent events."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Never

import pytest

from tests.support.samples import an_invoice
from tilld.errors import NotFound, Unavailable
from tilld.invoices.invoice import Invoice, Status
from tilld.rest_api.schemas import invoice_json
from tilld.rest_api.sse import events


async def test_a_state_after_a_long_silence_is_not_lost() -> None:
    """Heartbeats do not cancel the pending read of the next state."""
    invoice = an_invoice()
    paid = invoice._replace(status=Status.EXPIRED)
    go_on = asyncio.Event()

    async def states() -> AsyncIterator[Invoice]:
        yield invoice
        await go_on.wait()
        yield paid

    told = events(states(), 0.001)

    assert await anext(told) == f"retry: 2000\n\nid: 1\ndata: {invoice_json.invoice(invoice).decode()}\n\n"
    assert [await anext(told) for _ in range(3)] == [": heartbeat\n\n"] * 3
    go_on.set()
    rest = [event async for event in told if event != ": heartbeat\n\n"]
    assert rest == [f"id: 2\ndata: {invoice_json.invoice(paid).decode()}\n\n"]


async def test_an_error_before_the_first_state_is_an_error() -> None:
    """The response has not begun, so an HTTP status is still possible."""

    def none_there() -> Never:
        raise NotFound

    async def states() -> AsyncIterator[Invoice]:
        yield none_there()

    with pytest.raises(NotFound):
        await anext(events(states(), 1))


async def test_when_till_stops_the_stream_just_ends() -> None:
    """An EventSource reconnects by itself."""

    async def states() -> AsyncIterator[Invoice]:
        yield an_invoice()
        raise Unavailable

    assert len([event async for event in events(states(), 1)]) == 1


async def test_an_ended_stream_leaves_no_garbage_cycle() -> None:
    """The collector no longer visits long-lived objects such as watches, so it would never free them."""

    async def states() -> AsyncIterator[Invoice]:
        yield an_invoice()

    watching = states()
    gone = weakref.ref(watching)
    gc.disable()
    try:
        told = [event async for event in events(watching, 1)]
        del watching
        # The event loop still refers to the last callback.
        await asyncio.sleep(0)
        assert len(told) == 1
        assert gone() is None
    finally:
        gc.enable()


async def test_closing_the_stream_ends_the_watch() -> None:
    """The pending read of the next state is cancelled."""
    ended = asyncio.Event()

    async def states() -> AsyncIterator[Invoice]:
        yield an_invoice()
        try:
            await asyncio.Future()
        finally:
            ended.set()

    told = events(states(), 0.001)
    await anext(told)
    await anext(told)
    await told.aclose()

    async with asyncio.timeout(1):
        await ended.wait()
