"""Query plans, in the words of each database."""

import re
from itertools import count
from typing import Any

from tilld.storage.executor import Executor
from tilld.storage.statements import Bound, Transactions


async def plan(store: Executor, statement: Bound) -> str:
    """Return the plan of a statement, which does not run."""
    sql, values = statement
    if store.is_local:
        rows = await store.scan(Bound(f"EXPLAIN QUERY PLAN {sql}", values))
        return "\n".join(row[-1] for row in rows)

    def explained(do: Transactions) -> list[tuple[Any, ...]]:
        """Return the plan of the prepared statement, which psycopg uses after some calls."""
        numbers = count(1)
        do.execute(Bound("SET plan_cache_mode = force_generic_plan"))
        do.execute(Bound(f"PREPARE page AS {re.sub('%s', lambda _: f'${next(numbers)}', sql)}"))
        rows = do.rows(Bound(f"EXPLAIN EXECUTE page({', '.join(map(repr, values))})"))
        do.execute(Bound("DEALLOCATE page"))
        return rows

    return "\n".join(row[0] for row in await store.write(explained))
