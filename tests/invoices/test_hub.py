"""Fan-out of changes."""

import asyncio

import pytest

from tests.support.samples import an_invoice
from tilld.errors import Unavailable
from tilld.invoices.hub import Hub
from tilld.invoices.invoice import Status


async def test_every_watcher_of_an_invoice_gets_its_change() -> None:
    hub = Hub()
    invoice, other = an_invoice(), an_invoice()
    with hub.subscribe(invoice.invoice_id) as one, hub.subscribe(invoice.invoice_id) as two:
        waiting = [asyncio.create_task(changes.next()) for changes in (one, two)]
        await asyncio.sleep(0)

        hub.publish([other, invoice])

        assert await asyncio.gather(*waiting) == [invoice, invoice]


async def test_a_change_before_the_watcher_waits_is_not_lost() -> None:
    hub = Hub()
    invoice = an_invoice()
    with hub.subscribe(invoice.invoice_id) as changes:
        hub.publish([invoice])

        assert await changes.next() == invoice


async def test_a_slow_watcher_gets_only_the_newest_state() -> None:
    hub = Hub()
    invoice = an_invoice()
    newest = invoice._replace(status=Status.EXPIRED)
    with hub.subscribe(invoice.invoice_id) as changes:
        hub.publish([invoice])
        hub.publish([newest])

        assert await changes.next() == newest


async def test_closing_delivers_published_changes_and_ends_watches() -> None:
    """Also for watchers that subscribe after closing."""
    hub = Hub()
    invoice = an_invoice()
    with hub.subscribe(invoice.invoice_id) as changes, hub.subscribe(invoice.invoice_id) as idle:
        waiting = asyncio.create_task(idle.next())
        await asyncio.sleep(0)
        hub.publish([invoice])
        hub.close()

        assert await changes.next() == invoice
        assert await waiting == invoice
        with pytest.raises(Unavailable):
            await changes.next()
    with hub.subscribe(invoice.invoice_id) as late:
        with pytest.raises(Unavailable):
            await late.next()


async def test_watchers_that_left_are_forgotten() -> None:
    hub = Hub()
    with hub.subscribe("one"), hub.subscribe("one"), hub.subscribe("two"):
        assert hub.watchers == 3

    assert hub.watchers == 0
    assert hub.is_idle
