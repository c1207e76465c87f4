"""Offers in lightningd's format: unsigned and deterministic."""

from dataclasses import dataclass
from typing import Self

from coincurve import PrivateKey

from lightningd_simulator.bolts import bolt12, bolt12_fields
from lightningd_simulator.bolts.bolt12 import Fields
from lightningd_simulator.bolts.bolt12_fields import REGTEST, Field, truncated
from lightningd_simulator.bolts.bolt12_messages import read_fields
from lightningd_simulator.rpc.answers import Result


@dataclass(frozen=True)
class OfferString:
    """An offer, whose payers request an invoice."""

    fields: Fields

    @classmethod
    def made(
        cls,
        private_key: str,
        *,
        amount_msat: int | None,
        description: str | None,
        issuer: str | None,
        absolute_expiry: int | None,
    ) -> Self:
        """Return an offer of a node."""
        numbers = {Field.OFFER_AMOUNT: amount_msat, Field.ABSOLUTE_EXPIRY: absolute_expiry}
        texts = {Field.DESCRIPTION: description, Field.ISSUER: issuer}
        fields: Fields = {
            Field.OFFER_CHAINS: REGTEST,
            **{field: truncated(number) for field, number in numbers.items() if number is not None},
            **{field: text.encode() for field, text in texts.items() if text is not None},
            Field.ISSUER_ID: PrivateKey.from_hex(private_key).public_key.format(),
        }
        return cls(dict(sorted(fields.items())))

    @classmethod
    def read(cls, string: str) -> Self:
        """Return the content of an offer.

        Raises ValueError with lightningd's message.
        """
        return cls(read_fields(string, "lno", "invalid offer data"))

    @property
    def string(self) -> str:
        """The offer as `lno1…`."""
        return bolt12.write("lno", self.fields)

    @property
    def id(self) -> str:
        """lightningd's id of the offer, in hex."""
        return bolt12.id_of(self.fields)

    def shown(self) -> Result:
        """Return the offer in the format of `decode`."""
        return {
            "type": "bolt12 offer",
            "offer_id": self.id,
            **bolt12_fields.shown(self.fields),
            "valid": True,
        }
