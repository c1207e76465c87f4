"""Detects the abilities of lightningd by its commands and parameters (lightning-help(7))."""

from dataclasses import dataclass
from typing import Self

from tilld.lightningd.replies import Reply

# v24.11 has this command, and BOLT 12 by default. Earlier versions need an option, else sendinvoice is
# missing.
_BOLT12_BY_DEFAULT = "injectpaymentonion"

NO_BOLT12 = "the lightning node does not support BOLT 12; before v24.11 it needs --experimental-offers"
NO_PAYMENTS = "the lightning node does not list its payments by index; update it to v23.11 or later"


class HelpLine(Reply, frozen=True):
    """A command with its parameters."""

    command: str


class Help(Reply, frozen=True):
    """The reply to help."""

    help: tuple[HelpLine, ...]


@dataclass(frozen=True, slots=True)
class Abilities:
    """Reasons, for callers, why a node cannot do something. Empty if it can."""

    no_collecting: str = ""
    no_payouts: str = ""

    @classmethod
    def from_help(cls, reply: Help) -> Self:
        """Return the abilities that a reply to help shows."""
        usages = [line.command.partition(" ") for line in reply.help]
        commands = {name: parameters.split() for name, _, parameters in usages}
        has_bolt12 = bool(commands.keys() & {"sendinvoice", _BOLT12_BY_DEFAULT})
        # listsendpays and wait got indexes in the same version, and the usage of wait does not show them.
        has_payments = "[index]" in commands.get("listsendpays", ())
        return cls(
            no_collecting="" if has_bolt12 else NO_BOLT12,
            no_payouts=NO_BOLT12 if not has_bolt12 else "" if has_payments else NO_PAYMENTS,
        )

    @property
    def missing(self) -> list[str]:
        """All reasons, each once."""
        return sorted({self.no_collecting, self.no_payouts} - {""})
