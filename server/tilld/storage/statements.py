"""SQL that is compiled once, and how it is run."""

from collections.abc import Sequence
from typing import Any, TypeVar


def compiled(query: Any) -> str:
    """The SQL of a query; its parameters come in the order in which it names columns."""
    text: str = query.sql()[0]
    return text


Item = TypeVar("Item")


def padded(items: Sequence[Item]) -> list[Item]:
    """The items, and the last one again and again: a few lengths only, or each would be another statement."""
    return [*items, *[items[-1]] * ((1 << (len(items) - 1).bit_length()) - len(items))]
