"""The terms of an invoice that a caller requests, and their limits. Pure."""

import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tilld.errors import InvalidRequest, TooLarge
from tilld.formats import strict_json
from tilld.formats.amounts import check_amount
from tilld.formats.ids import derived_public_id, new_public_id
from tilld.formats.text import check_label, check_text

DEFAULT_EXPIRY_SECONDS = 3600
MAX_EXPIRY_SECONDS = 365 * 24 * 3600
# BOLT 11: a tagged field holds 1023 groups of 5 bits.
MAX_BOLT11_DESCRIPTION_BYTES = 639
MAX_DESCRIPTION_BYTES = 8 * 1024
MAX_METADATA_BYTES = 16 * 1024
# Each becomes a route hint of 85 characters, and payers scan the payment request.
MAX_EXPOSED_CHANNELS = 20
# BOLT 7: block and transaction have 3 bytes each, the output has 2.
_UP_TO_2_24 = (
    "([0-9]{1,7}|1[0-5][0-9]{6}|16[0-6][0-9]{5}|167[0-6][0-9]{4}|1677[0-6][0-9]{3}|16777[01][0-9]{2}"
    "|167772(0[0-9]|1[0-5]))"
)
_UP_TO_2_16 = "([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
CHANNEL = f"{_UP_TO_2_24}x{_UP_TO_2_24}x{_UP_TO_2_16}"

_channel = re.compile(CHANNEL).fullmatch


@dataclass(frozen=True, slots=True)
class InvoiceTerms:
    """The validated terms of a request.

    `expiry` is in seconds. `expose_private_channels` is None to let lightningd choose, and else allows all
    private channels as route hints, or none, or those with these short channel ids.
    `description_hash_only` is true for each description that is too long for BOLT 11. `webhook_url` is
    checked when the invoice is created, since the operator decides which URLs are permitted.
    """

    amount_msat: int | None
    description: str | None
    expiry: int
    metadata: str
    label: str | None
    expose_private_channels: bool | tuple[str, ...] | None = None
    description_hash_only: bool = False
    webhook_url: str | None = None

    @classmethod
    def checked(
        cls,
        *,
        amount_msat: int | None,
        description: str | None,
        expiry: float | None,
        metadata: str,
        label: str | None,
        expose_private_channels: bool | Sequence[str] | None = None,
        description_hash_only: bool = False,
        webhook_url: str | None = None,
        amount_field: str = "amount_msat",
    ) -> Self:
        """Return the terms of a request, checked against the limits.

        `expiry` is in seconds; `amount_field` is the caller's name of the amount. Raises InvalidRequest or
        TooLarge, which name the field and the limit.
        """
        if amount_msat is not None:
            check_amount(amount_msat, amount_field)
        if description is not None:
            check_text(description, "description", MAX_DESCRIPTION_BYTES)
        if label is not None:
            check_label(label)
        if expiry is None:
            expiry = DEFAULT_EXPIRY_SECONDS
        if not isinstance(expiry, int) or not 1 <= expiry <= MAX_EXPIRY_SECONDS:
            raise InvalidRequest(
                f"expiry must be whole seconds, at least 1 and at most {MAX_EXPIRY_SECONDS} (365 days)"
            )
        if description_hash_only and not description:
            raise InvalidRequest("description_hash_only needs a description")
        if not isinstance(expose_private_channels, bool | None):
            expose_private_channels = _checked_channels(expose_private_channels)
        is_long = description is not None and len(description.encode()) > MAX_BOLT11_DESCRIPTION_BYTES
        return cls(
            amount_msat,
            description or None,
            expiry,
            checked_metadata(metadata),
            label,
            expose_private_channels,
            description_hash_only or is_long,
            webhook_url,
        )

    @property
    def type(self) -> str:
        """The application of the invoice."""
        return type_of(self.metadata)

    def invoice_id(self, username: str, secret: bytes) -> str:
        """Return the public id of this order.

        A repeated label of a user yields the same id; an order without a label gets a new one. Ids of labels
        are derived with the store's secret, so that outsiders cannot guess the label.
        """
        return new_public_id() if self.label is None else derived_public_id(secret, username, self.label)


def _checked_channels(channels: Sequence[str]) -> tuple[str, ...]:
    """Return short channel ids. Raises InvalidRequest."""
    if not 1 <= len(channels) <= MAX_EXPOSED_CHANNELS:
        raise InvalidRequest(
            f"expose_private_channels must have 1 to {MAX_EXPOSED_CHANNELS} short channel ids, "
            f"but has {len(channels)}"
        )
    for channel in channels:
        if not _channel(channel):
            raise InvalidRequest(
                f"expose_private_channels has {reprlib.repr(channel)}; "
                'a short channel id has a form such as "123456x7x0"'
            )
    return tuple(channels)


def checked_metadata(text: str) -> str:
    """Return metadata in compact form. Raises InvalidRequest or TooLarge."""
    kind = strict_json.values(text, "metadata").get("type")
    compact = strict_json.compact(text)
    if len(compact.encode()) > MAX_METADATA_BYTES:
        raise TooLarge(f"metadata must have at most {MAX_METADATA_BYTES} bytes")
    if not isinstance(kind, str):
        raise InvalidRequest('metadata must have a member "type" that is a string')
    return compact


def type_of(metadata: str) -> str:
    """Return the application that stored metadata names."""
    return str(strict_json.values(metadata, "metadata")["type"])
