"""The Python client, sync and async: lists, exports, cancellation and reports."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import till
from tests.support.impostor import impostor

HOUR = timedelta(hours=1)
PAGES: dict[str, Any] = {"page_size": 2, "order": till.Order.CREATED_ASC}


@pytest.fixture
def shop(connect: type[till.AsyncClient], request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return metadata with a type of this test."""
    return {"type": f"{request.node.name}"}


@pytest.fixture
async def pretended(connect: type[till.AsyncClient]) -> AsyncIterator[till.AsyncClient]:
    """Yield a client of a server that ends lists and exports as the type in the filter says."""
    async with impostor() as address, connect(address) as client:
        yield client


async def test_a_list_has_the_invoices_that_match_the_filters(
    client: till.AsyncClient, shop: dict[str, Any], pay: Callable[..., Awaitable[None]]
) -> None:
    begin = datetime.now(UTC).replace(microsecond=0)
    one, two, three = [
        await client.create_invoice(1000, shop | fields)
        for fields in ({"n": 1, "new": True}, {"n": "2"}, {"n": 3})
    ]
    await pay(three)
    [*_, paid] = [state async for state in client.watch(three)]

    async def found(**wanted: Any) -> set[str]:
        listed = [each async for each in client.list_invoices(page_size=2, **{"type": shop["type"]} | wanted)]
        assert len(listed) == len({each.invoice_id for each in listed})
        return {each.invoice_id for each in listed}

    everything = {each.invoice_id for each in (one, two, three)}
    assert await found() == await found(label=None, statuses=None) == everything
    assert await found(statuses=[till.Status.PAID, "expired"]) == {three.invoice_id}
    assert await found(metadata=("n", 1)) == await found(metadata=("new", True)) == {one.invoice_id}
    assert await found(metadata=("n", "2")) == await found(label=two.label) == {two.invoice_id}
    assert await found(bolt11=two.bolt11, payment_hash=two.payment_hash) == {two.invoice_id}
    assert await found(label_prefix=f"{two.label}"[:-1]) == {two.invoice_id}
    rome = begin.astimezone(ZoneInfo("Europe/Rome"))
    assert await found(created_from=rome, created_to=rome + HOUR) == everything
    assert await found(created_to=begin) == await found(paid_to=begin) == set()
    assert await found(paid_from=begin, order="paid") == {three.invoice_id}
    assert paid in [each async for each in client.list_invoices(**shop)]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"state": "paid"}, "no such filter: state"),
        ({"statuses": ["open"]}, "'open' is not a valid Status"),
        ({"statuses": [till.Status.UNKNOWN]}, "UNKNOWN"),
        ({"created_from": datetime(2026, 11, 1)}, "created_from needs a time zone"),  # noqa: DTZ001
        ({"order": "newest"}, "'newest' is not a valid Order"),
    ],
)
async def test_a_wrong_filter_fails_before_the_first_invoice(
    client: till.AsyncClient, wanted: dict[str, Any], message: str
) -> None:
    for method in client.list_invoices, client.export_invoices:
        with pytest.raises((TypeError, ValueError), match=message):
            method(**wanted)


async def test_pages_have_tokens(client: till.AsyncClient, shop: dict[str, Any]) -> None:
    created = {(await client.create_invoice(1000, shop)).invoice_id for _ in range(3)}

    first = await client.invoice_page(page_size=2, **shop)
    assert first.next_page_token
    second = await client.invoice_page(first.next_page_token, page_size=2, **shop)

    assert (len(first.invoices), len(second.invoices), second.next_page_token) == (2, 1, None)
    assert {each.invoice_id for each in first.invoices + second.invoices} == created
    rest = client.list_invoices(page_token=first.next_page_token, page_size=2, **shop)
    assert [each async for each in rest] == list(second.invoices)
    with pytest.raises(till.InvalidRequest, match="page_token"):
        await client.invoice_page(first.next_page_token, page_size=2, type="other")


async def test_a_list_continues_at_a_page_that_was_lost(pretended: till.AsyncClient) -> None:
    listed = [each.invoice_id async for each in pretended.list_invoices(type="UNAVAILABLE", **PAGES)]

    assert listed == ["1", "2", "3"]


