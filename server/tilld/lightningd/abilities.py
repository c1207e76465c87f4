"""What a lightningd can do, by the commands and parameters that it lists (lightning-help(7))."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tilld.formats.strict_json import text

# Before v24.11, which has this command, BOLT 12 takes an option; without it sendinvoice is missing.
_BOLT12_BY_DEFAULT = "injectpaymentonion"

NO_BOLT12 = "the lightning node has no BOLT 12: before v24.11 it needs --experimental-offers"
NO_PAYMENTS = "the lightning node cannot be followed in what it pays: update it to v23.11 or later"


@dataclass(frozen=True, slots=True)
class Abilities:
    """Why a node cannot do something, for whoever asks for it; empty where it can."""

    no_collecting: str = ""
    no_payouts: str = ""

    @classmethod
    def from_help(cls, reply: Mapping[str, Any]) -> Self:
        """Read an answer of help.

        Raises LookupError, TypeError or ValueError where it is not what it should be.
        """
        usages = [text(each["command"]).split() for each in reply["help"]]
        commands = {usage[0]: usage[1:] for usage in usages}
        has_bolt12 = bool(commands.keys() & {"sendinvoice", _BOLT12_BY_DEFAULT})
        # Indexes came to listsendpays and to wait in the same version; the usage of wait does not tell.
        has_payments = "[index]" in commands.get("listsendpays", ())
        return cls(
            no_collecting="" if has_bolt12 else NO_BOLT12,
            no_payouts=NO_BOLT12 if not has_bolt12 else "" if has_payments else NO_PAYMENTS,
        )

    @property
    def missing(self) -> list[str]:
        """All reasons, each once."""
        return sorted({self.no_collecting, self.no_payouts} - {""})
