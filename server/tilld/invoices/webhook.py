"""The webhook of one invoice, which receives its final state."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple, Self

from till.webhooks import PREFIX
from tilld.auth.caller import Caller, Scope
from tilld.errors import Conflict, PermissionDenied
from tilld.formats.ids import derived_public_id
from tilld.invoices.invoice import Invoice

# Returns a URL that webhooks may reach, as it is stored. Raises InvalidRequest, naming the field.
CheckURL = Callable[[str, str], str]


class InvoiceWebhook(NamedTuple):
    """A webhook of an invoice. Id and secret are derived, so that a repeated create returns the same ones."""

    id: str
    url: str
    secret: str
    # The scopes of the creator, separated by spaces, on which the content of events depends.
    scopes: str

    @classmethod
    def of(cls, caller: Caller, invoice: Invoice, url: str, secret: bytes) -> Self:
        """Return the webhook of a caller's invoice; `secret` is that of the store."""
        webhook_id = derived_public_id(secret, "webhook", invoice.invoice_id)
        key = hmac.digest(secret, f"webhook secret\0{invoice.invoice_id}".encode(), hashlib.sha256)
        scopes = Scope.READ.value if Scope.READ in caller.scopes else ""
        return cls(webhook_id, url, PREFIX + base64.b64encode(key).decode(), scopes)

    def __repr__(self) -> str:
        # The log must not show the secret, nor a token in the URL.
        return f"InvoiceWebhook({self.id})"


def checked_webhook_url(caller: Caller, url: str | None, check: CheckURL, field: str) -> str | None:
    """Return the URL of the webhook of a new invoice, or None. Raises InvalidRequest; PermissionDenied.

    `field` is the caller's name of the URL.
    """
    if url is None:
        return None
    if Scope.WEBHOOKS not in caller.scopes:
        raise PermissionDenied(
            "the key lacks the scope webhooks, which a webhook needs; use a key that has it"
        )
    return check(url, field)


def check_same_webhook(invoice: Invoice, url: str | None, stored: str | None) -> None:
    """Check that a repeated create asks for the webhook that the invoice has. Raises Conflict.

    That of an invoice in its final state is removed some time after it has arrived.
    """
    if url != stored and not (stored is None and invoice.is_final):
        raise Conflict("label is in use for an invoice with another webhook")
