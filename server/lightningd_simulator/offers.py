"""The offers of a node: a state that changes by events alone, without clock or disk. Nobody pays them."""

from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer was made."""

    offer_id: str
    bolt12: str
    label: str | None
    description: str | None
    single_use: bool


@dataclass(frozen=True, slots=True)
class Switched:
    """An offer was withdrawn, or made available again."""

    offer_id: str
    active: bool


Event: TypeAlias = Offered | Switched


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer as it is now."""

    made: Offered
    active: bool = True


class Offers:
    """All offers. Raises KeyError for an event about one that is not there."""

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}

    def offer(self, offer_id: str) -> Offer | None:
        """Find an offer."""
        return self._offers.get(offer_id)

    def all(self) -> list[Offer]:
        """List all offers. The real node's database has them by their ids."""
        return [offer for _, offer in sorted(self._offers.items())]

    def apply(self, event: Event) -> Offer:
        """Let an event happen; tells of the offer as it is then."""
        if isinstance(event, Offered):
            offer = Offer(event)
        else:
            offer = replace(self._offers[event.offer_id], active=event.active)
        self._offers[event.offer_id] = offer
        return offer
