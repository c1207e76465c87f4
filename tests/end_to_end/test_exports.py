"""Exports and reports over gRPC, directly and through Envoy."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import grpc.aio
import pytest

from tests.support.metrics import figures
from tests.support.samples import an_invoice
from tests.support.shop import ANY_PORT, Shop, config, open_shop
from till.v1 import invoice_pb2
from till.v1 import invoice_service_pb2 as pb
from till.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tilld.auth.caller import ANONYMOUS
from tilld.storage.statements import Bound

ROME = "Europe/Rome"
# More than the buffers between Till and a client that does not read.
MANY = 20_000


async def paid(shop: Shop, kind: str, *amounts: int) -> list[Any]:
    created = [await shop.create(msat=amount, metadata={"type": kind}) for amount in amounts]
    for each in created:
        await shop.pay(each["payreq"])
    return [await shop.outcome(each) for each in created]


async def many(shop: Shop) -> None:
    for _ in range(MANY // 1000):
        await shop.till.store.adopt([an_invoice(ANONYMOUS.username) for _ in range(1000)])


def code_of(refused: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> tuple[str, str]:
    return dict(refused.value.trailing_metadata())["x-error-code"], str(refused.value.details())


async def test_an_export_has_the_invoices_of_the_filter(each_shop: Shop) -> None:
    kind = "=cmd|' /C calc'!A0"
    invoices = await paid(each_shop, kind, 1000, 2001)
    through_envoy = grpc.aio.insecure_channel(each_shop.rest.base_url.netloc.decode())
    request = pb.ExportInvoicesRequest(
        filter=pb.InvoiceFilter(type=kind, statuses=[invoice_pb2.INVOICE_STATUS_PAID]),
        order=pb.INVOICE_ORDER_PAID_ASC,
        time_zone=ROME,
    )

    async with through_envoy:
        for stub in each_shop.invoices, InvoiceServiceStub(through_envoy):
            responses = [each async for each in stub.ExportInvoices(request)]
            rows = list(csv.DictReader(io.StringIO("".join(each.csv for each in responses), newline="")))

            assert sum(each.invoices for each in responses) == 2
            assert [row["invoice_id"] for row in rows] == [each["invoiceid"] for each in invoices]
            assert [row["received_sat"] for row in rows] == ["1.000", "2.001"]
            assert {row["type"] for row in rows} == {f"'{kind}"}
            paid_at = datetime.fromisoformat(rows[0]["paid_at"])
            assert paid_at == datetime.fromisoformat(invoices[0]["paid_at"])
            assert paid_at.utcoffset() == paid_at.astimezone(ZoneInfo(ROME)).utcoffset()


async def test_a_report_is_what_was_received(each_shop: Shop) -> None:
    kind = "report"
    await paid(each_shop, kind, 1000, 2001)
    now = datetime.now(UTC)
    period: dict[str, Any] = {"paid_from": now - timedelta(hours=1), "paid_to": now + timedelta(hours=1)}

    by_type = await each_shop.invoices.GetReport(pb.GetReportRequest(**period))
    by_day = await each_shop.invoices.GetReport(
        pb.GetReportRequest(**period, time_zone=ROME, by=pb.REPORT_GROUPING_DAY)
    )

    [group] = [each for each in by_type.groups if each.name == kind]
    assert (group.count, group.amount_received_msat) == (2, 3001)
    for found in by_type, by_day:
        assert sum(each.count for each in found.groups) == found.count
        assert sum(each.amount_received_msat for each in found.groups) == found.amount_received_msat
    today = now.astimezone(ZoneInfo(ROME)).date()
    assert {each.name for each in by_day.groups} <= {
        day.isoformat() for day in (today, today - timedelta(days=1))
    }


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (pb.ExportInvoicesRequest(time_zone="Europe/Atlantis"), "time_zone must be the name of a time zone"),
        (pb.ExportInvoicesRequest(order=9), "order must be among"),  # type: ignore[arg-type]
        (pb.ExportInvoicesRequest(filter=pb.InvoiceFilter(payment_hash="x")), "payment_hash must have 64"),
        (pb.GetReportRequest(), "paid_from is required"),
        (pb.GetReportRequest(paid_from=datetime.now(UTC)), "paid_to is required"),
        (
            pb.GetReportRequest(paid_from=datetime.now(UTC), paid_to=datetime(2026, 1, 1, tzinfo=UTC)),
            "paid_to must be after paid_from",
        ),
        (
            pb.GetReportRequest(
                paid_from=datetime(2026, 1, 1, tzinfo=UTC), paid_to=datetime(2026, 1, 2, tzinfo=UTC),
                time_zone="../UTC",
            ),
            "time_zone must be the name of a time zone",
        ),
        (
            pb.GetReportRequest(
                paid_from=datetime(2026, 1, 1, tzinfo=UTC), paid_to=datetime(2026, 1, 2, tzinfo=UTC),
                by=9,  # type: ignore[arg-type]
            ),
            "by must be among REPORT_GROUPING_UNSPECIFIED",
        ),
    ],
)  # fmt: skip
async def test_a_malformed_request_names_the_field(shop: Shop, request_: Any, message: str) -> None:
    method = shop.invoices.GetReport
    if isinstance(request_, pb.ExportInvoicesRequest):
        method = shop.invoices.ExportInvoices

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await first(method(request_))

    code, details = code_of(refused)
    assert (code, details[: len(message)]) == ("E1", message)


async def first(call: Any) -> Any:
    return await (call.read() if hasattr(call, "read") else call)


async def test_an_export_ends_with_its_client(tmp_path: Path) -> None:
    """A key at its limit may export again as soon as a client has disconnected."""
    async with open_shop(config(tmp_path, metrics=ANY_PORT, no_rest=True, key_exports=1)) as shop:
        await many(shop)
        export = shop.invoices.ExportInvoices(pb.ExportInvoicesRequest())
        await export.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shop.invoices.ExportInvoices(pb.ExportInvoicesRequest()).read()
        assert (await figures(shop))["till_exports",] == 1

        export.cancel()

        while (await figures(shop))["till_exports",]:
            pass
        assert code_of(refused) == (
            "E7",
            "too many exports and reports (1 per key); wait until one has ended",
        )
        again = shop.invoices.ExportInvoices(pb.ExportInvoicesRequest())
        assert sum([part.invoices async for part in again]) == MANY


async def test_an_export_that_fails_does_not_look_complete(tmp_path: Path) -> None:
    async with open_shop(config(tmp_path, no_rest=True)) as shop:
        await many(shop)
        export = shop.invoices.ExportInvoices(pb.ExportInvoicesRequest())
        await export.read()
        await shop.till.store.write(lambda do: do.execute(Bound("DROP TABLE invoices")))

        with pytest.raises(grpc.aio.AioRpcError) as failed:  # noqa: PT012
            while await export.read() is not grpc.aio.EOF:
                pass

        assert code_of(failed)[0] == "E8"
