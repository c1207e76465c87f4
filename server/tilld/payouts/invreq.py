"""An invoice request: terms, limits and status. Pure.

Amounts are whole millisatoshi (msat), times are aware UTC.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from tilld.auth.caller import Creator
from tilld.errors import InvalidRequest
from tilld.formats.amounts import check_amount
from tilld.formats.ids import derived_public_id, new_public_id
from tilld.formats.repeats import check_repeats
from tilld.formats.text import check_label, check_line, check_text
from tilld.formats.times import check_expiry, unix_seconds

MAX_DESCRIPTION_BYTES = 639
MAX_ISSUER_BYTES = 128

# lightningd retries for 60 s (lightning-xpay(7)). Between two tries no part of the payment is in flight.
STILL_TRYING = timedelta(seconds=70)

is_invreq_id = re.compile(r"[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class PayoutLimits:
    """Payout limits of each key: for one request, and for one day (UTC); None means unlimited.

    `may_disable` permits disabling requests, explicitly or by `absolute_expiry`.
    """

    single_msat: int = 100_000_000
    day_msat: int | None = 1_000_000_000
    may_disable: bool = False

    @property
    def most_msat(self) -> int:
        """The largest amount of one request."""
        return self.single_msat if self.day_msat is None else min(self.single_msat, self.day_msat)


@dataclass(frozen=True, slots=True)
class InvreqTerms:
    """The validated terms of a request, before the checks against clock and limits."""

    amount_msat: int
    description: str
    issuer: str | None = None
    label: str | None = None
    absolute_expiry: datetime | None = None
    single_use: bool = True
    expiry_field: str = field(default="expires_at", compare=False)

    @classmethod
    def checked(
        cls,
        *,
        amount_msat: int,
        description: str,
        issuer: str | None,
        label: str | None,
        absolute_expiry: datetime | None,
        single_use: bool | None,
        amount_field: str = "amount_msat",
        expiry_field: str = "expires_at",
    ) -> Self:
        """Return the terms of a request; `amount_field` and `expiry_field` are the caller's field names.

        Raises InvalidRequest or TooLarge, which name the field and the limit.
        """
        check_amount(amount_msat, amount_field)
        check_text(description, "description", MAX_DESCRIPTION_BYTES, least=1)
        if issuer is not None:
            check_line(issuer, "issuer", MAX_ISSUER_BYTES)
        if label is not None:
            check_label(label)
        if absolute_expiry and absolute_expiry.microsecond:
            raise InvalidRequest(f"{expiry_field} must be whole seconds")
        if absolute_expiry:
            check_expiry(absolute_expiry, expiry_field)
        is_single = single_use is None or single_use
        return cls(amount_msat, description, issuer or None, label, absolute_expiry, is_single, expiry_field)

    def check_against(self, limits: PayoutLimits, now: datetime) -> None:
        """Check the terms against the caller's limits and the clock.

        Raises InvalidRequest, which names the field and the limit.
        """
        if self.amount_msat > limits.most_msat:
            raise InvalidRequest(
                f"the amount must be at most {limits.most_msat} msat, the limit for one payout"
            )
        if self.absolute_expiry and not limits.may_disable:
            raise InvalidRequest(
                f"{self.expiry_field} is not allowed, since this Till does not disable invoice requests; "
                "omit it, or ask the operator to set TILLD_ALLOW_INVREQ_DISABLE=true"
            )
        if self.absolute_expiry and self.absolute_expiry <= now:
            raise InvalidRequest(f"{self.expiry_field} must be in the future")
        if not self.single_use and limits.day_msat is not None:
            raise InvalidRequest("single_use must be true while keys have a daily payout limit")


class InvreqStatus(StrEnum):
    """The status of an invoice request: active, being paid, or the reason why it cannot be collected."""

    ACTIVE = "active"
    BEING_PAID = "being_paid"
    USED = "used"
    FAILED = "failed"
    EXPIRED = "expired"
    DISABLED = "disabled"


class InvreqState(NamedTuple):
    """The changing part of an invoice request: its status, and the stored facts that callers see."""

    status: InvreqStatus
    active: bool
    used: bool

    def __str__(self) -> str:
        return f"{self.status} {self.active:d} {self.used:d}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the state of a text. Raises ValueError."""
        status, active, used = text.split()
        return cls(InvreqStatus(status), active == "1", used == "1")


