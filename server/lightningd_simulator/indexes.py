"""Numbers that say in which order things were made and changed."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, Literal, TypeAlias, TypeVar

IndexName: TypeAlias = Literal["created", "updated", "deleted"]

Key = TypeVar("Key")

_BLOCK = 1024


class Index(Generic[Key]):
    """Invoices, or the like, by a number that only grows. A page costs its length, wherever it starts."""

    def __init__(self) -> None:
        # In blocks of adjacent numbers, since one long list would be moved for each gap.
        self._blocks: dict[int, dict[int, Key]] = {}
        self._order: list[int] = []

    def add(self, number: int, key: Key) -> None:
        """Append one; the number is larger than all before."""
        block = number // _BLOCK
        if block not in self._blocks:
            self._blocks[block] = {}
            self._order.append(block)
        self._blocks[block][number] = key

    def remove(self, number: int) -> None:
        """Leave a gap."""
        block = number // _BLOCK
        del self._blocks[block][number]
        if not self._blocks[block]:
            del self._blocks[block]
            del self._order[bisect_left(self._order, block)]

    def since(self, start: int) -> Iterator[Key]:
        """Go through them from a number on."""
        for at in range(bisect_left(self._order, start // _BLOCK), len(self._order)):
            for number, key in self._blocks[self._order[at]].items():
                if number >= start:
                    yield key