async def test_a_list_fetches_no_page_before_it_is_needed(pretended: till.AsyncClient) -> None:
    invoices = pretended.list_invoices(type="PERMISSION_DENIED", **PAGES)

    assert [(await anext(invoices)).invoice_id for _ in range(2)] == ["1", "2"]
    with pytest.raises(till.Error):
        await anext(invoices)


async def test_the_time_limit_of_a_list_is_that_of_a_page(pretended: till.AsyncClient) -> None:
    invoices = pretended.list_invoices(type="HANGS", timeout=0.5, **PAGES)

    assert [(await anext(invoices)).invoice_id for _ in range(2)] == ["1", "2"]
    with pytest.raises(till.TookTooLong):
        await anext(invoices)


async def test_an_export_is_csv(client: till.AsyncClient, shop: dict[str, Any]) -> None:
    created = await client.create_invoice(1001, shop, description='a "b",\nc')
    so_far: list[int] = []

    parts = client.export_invoices(time_zone=ZoneInfo("Asia/Tokyo"), on_progress=so_far.append, **shop)
    text = "".join([part async for part in parts])

    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["invoice_id"], row["description"], row["amount_sat"]) == (
        created.invoice_id,
        'a "b",\nc',
        "1.001",
    )
    assert datetime.fromisoformat(row["created_at"]) == created.created_at
    assert row["created_at"].endswith("+09:00")
    assert so_far[-1] == 1


@pytest.mark.parametrize("ending", ["UNAVAILABLE", "INTERNAL", "CANCELLED"])
async def test_an_export_that_breaks_is_an_error(pretended: till.AsyncClient, ending: str) -> None:
    parts = pretended.export_invoices(type=ending)

    assert [await anext(parts) for _ in range(2)] == ["invoice_id,status\r\n", "1,paid\r\n"]
    with pytest.raises(till.ConnectionLost):
        await anext(parts)


async def test_a_canceled_invoice_is_final(
    client: till.AsyncClient, shop: dict[str, Any], pay: Callable[..., Awaitable[None]]
) -> None:
    invoice, other = [await client.create_invoice(1000, shop) for _ in range(2)]
    watching = client.watch(invoice)
    await anext(watching)

    canceled = await client.cancel_invoice(invoice)

    assert canceled.status is till.Status.CANCELED
    assert canceled.status.is_final
    assert [state async for state in watching] == [canceled]
    assert await client.cancel_invoice(invoice.invoice_id) == canceled
    await pay(other)
    with pytest.raises(till.Conflict, match="paid"):
        await client.cancel_invoice(other)


async def test_a_payment_has_its_proof(
    client: till.AsyncClient, shop: dict[str, Any], pay: Callable[..., Awaitable[None]]
) -> None:
    created = await client.create_invoice(1000, shop)
    await pay(created)

    [*_, paid] = [state async for state in client.watch(created)]

    assert paid.payment
    preimage = paid.payment.payment_preimage
    assert preimage
    assert hashlib.sha256(bytes.fromhex(preimage)).hexdigest() == paid.payment_hash
    assert preimage not in repr(paid)


async def test_a_report_sums_payments(
    client: till.AsyncClient, shop: dict[str, Any], pay: Callable[..., Awaitable[None]]
) -> None:
    begin = datetime.now(UTC).replace(microsecond=0)
    for _ in range(2):
        created = await client.create_invoice(1500, shop)
        await pay(created)
        _ = [state async for state in client.watch(created)]

    report = await client.report(begin, begin + HOUR)

    assert till.ReportGroup(name=shop["type"], count=2, amount_received_msat=3000) in report.groups
    assert report.count == sum(each.count for each in report.groups)
    by_day = await client.report(begin, begin + HOUR, by="day", time_zone="Pacific/Kiritimati")
    days = {(begin + delta).astimezone(ZoneInfo("Pacific/Kiritimati")).date() for delta in (HOUR * 0, HOUR)}
    assert {each.name for each in by_day.groups} <= {day.isoformat() for day in days}
    with pytest.raises(ValueError, match="paid_to needs a time zone"):
        await client.report(begin, datetime(2026, 1, 1))  # noqa: DTZ001
