"""The terms of an invoice that a caller requests, and their limits. Pure."""

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


@dataclass(frozen=True, slots=True)
class InvoiceTerms:
    """The validated terms of a request. `expiry` is in seconds."""

    amount_msat: int | None
    description: str | None
    expiry: int
    metadata: str
    label: str | None

    @classmethod
    def checked(
        cls,
        *,
        amount_msat: int | None,
        description: str | None,
        expiry: float | None,
        metadata: str,
        label: str | None,
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
        return cls(amount_msat, description or None, expiry, checked_metadata(metadata), label)

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
