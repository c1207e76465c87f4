"""An invoice request: what is offered, how far it may go, what became of it. Pure.

Money is whole millisatoshi (msat), times are aware UTC.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from tilld.auth.caller import Creator
from tilld.errors import InvalidRequest
from tilld.formats.amounts import check_amount
from tilld.formats.ids import derived_public_id, new_public_id
from tilld.formats.repeats import check_repeats
from tilld.formats.text import check_label, check_line, check_text
from tilld.formats.times import check_expiry, unix_seconds

MAX_DESCRIPTION_BYTES = 639
MAX_ISSUER_BYTES = 128

# lightningd tries for 60 s (lightning-xpay(7)): between two tries no part of the payment is on its way.
STILL_TRYING = timedelta(seconds=70)

is_invreq_id = re.compile(r"[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class PayoutLimits:
    """What each key may offer: by one request, and by all that it makes on one day (UTC); None: any sum.

    `may_disable`: whether it may disable what it has offered, itself or by `absolute_expiry`.
    """

    single_msat: int = 100_000_000
    day_msat: int | None = 1_000_000_000
    may_disable: bool = False

    @property
    def most_msat(self) -> int:
        """The largest amount that one request may have."""
        return self.single_msat if self.day_msat is None else min(self.single_msat, self.day_msat)


@dataclass(frozen=True, slots=True)
class InvreqTerms:
    """What a caller asks for: known to be good, but for its time and the caller's limits."""

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
        """Check a request; `amount_field` and `expiry_field` are the caller's names of amount and expiry.

        Raises InvalidRequest or TooLarge, naming the field and the limit.
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
        """Hold it against what the caller may offer, now.

        Raises InvalidRequest, naming the field and the limit.
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
    """Whether an invoice request can be collected, or why it cannot."""

    ACTIVE = "active"
    BEING_PAID = "being_paid"
    USED = "used"
    FAILED = "failed"
    EXPIRED = "expired"
    DISABLED = "disabled"


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
    """A part of a payment that our node makes, for an invoice request if it is known which.

    `created_index` is the node's number for it; `ended_at` is None while it is on its way.
    """

    invreq_id: str | None
    payment_hash: str
    created_index: int
    status: str
    amount_sent_msat: int
    ended_at: datetime | None

    @property
    def is_complete(self) -> bool:
        """Whether it has arrived."""
        return self.status == "complete"


@dataclass(frozen=True, slots=True)
class Invreq:
    """An invoice request of ours. `key_id` is that of the key that created it; `id` its label at the node.

    Until the node is known to have it, `invreq_id` is empty, and nobody was told of it.
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
        """A new one, for a node that has not heard of it. The same label of a user has the same id."""
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
        """Who created it."""
        return Creator(self.username, self.key_id)

    @property
    def day(self) -> int:
        """The day (UTC, since 1970) on which it counts."""
        return unix_seconds(self.created_at) // 86400

    def is_retrying(self, now: datetime) -> bool:
        """Whether a payment of it has failed so recently that the node may still try again."""
        return self.failed_at is not None and now - STILL_TRYING < self.failed_at

    def status_at(self, now: datetime, *, in_flight: bool) -> InvreqStatus:
        """Derive the status from the facts, and from whether the node is paying for it."""
        if self.used and self.single_use:
            return InvreqStatus.USED
        if self.active and (in_flight or self.is_retrying(now)):
            return InvreqStatus.BEING_PAID
        if self.failed_at and self.single_use:
            return InvreqStatus.FAILED
        if self.absolute_expiry and self.absolute_expiry <= now:
            return InvreqStatus.EXPIRED
        return InvreqStatus.ACTIVE if self.active else InvreqStatus.DISABLED

    def answering(self, order: InvreqTerms) -> Self:
        """This one, if it is the answer to the order with its label.

        Raises Conflict, naming what differs.
        """
        fields = {"amount": "amount_msat", "description": "description", "issuer": "issuer"}
        fields |= {order.expiry_field: "absolute_expiry", "single_use": "single_use"}
        check_repeats(self, order, "an invoice request", fields)
        return self


def seconds_to_midnight(now: datetime) -> float:
    """How long this day (UTC) still lasts."""
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    return (midnight - now).total_seconds()
