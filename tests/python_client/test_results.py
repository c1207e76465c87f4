"""Statuses, estimates of payability, and the options of a create, as the Python client has them."""

from typing import Any

import pytest

import till
from till import requests, results
from till.v1 import invoice_pb2
from till.v1 import invoice_service_pb2 as pb
from till_cli import display

ESTIMATES = sorted(set(pb.PayabilityStatus.DESCRIPTOR.values_by_name) - {"PAYABILITY_STATUS_UNSPECIFIED"})
STATUSES = sorted(set(invoice_pb2.InvoiceStatus.DESCRIPTOR.values_by_name) - {"INVOICE_STATUS_UNSPECIFIED"})


def created(**fields: Any) -> till.Invoice:
    invoice = invoice_pb2.Invoice(bolt11="lnbc1", status=invoice_pb2.INVOICE_STATUS_UNPAID)
    return results.created(pb.CreateInvoiceResponse(invoice=invoice, **fields))


def payability(status: Any, detail: str = "") -> pb.Payability:
    return pb.Payability(status=status, detail=detail)


@pytest.mark.parametrize("name", ESTIMATES)
def test_each_estimate_has_a_name(name: str) -> None:
    found = created(payability=payability(pb.PayabilityStatus.Value(name), "a detail")).payability

    assert found
    assert (f"PAYABILITY_STATUS_{found.status.name}", found.detail) == (name, "a detail")


@pytest.mark.parametrize("name", STATUSES)
def test_each_status_has_a_name(name: str) -> None:
    found = results.invoice(invoice_pb2.Invoice(status=name)).status

    assert f"INVOICE_STATUS_{found.name}" == name
    assert found.is_final is (found is not till.Status.UNPAID)


def test_a_future_status_is_unknown_and_not_final() -> None:
    future: Any = 99
    found = results.invoice(invoice_pb2.Invoice(status=future)).status

    assert found is till.Status.UNKNOWN
    assert not found.is_final


def test_a_future_estimate_is_unknown_and_an_old_till_has_none() -> None:
    future = created(payability=payability(99)).payability

    assert future
    assert future.status is till.PayabilityStatus.UNKNOWN
    assert created().payability is None


def test_an_estimate_makes_no_other_invoice() -> None:
    """A repeated create has another estimate, and returns the same invoice."""
    assert created(payability=payability(pb.PAYABILITY_STATUS_OK)) == created()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, None),
        (True, pb.ExposePrivateChannels(all=True)),
        (False, pb.ExposePrivateChannels()),
        (["1x2x3", "4x5x6"], pb.ExposePrivateChannels(short_channel_ids=["1x2x3", "4x5x6"])),
        ("1x2x3", pb.ExposePrivateChannels(short_channel_ids=["1x2x3"])),
    ],
)
def test_private_channels_are_all_none_or_some(given: Any, sent: pb.ExposePrivateChannels | None) -> None:
    request = requests.create(1000, {"type": "shop"}, None, None, None, False, given, True, None)

    assert request.HasField("expose_private_channels") is (sent is not None)
    assert request.expose_private_channels == (sent or pb.ExposePrivateChannels())
    assert request.description_hash_only


@pytest.mark.parametrize(
    ("status", "warning"),
    [
        (pb.PAYABILITY_STATUS_OK, ""),
        (pb.PAYABILITY_STATUS_OFFLINE, "warning: payability offline: connect to a peer\n"),
        (pb.PAYABILITY_STATUS_PRIVATE_ONLY, "warning: payability private_only: connect to a peer\n"),
    ],
)
def test_the_command_warns_of_an_invoice_that_may_not_be_payable(
    capsys: pytest.CaptureFixture[str], status: Any, warning: str
) -> None:
    invoice = created(payability=payability(status, "connect to a peer"))

    display.print_payment_request(invoice, with_qr=False)

    told = capsys.readouterr()
    assert told.out == "lnbc1\n"
    assert told.err.startswith(f"{warning}unpaid: any amount")
