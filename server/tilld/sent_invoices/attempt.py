"""Terms and attempts of sending an invoice for another node's invoice request (BOLT 12). Pure.

Amounts are whole millisatoshi (msat), times are aware UTC.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from tilld import errors
from tilld.auth.caller import Creator
from tilld.errors import Expired, InvalidRequest, TillError
from tilld.formats import bolt11, strict_json
from tilld.formats.amounts import MAX_AMOUNT_MSAT, check_amount
from tilld.formats.ids import derived_public_id
from tilld.formats.repeats import check_repeats
from tilld.formats.text import check_label, check_text
from tilld.formats.times import unix_seconds
from tilld.invoices.invoice import Invoice
from tilld.invoices.terms import checked_metadata, type_of

DEFAULT_TIMEOUT_SECONDS = 90
MAX_TIMEOUT_SECONDS = 300
MAX_INVREQ_BYTES = 8 * 1024
MAX_REASON_CHARACTERS = 200
MAX_QUANTITY = 2**63 - 1
DEFAULT_TYPE = "sendinvoice"

_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").sub
# An invoice would fill the message, and the caller can read it from Till.
_invoices = re.compile(r"(Failed invoice )?ln[ir]1\w+:? *").sub


@dataclass(frozen=True, slots=True)
class SendTerms:
    """The validated terms of a request. `timeout` is in seconds."""

    invreq: str
    label: str
    amount_msat: int | None
    quantity: int | None
    metadata: str
    timeout: int

    @classmethod
    def checked(
        cls,
        *,
        invreq: str,
        label: str,
        amount_msat: int | None,
        timeout: float | None,
        quantity: int | None,
        metadata: str | None,
        key_type: str | None,
    ) -> Self:
        """Return the terms of a request, checked against the limits.

        `key_type` is the only type that the caller's key permits. Raises InvalidRequest or TooLarge, which
        name the field and the limit.
        """
        check_text(invreq, "invreq", MAX_INVREQ_BYTES)
        request = bolt11.pasted(invreq)
        if not request.startswith("lnr1") or not (request.isascii() and request.isalnum()):
            raise InvalidRequest('invreq must be an invoice request, which starts with "lnr1"')
        check_label(label)
        if amount_msat is not None:
            check_amount(amount_msat, "amount_msat")
        if timeout is None:
            timeout = DEFAULT_TIMEOUT_SECONDS
        if not isinstance(timeout, int) or not 1 <= timeout <= MAX_TIMEOUT_SECONDS:
            raise InvalidRequest(
                f"timeout must be whole seconds, at least 1 and at most {MAX_TIMEOUT_SECONDS} (5 minutes)"
            )
        if quantity is not None and not 1 <= quantity <= MAX_QUANTITY:
            raise InvalidRequest(f"quantity must be at least 1 and at most {MAX_QUANTITY}")
        if metadata is None:
            metadata = strict_json.write({"type": key_type or DEFAULT_TYPE}).decode()
        return cls(request, label, amount_msat, quantity, checked_metadata(metadata), timeout)

    @property
    def type(self) -> str:
        """The application of the invoice."""
        return type_of(self.metadata)

    def check_repeats(self, earlier: "SendTerms | SendAttempt") -> None:
        """Check that this order equals an earlier one, except for the timeout.

        Raises Conflict, which names the difference.
        """
        fields = {name: name for name in ("invreq", "amount_msat", "quantity", "metadata")}
        check_repeats(earlier, self, "sending an invoice", fields)

    def node_label(self, username: str, secret: bytes, attempt: int) -> str:
        """Return the node's label of an attempt, which is also the public id of its invoice.

        The first attempt has the same node label as an ordinary invoice with this label, so that only one can
        exist.
        """
        return derived_public_id(secret, username, self.label, *([str(attempt)] if attempt > 1 else []))


class State(StrEnum):
    """The state of an attempt; the outcome of `sending` is not known yet."""

    SENDING = "sending"
    PAID = "paid"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SendAttempt:
    """An attempt to send an invoice, counted from 1 for each label. A failed attempt cannot be paid.

    `timeout` is in seconds; `code` and `reason` describe the failure.
    """

    username: str
    key_id: str
    label: str
    attempt: int
    node_id: str
    node_label: str
    invreq: str
    amount_msat: int | None
    quantity: int | None
    metadata: str
    timeout: int
    created_at: datetime
    state: State = State.SENDING
    code: str = ""
    reason: str = ""

    @classmethod
    def reserved(
        cls,
        creator: Creator,
        order: SendTerms,
        *,
        attempt: int,
        node_id: str,
        node_label: str,
        timeout: int,
        created_at: datetime,
    ) -> Self:
        """Return an attempt that is about to be made."""
        return cls(
            username=creator.username,
            key_id=creator.key_id,
            label=order.label,
            attempt=attempt,
            node_id=node_id,
            node_label=node_label,
            invreq=order.invreq,
            amount_msat=order.amount_msat,
            quantity=order.quantity,
            metadata=order.metadata,
            timeout=timeout,
            created_at=created_at,
        )

    @property
    def type(self) -> str:
        """The application of the invoice."""
        return type_of(self.metadata)

    @property
    def creator(self) -> Creator:
        """The user and the key that make the attempt."""
        return Creator(self.username, self.key_id)

    def failed(self, failure: TillError) -> Self:
        """Return this attempt as failed."""
        return replace(self, state=State.FAILED, code=failure.code, reason=failure.message)

    def paid(self) -> Self:
        """Return this attempt as paid."""
        return replace(self, state=State.PAID)

    @property
    def failure(self) -> TillError:
        """The failure, as an error for the caller."""
        return _BY_CODE.get(self.code, errors.Internal)(self.reason)


@dataclass(frozen=True, slots=True)
class DecodedInvreq:
    """The content of an invoice request, as decoded by the node. None means absent."""

    payer_id: str
    amount_msat: int | None
    has_quantity: bool
    expires_at: int | None

    def check(self, order: SendTerms, node_id: str, now: datetime) -> None:
        """Check that an order fits the invoice request, and that another node made it.

        Raises InvalidRequest; Expired.
        """
        if self.payer_id == node_id:
            raise InvalidRequest(
                "invreq belongs to this node, which cannot pay itself; use one of another node"
            )
        if self.expires_at is not None and unix_seconds(now) >= self.expires_at:
            raise Expired
        if self.has_quantity and order.quantity is None:
            raise InvalidRequest("quantity is missing, and the invoice request requires it")
        if order.quantity is not None and not self.has_quantity:
            raise InvalidRequest("quantity is not allowed by the invoice request; omit it")
        if self.amount_msat is None:
            if order.amount_msat is None:
                raise InvalidRequest("amount_msat is missing, and the invoice request has no amount")
            return
        most = self.amount_msat * (order.quantity or 1)
        if order.amount_msat is not None and order.amount_msat > most:
            raise InvalidRequest(f"amount_msat must be at most {most}, the amount of the invoice request")
        if order.amount_msat is None and not 1 <= most <= MAX_AMOUNT_MSAT:
            raise InvalidRequest(
                f"invreq offers {most} msat, but only 1 to {MAX_AMOUNT_MSAT} can be collected"
            )


@dataclass(frozen=True, slots=True)
class Sent:
    """A paid invoice that was sent, with details that only the node has."""

    invoice: Invoice
    created_index: int
    updated_index: int | None
    # Never stored or logged.
    payment_preimage: str = field(repr=False)


def attempt_seconds(number: int, left: float, first: float) -> int:
    """Return the timeout in seconds of attempt `number`, twice that of the attempt before.

    Attempts count from 1. The last one gets all seconds left, since a payment may be slow.
    """
    share = first * 2 ** (number - 1)
    return max(round(share if left >= 3 * share else left), 1)


def harmless(text: str) -> str:
    """Return another node's text without control characters, which databases and terminals may not accept."""
    return _control(" ", text)


def cleaned(text: str) -> str:
    """Return another node's error text as one short line without invoices."""
    printable = "".join(each if each.isprintable() else " " for each in _invoices("", text))
    plain = " ".join(printable.split())
    return plain if len(plain) <= MAX_REASON_CHARACTERS else plain[: MAX_REASON_CHARACTERS - 1] + "…"


_BY_CODE = {
    each.code: each
    for each in (
        errors.NodeFailed,
        errors.InvalidRequest,
        errors.Conflict,
        errors.Unavailable,
        errors.NotActive,
        errors.Expired,
        errors.Unreachable,
        errors.Refused,
        errors.NotPaid,
    )
}
