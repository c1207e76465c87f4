"""The query plans of lists, on every database, beside many invoices of another user."""

import re
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from tests.support.plans import plan
from tests.support.samples import an_invoice
from tilld.invoices.invoice import Status
from tilld.invoices.repository import Store
from tilld.lists.sql import ListSQL
from tilld.lists.terms import InvoiceFilter, ListTerms, Order, Position
from tilld.storage.database import open_database
from tilld.storage.statements import Bound

# Many invoices of another user, in the order of their ids, as in life: to read them by ids seems cheap.
COLUMNS = """id, invoice_id, username, key_id, metadata, type, node_id, payment_hash, bolt11,
    created_at, expires_at, status"""
OTHERS = {
    False: f"""INSERT INTO invoices ({COLUMNS})
        SELECT lpad(to_hex(i), 24, '0'), lpad(i::text, 21, '0'), 'another', '', '', 'shop', '',
            lpad(i::text, 64, '0'), 'lnbc', i, i, 'expired' FROM generate_series(1, 30000) AS i""",
    True: f"""WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 30000)
        INSERT INTO invoices ({COLUMNS})
        SELECT printf('%024x', i), printf('%021d', i), 'another', '', '', 'shop', '', printf('%064d', i),
            'lnbc', i, i, 'expired' FROM numbers""",
}


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(open_database(database_url))
    await store.write(lambda do: do.execute(Bound(OTHERS[store.is_local])))
    await store.adopt([an_invoice(), an_invoice(status=Status.EXPIRED)])
    await store.write(lambda do: do.execute(Bound("ANALYZE")))
    yield store
    await store.close()


async def plan_of(store: Store, order: Order, position: Position | None, **fields: Any) -> str:
    terms = ListTerms.checked(InvoiceFilter.checked(**fields), order, 25)
    statement = ListSQL(store.database).page("dakk", terms, position, terms.scanned)
    assert statement
    return await plan(store, statement)


async def test_an_index_has_the_order_of_creation(store: Store) -> None:
    """No list reads rows of other users, or sorts more than a page."""
    orders = (Order.CREATED_DESC, Order.CREATED_ASC)
    of_statuses: tuple[list[Status], ...] = ([], [Status.PAID], [Status.UNPAID, Status.EXPIRED])
    positions = (None, ("6" * 24,))
    for order, kind, statuses, position in product(orders, (None, "shop"), of_statuses, positions):
        found = await plan_of(store, order, position, type=kind, statuses=statuses)

        index = f"invoices_username_{'type_' if kind else ''}status_id"
        read = re.findall(r"(?:SCAN|SEARCH|Scan).*? (?:INDEX|using|on) (\w+)", found)
        assert read == [index] * (len(statuses) or len(Status)), found
        assert "TEMP B-TREE" not in found
