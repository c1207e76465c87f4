"""The offers of a node. Changes only by events, without clock or disk.

Payments of offers are not simulated.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer was created."""

    offer_id: str
    bolt12: str
    label: str | None
    description: str | None
    single_use: bool


@dataclass(frozen=True, slots=True)
class Switched:
    """An offer was disabled or enabled."""

    offer_id: str
    active: bool


Event: TypeAlias = Offered | Switched


@dataclass(frozen=True, slots=True)
class Offer:
    """The present state of an offer."""

    made: Offered
    active: bool = True


class Offers:
    """All offers. Raises KeyError for an event of an unknown offer."""

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}

    def offer(self, offer_id: str) -> Offer | None:
        """Return an offer, or None."""
        return self._offers.get(offer_id)

    def all(self) -> list[Offer]:
        """Return all offers, by id as in lightningd's database."""
        return [offer for _, offer in sorted(self._offers.items())]

    def apply(self, event: Event) -> Offer:
        """Apply an event; return the changed offer."""
        if isinstance(event, Offered):
            offer = Offer(event)
        else:
            offer = replace(self._offers[event.offer_id], active=event.active)
        self._offers[event.offer_id] = offer
        return offer
