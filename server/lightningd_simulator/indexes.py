"""Indexes: numbers in the order of creation, update and deletion."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, Literal, TypeAlias, TypeVar

IndexName: TypeAlias = Literal["created", "updated", "deleted"]

Key = TypeVar("Key")

_BLOCK = 1024


class Index(Generic[Key]):
    """Keys by an increasing number. The cost of a page depends only on its length."""

    def __init__(self) -> None:
        # Blocks of adjacent numbers, since each gap would shift a single long list.
        self._blocks: dict[int, dict[int, Key]] = {}
        self._order: list[int] = []

    def add(self, number: int, key: Key) -> None:
        """Append a key. The number must exceed all earlier ones."""
        block = number // _BLOCK
        if block not in self._blocks:
            self._blocks[block] = {}
            self._order.append(block)
        self._blocks[block][number] = key

    def remove(self, number: int) -> None:
        """Remove a key, which leaves a gap."""
        block = number // _BLOCK
        del self._blocks[block][number]
        if not self._blocks[block]:
            del self._blocks[block]
            del self._order[bisect_left(self._order, block)]

    def since(self, start: int) -> Iterator[Key]:
        """Yield the keys from a number on."""
        for at in range(bisect_left(self._order, start // _BLOCK), len(self._order)):
            for number, key in self._blocks[self._order[at]].items():
                if number >= start:
                    yield key
