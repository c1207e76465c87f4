"""Builds the request messages of the clients."""

import json
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from till.results import Invoice
from till.v1.invoice_service_pb2 import (
    CreateInvoiceRequest,
    GetInvoiceByIdRequest,
    GetInvoiceRequest,
    LookupInvoiceRequest,
    WatchInvoiceRequest,
)


def create(
    amount_msat: int | None,
    metadata: Mapping[str, Any],
    description: str | None,
    label: str | None,
    expiry: timedelta | int | None,
    with_watch_token: bool,
) -> CreateInvoiceRequest:
    """Return a request that is safe to retry: it always has a label."""
    request = CreateInvoiceRequest(
        amount_msat=amount_msat,
        metadata=json.dumps(metadata, ensure_ascii=False, allow_nan=False),
        description=description,
        label=uuid.uuid4().hex if label is None else label,
        with_watch_token=with_watch_token,
    )
    if expiry is not None:
        request.expiry.FromTimedelta(expiry if isinstance(expiry, timedelta) else timedelta(seconds=expiry))
    return request


def get(invoice_id: str | None, with_watch_token: bool, **others: str | None) -> tuple[str, Any]:
    """Return the method that reads an invoice by the given name, and its request.

    Raise TypeError unless exactly one name is given.
    """
    given = {name: value for name, value in {"invoice_id": invoice_id, **others}.items() if value is not None}
    if len(given) != 1:
        raise TypeError("pass exactly one of invoice_id, id, label, payment_hash and bolt11")
    if with_watch_token and invoice_id is None:
        raise TypeError("with_watch_token needs invoice_id")
    if invoice_id is not None:
        return "GetInvoice", GetInvoiceRequest(invoice_id=invoice_id, with_watch_token=with_watch_token)
    if "id" in given:
        return "GetInvoiceById", GetInvoiceByIdRequest(id=given["id"])
    return "LookupInvoice", LookupInvoiceRequest(**given)


def watch(invoice: Invoice | str) -> WatchInvoiceRequest:
    """Return the request to watch an invoice, given as an Invoice or an invoice_id."""
    return WatchInvoiceRequest(invoice_id=invoice if isinstance(invoice, str) else invoice.invoice_id)
