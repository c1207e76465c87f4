"""The store of nodes: the last getinfo of each, and how far its updates were followed."""

from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
import peewee

from tilld.lightningd.info import NodeInfo
from tilld.storage.executor import Executor
from tilld.storage.mapper import Conversion
from tilld.storage.rows import Rows
from tilld.storage.statements import compiled, param, params, whole_rows
from tilld.storage.tables import CursorTable, NodeTable

# The names of cursors: the updates of two subsystems, and the deletions of one.
Followed = Literal["invoices", "sendpays", "deleted invoices"]


class _SeenNode(NamedTuple):
    id: str
    info: NodeInfo
    seen_at: datetime


_INFO = Conversion(
    lambda info: msgspec.json.encode(info).decode(), lambda text: msgspec.json.decode(text, type=NodeInfo)
)
NODES = Rows(NodeTable.id, _SeenNode, info=_INFO)


class NodeStore:
    """The nodes in the database of a store. Raises the store's errors."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        self._cursors = Cursors(store.database)
        with store.database.bind_ctx([NodeTable]):
            self._last = compiled(NodeTable.select().order_by(NodeTable.seen_at.desc()).limit(1))
            facts = {column: peewee.EXCLUDED[column.name] for column in (NodeTable.info, NodeTable.seen_at)}
            seen = NodeTable.insert_many(whole_rows(NodeTable))
            self._remember = compiled(seen.on_conflict(conflict_target=[NodeTable.id], update=facts))

    async def remember(self, info: NodeInfo, seen_at: datetime) -> None:
        """Store a node's state, for reads while it is offline."""
        remember = self._remember(values=NODES.row(_SeenNode(info.id, info, seen_at)))
        await self._store.write(lambda do: do.execute(remember))

    async def last(self) -> NodeInfo | None:
        """Return the last seen state of the most recent node, or None without a readable one."""
        return next((node.info for node in NODES.all(await self._store.read(self._last()))), None)

    async def updated_index(self, node_id: str, subsystem: Followed) -> int:
        """Return the index up to which a node's updates were followed; 0 for an unknown node."""
        rows = await self._store.read(self._cursors.find(node_id=node_id, subsystem=subsystem))
        return rows[0][0] if rows else 0


class Cursors:
    """Statements on cursors, for use within transactions."""

    def __init__(self, database: peewee.Database) -> None:
        with database.bind_ctx([CursorTable]):
            cursor = CursorTable.select(CursorTable.updated_index).where(
                CursorTable.node_id == param("node_id"), CursorTable.subsystem == param("subsystem")
            )
            self.find = compiled(cursor)
            follow = CursorTable.insert(params(CursorTable)).on_conflict(
                conflict_target=[CursorTable.node_id, CursorTable.subsystem],
                update={CursorTable.updated_index: peewee.EXCLUDED.updated_index},
            )
            self.follow = compiled(follow)
