"""Orders and invoices for tests."""

import itertools
from datetime import UTC, datetime
from typing import Any

from lightningd_simulator.bolts import bolt11
from tilld.auth.caller import SHOP, Caller, Creator
from tilld.auth.limits import Allowance
from tilld.invoices.invoice import Invoice, InvoiceUpdate, IssuedInvoice, Payment, Status
from tilld.invoices.terms import MAX_BOLT11_DESCRIPTION_BYTES, InvoiceTerms

NODE_ID = "02" + "ab" * 32
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

DAKK = Caller("dakk", frozenset(SHOP))
ANOTHER = Caller("another", frozenset(SHOP))

PLENTY = Allowance(
    creates_per_second=1_000_000, open_invoices=1_000_000, watches=1_000_000, exports=1_000_000
)

_numbers = itertools.count(1)


def any_url(url: str, _field: str) -> str:
    """Permit every URL of a webhook."""
    return url


def an_order(**fields: Any) -> InvoiceTerms:
    """Return an order of 5000 msat by a shop, with the given fields replaced."""
    good = {
        "amount_msat": 5000,
        "description": None,
        "expiry": None,
        "metadata": '{"type":"shop"}',
        "label": None,
    }
    return InvoiceTerms.checked(**(good | fields))


def an_invoice(username: str = "dakk", node_id: str = NODE_ID, **fields: Any) -> Invoice:
    """Return a new open invoice that expires at noon; each is unique."""
    order = an_order(**{name: fields.pop(name) for name in ("label", "amount_msat") if name in fields})
    issued = IssuedInvoice(node_id, f"{next(_numbers):064x}", A_BOLT11, NOON)
    invoice = Invoice.opened(order.invoice_id(username, b"secret"), Creator(username), order, issued)
    return invoice._replace(**fields)


def a_bolt11(order: InvoiceTerms, expires_at: datetime = NOON) -> str:
    """Return a signed payment request for an order."""
    description = order.description or ""
    return bolt11.sign(
        f"{next(_numbers):064x}",
        created_at=int(expires_at.timestamp()) - order.expiry,
        payment_preimage="ab" * 32,
        amount_msat=order.amount_msat,
        description=description,
        hash_only=order.description_hash_only or len(description.encode()) > MAX_BOLT11_DESCRIPTION_BYTES,
        expiry=order.expiry,
        cltv=10,
    )


A_BOLT11 = a_bolt11(an_order())


def paid(invoice: Invoice, amount_msat: int = 5000, pay_index: int = 1) -> InvoiceUpdate:
    """Return the node's report that an invoice is paid."""
    return InvoiceUpdate(invoice.payment_hash, Status.PAID, Payment(pay_index, amount_msat, NOON))


def expired(invoice: Invoice) -> InvoiceUpdate:
    """Return the node's report that an invoice is expired."""
    return InvoiceUpdate(invoice.payment_hash, Status.EXPIRED, None)
