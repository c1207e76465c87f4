"""Numbers that say in which order things were made and changed."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, Literal, TypeAlias, TypeVar

IndexName: TypeAlias = Literal["created", "updated", "deleted"]

Key = TypeVar("Key")


class Index(Generic[Key]):
    """Invoices, or the like, by a number that only grows. A page costs its length, wherever it starts."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._keys: dict[int, Key] = {}

    def add(self, number: int, key: Key) -> None:
        """Append one; the number is larger than all before."""
        self._numbers.append(number)
        self._keys[number] = key

    def remove(self, number: int) -> None:
        """Leave a gap."""
        del self._keys[number]
        del self._numbers[bisect_left(self._numbers, number)]

    def since(self, start: int) -> Iterator[Key]:
        """Go through them from a number on."""
        first = bisect_left(self._numbers, start)
        return (self._keys[self._numbers[at]] for at in range(first, len(self._numbers)))
