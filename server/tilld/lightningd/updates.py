"""Follows an index of the node from the stored value, and settles the updates."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, NamedTuple, Self, TypeVar

import structlog

from tilld.config import USUAL, Intervals
from tilld.lightningd.node import Index, Node, Subsystem
from tilld.runtime.progress import Progress

log = structlog.get_logger()

Item = TypeVar("Item")


class Updates(NamedTuple, Generic[Item]):
    """A page of updates up to an updated index, and whether more follow."""

    items: list[Item]
    updated_index: int
    more: bool

    @classmethod
    def page(cls, changed: Sequence[tuple[Item, int]], after: int, upto: int, size: int) -> Self:
        """Return a page of at most `size` items beyond the updated index `after`, from items with indexes.

        `upto` is the known latest index. Deleted rows leave gaps: a page with fewer items ends at `upto`,
        even if its last item comes before.
        """
        more = len(changed) == size
        last = changed[-1][1] if changed else after
        return cls([item for item, _ in changed], last if more else max(last, upto), more)


class IndexFollower(Generic[Item]):
    """Follows an index of one subsystem of the node.

    `find_cursor` returns the index up to which a node is settled. `read` returns a page of updates beyond one
    index, up to the known latest. `settle` stores a page and its index in one transaction. `wait` waits until
    the node's index exceeds one.
    """

    def __init__(
        self,
        node: Node,
        subsystem: Subsystem,
        find_cursor: Callable[[str], Awaitable[int]],
        read: Callable[[int, int], Awaitable[Updates[Item]]],
        settle: Callable[[str, Sequence[Item], int], Awaitable[None]],
        intervals: Intervals = USUAL,
        *,
        index: Index = "updated",
        wait: Callable[[str, int], Awaitable[int]] | None = None,
    ) -> None:
        self._node = node
        self._index: Index = index
        self._wait = wait or partial(node.wait_for_update, subsystem=subsystem)
        self._subsystem: Subsystem = subsystem
        self._find_cursor = find_cursor
        self._read = read
        self._settle = settle
        self._intervals = intervals
        self._followed: dict[str, int] = {}
        self.is_following = False
        # Number of known updates that are not settled yet.
        self.lag = 0

    async def follow(self, node_id: str, begin: Callable[[], Awaitable[None]] | None = None) -> None:
        """Follow a node until a call fails or another node replies; both raise.

        `begin` is awaited between the cursor and the first page: updates that other processes settled up to
        the cursor are on no page.
        """
        # Keeps this process's own position: another process's progress does not notify our watchers.
        if node_id not in self._followed:
            self._followed[node_id] = await self._find_cursor(node_id)
        followed = self._followed[node_id]
        latest = await self._node.latest(self._index, self._subsystem)
        if latest < followed:
            log.error(
                "node's index went back; reading all updates again",
                subsystem=self._subsystem,
                index=self._index,
                followed=followed,
                latest=latest,
            )
            self._followed[node_id] = 0
        if begin:
            await begin()
        self.is_following = True
        try:
            while True:
                await self._catch_up(node_id, latest)
                latest = await self._wait(node_id, self._followed[node_id])
        finally:
            self.is_following = False

    async def _catch_up(self, node_id: str, latest: int) -> None:
        """Settle all updates up to the latest, page by page."""
        first, more = self._followed[node_id], True
        self.lag = latest - first
        doing = f"catching up with the node's {self._subsystem}"
        with Progress(doing, latest - first, self._intervals) as progress:
            while more:
                updates = await self._read(self._followed[node_id], latest)
                await self._node.check_is(node_id)
                await self._settle(node_id, updates.items, updates.updated_index)
                self._followed[node_id], more = updates.updated_index, updates.more
                self.lag = max(latest - updates.updated_index, 0)
                progress.at(updates.updated_index - first)
