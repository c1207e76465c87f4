"""Follows an index of the node: what changes there is settled, from where the store left off."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, Self, TypeVar

import structlog

from tilld.config import USUAL, Intervals
from tilld.lightningd.node import Node, Subsystem
from tilld.runtime.progress import Progress

log = structlog.get_logger()

Item = TypeVar("Item")


class Updates(NamedTuple, Generic[Item]):
    """A page of what changed at the node, up to an updated index, and whether there is more."""

    items: list[Item]
    updated_index: int
    more: bool

    @classmethod
    def page(cls, changed: Sequence[tuple[Item, int]], after: int, upto: int, size: int) -> Self:
        """Return a page of at most `size` items beyond the updated index `after`; each comes with its own.

        `upto` is how far the index is known to go. Deleted rows leave gaps: a page that is not full goes to
        `upto` even if its last item comes before.
        """
        more = len(changed) == size
        last = changed[-1][1] if changed else after
        return cls([item for item, _ in changed], last if more else max(last, upto), more)


class IndexFollower(Generic[Item]):
    """Follows what changes in one subsystem of the node.

    `find_cursor` returns up to which updated index of a node all is settled. `read` returns a page of updates
    beyond one, of what is known to go to another. `settle` writes a page down, with its updated index, in one
    transaction.
    """

    def __init__(
        self,
        node: Node,
        subsystem: Subsystem,
        find_cursor: Callable[[str], Awaitable[int]],
        read: Callable[[int, int], Awaitable[Updates[Item]]],
        settle: Callable[[str, Sequence[Item], int], Awaitable[None]],
        intervals: Intervals = USUAL,
    ) -> None:
        self._node = node
        self._subsystem: Subsystem = subsystem
        self._find_cursor = find_cursor
        self._read = read
        self._settle = settle
        self._intervals = intervals
        self._followed: dict[str, int] = {}
        self.is_following = False
        # How many updates of the node are known of and not settled yet.
        self.lag = 0

    async def follow(self, node_id: str, begin: Callable[[], Awaitable[None]] | None = None) -> None:
        """Follow a node until a call of it fails or another one answers, which raises.

        `begin` is awaited between the cursor and the first page: what others have settled up to the cursor
        comes on no page.
        """
        # Since we began, not since another process on this store went on: our watchers wait for us.
        if node_id not in self._followed:
            self._followed[node_id] = await self._find_cursor(node_id)
        followed = self._followed[node_id]
        latest = await self._node.latest("updated", self._subsystem)
        if latest < followed:
            log.error(
                "the node has forgotten updates; reading all again",
                subsystem=self._subsystem,
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
                latest = await self._node.wait_for_update(node_id, self._followed[node_id], self._subsystem)
        finally:
            self.is_following = False

    async def _catch_up(self, node_id: str, latest: int) -> None:
        """Settle all that was updated up to the latest, page after page."""
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