@dataclass(frozen=True, slots=True)
class NodeInvreq:
    """An invoice request as the node has it."""

    node_id: str
    invreq_id: str
    bolt12: str
    label: str | None
    active: bool
    used: bool


@dataclass(frozen=True, slots=True)
class PaymentPart:
    """A part of a payment of our node, with its invoice request if known.

    `created_index` is the node's number of the part; `ended_at` is None while the part is in flight.
    """

    invreq_id: str | None
    payment_hash: str
    created_index: int
    status: str
    amount_sent_msat: int
    ended_at: datetime | None

    @property
    def is_complete(self) -> bool:
        """True if the part has arrived."""
        return self.status == "complete"


@dataclass(frozen=True, slots=True)
class Invreq:
    """An invoice request of Till. `id` is its label at the node, `key_id` the key that created it.

    `invreq_id` is empty until the node's reply is stored. Callers see the request only after that.
    """

    id: str
    invreq_id: str
    username: str
    key_id: str
    label: str | None
    amount_msat: int
    description: str
    issuer: str | None
    single_use: bool
    absolute_expiry: datetime | None
    node_id: str
    bolt12: str
    created_at: datetime
    active: bool = False
    used: bool = False
    failed_at: datetime | None = None

    @classmethod
    def reserved(
        cls, creator: Creator, order: InvreqTerms, node_id: str, secret: bytes, now: datetime
    ) -> Self:
        """Return a new request, before the node knows it. A repeated label of a user yields the same id."""
        return cls(
            id=new_public_id()
            if order.label is None
            else derived_public_id(secret, "invreq", creator.username, order.label),
            invreq_id="",
            username=creator.username,
            key_id=creator.key_id,
            label=order.label,
            amount_msat=order.amount_msat,
            description=order.description,
            issuer=order.issuer,
            single_use=order.single_use,
            absolute_expiry=order.absolute_expiry,
            node_id=node_id,
            bolt12="",
            created_at=now.replace(microsecond=0),
        )

    @property
    def creator(self) -> Creator:
        """The user and the key that created the request."""
        return Creator(self.username, self.key_id)

    @property
    def day(self) -> int:
        """The day of the payout limit (UTC, days since 1970)."""
        return unix_seconds(self.created_at) // 86400

    def is_retrying(self, now: datetime) -> bool:
        """Return whether a payment failed so recently that the node may still retry."""
        return self.failed_at is not None and now - STILL_TRYING < self.failed_at

    def status_at(self, now: datetime, *, in_flight: bool) -> InvreqStatus:
        """Return the status from the stored facts, and from whether a payment is in flight."""
        if self.used and self.single_use:
            return InvreqStatus.USED
        if self.active and (in_flight or self.is_retrying(now)):
            return InvreqStatus.BEING_PAID
        if self.failed_at and self.single_use:
            return InvreqStatus.FAILED
        if self.absolute_expiry and self.absolute_expiry <= now:
            return InvreqStatus.EXPIRED
        return InvreqStatus.ACTIVE if self.active else InvreqStatus.DISABLED

    def collected(self) -> Self:
        """Return this request after a payment."""
        return replace(self, used=True, active=self.active and not self.single_use)

    def answering(self, order: InvreqTerms) -> Self:
        """Return this request if it matches the order with its label.

        Raises Conflict, which names the difference.
        """
        fields = {"amount": "amount_msat", "description": "description", "issuer": "issuer"}
        fields |= {order.expiry_field: "absolute_expiry", "single_use": "single_use"}
        check_repeats(self, order, "an invoice request", fields)
        return self


def seconds_to_midnight(now: datetime) -> float:
    """Return the seconds left in this day (UTC)."""
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    return (midnight - now).total_seconds()
