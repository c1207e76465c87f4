"""Reads an invoice and creates one for any amount, by a generated client: main.py URL INVOICEID."""

import json
import sys

from till_client import Client
from till_client.api.invoices import create_invoice, get_invoice
from till_client.models import CreateInvoice, CreateInvoiceMsatType1, Invoice

with Client(base_url=sys.argv[1]) as client:
    read = get_invoice.sync(sys.argv[2], client=client)
    assert isinstance(read, Invoice)
    order = CreateInvoice(msat=CreateInvoiceMsatType1.ANY, metadata=read.metadata)
    created = create_invoice.sync(client=client, body=order)
    assert isinstance(created, Invoice)
    told = {
        "status": read.status, "msatoshi": read.msatoshi, "metadata": read.metadata.to_dict(),
        "created_at": int(read.created_at.timestamp()),
        "is_any": created.msatoshi is None, "any_metadata": created.metadata.to_dict(),
    }  # fmt: skip
print(json.dumps(told))
