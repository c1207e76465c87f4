"""The nodes that were seen: what each said of itself."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

import peewee

from tilld.lightningd.info import NodeInfo
from tilld.storage.executor import Executor
from tilld.storage.mapper import Conversion
from tilld.storage.rows import Rows
from tilld.storage.statements import compiled, whole_rows
from tilld.storage.tables import NodeTable


class _SeenNode(NamedTuple):
    id: str
    info: NodeInfo
    seen_at: datetime
    updated_index: int = 0


_INFO = Conversion(lambda info: json.dumps(asdict(info)), lambda text: NodeInfo.from_json(json.loads(text)))
NODES = Rows(NodeTable.id, _SeenNode, info=_INFO)


class NodeStore:
    """The nodes, in the database of a store, which raises what it raises there."""

    def __init__(self, store: Executor) -> None:
        self._store = store
        with store.database.bind_ctx([NodeTable]):
            self._last = compiled(NodeTable.select().order_by(NodeTable.seen_at.desc()).limit(1))
            facts = {column: peewee.EXCLUDED[column.name] for column in (NodeTable.info, NodeTable.seen_at)}
            seen = NodeTable.insert_many(whole_rows(NodeTable))
            self._remember = compiled(seen.on_conflict(conflict_target=[NodeTable.id], update=facts))

    async def remember(self, info: NodeInfo, seen_at: datetime) -> None:
        """Keep what a node says of itself, for when it is offline."""
        remember = self._remember(values=NODES.row(_SeenNode(info.id, info, seen_at)))
        await self._store.write(lambda do: do.execute(remember))

    async def last(self) -> NodeInfo | None:
        """The node that was seen last, as it was then; None where that cannot be read."""
        return next((node.info for node in NODES.all(await self._store.read(self._last()))), None)
