"""Compiled statements: each value is bound to the placeholder of its name."""

from collections.abc import Iterator
from typing import Any

import peewee
import pytest

from tilld.storage.statements import Bound, compiled, param, param_list, params, whole_rows
from tilld.storage.tables import BudgetTable

DATABASES = [peewee.SqliteDatabase(None), peewee.PostgresqlDatabase(None)]
SEEN = [[param("day", at), param("msat", at)] for at in range(3)]


@pytest.fixture(params=DATABASES, ids=["sqlite", "postgresql"], autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[peewee.Database]:
    with request.param.bind_ctx([BudgetTable]):
        yield request.param


def test_values_are_bound_in_the_order_of_the_placeholders() -> None:
    """Constants of the query are bound too."""
    update = BudgetTable.update(msat=BudgetTable.msat + param("more"))
    of_key = update.where(BudgetTable.msat > 7, BudgetTable.key_id == param("key_id"), BudgetTable.day == 3)

    assert compiled(of_key)(key_id="k", more=1).values == (1, 7, "k", 3)


def test_a_value_may_be_bound_several_times() -> None:
    twice = BudgetTable.update(day=param("day")).where(BudgetTable.day < param("day")).limit(None)

    assert compiled(twice)(day=5).values == (5, 5)


def test_a_statement_without_placeholders_has_its_constants() -> None:
    assert compiled(BudgetTable.select().where(BudgetTable.day == 1).limit(2))().values == (1, 2)


@pytest.mark.parametrize("values", [{}, {"day": 1, "key_id": "k"}, {"key_id": "k"}])
def test_a_value_that_is_missing_or_unknown_is_an_error(values: dict[str, Any]) -> None:
    statement = compiled(BudgetTable.select().where(BudgetTable.day == param("day")))

    with pytest.raises(TypeError, match="day|key_id"):
        statement(**values)


def test_sequences_fill_a_table_of_values_and_a_list() -> None:
    seen = peewee.CTE("seen", peewee.ValuesList(SEEN), columns=("day", "msat"))
    days = BudgetTable.day.in_(param_list("day", 3))
    query = BudgetTable.update(msat=seen.c.msat, key_id="x").from_(seen).with_cte(seen).where(days)

    values = compiled(query)(msat=(10, 20, 30), day=(1, 2, 3)).values

    assert sorted(values[:7], key=str) == [1, 10, 2, 20, 3, 30, "x"]
    assert values[-3:] == (1, 2, 3)
    assert [values.index(msat) - values.index(day) for day, msat in ((1, 10), (2, 20), (3, 30))] == [1] * 3


def test_rows_are_inserted_in_the_order_of_the_columns() -> None:
    many, one = whole_rows(BudgetTable, 2), params(BudgetTable)

    assert compiled(BudgetTable.insert_many(many))(values=("a", 1, 2, "b", 3, 4)).values == (
        ("a", 1, 2, "b", 3, 4)
    )  # fmt: skip
    assert compiled(BudgetTable.insert(one))(msat=2, key_id="a", day=1).values == ("a", 1, 2)


def test_a_bound_statement_has_the_sql_of_the_database(database: peewee.Database) -> None:
    mark = "?" if isinstance(database, peewee.SqliteDatabase) else "%s"

    bound = compiled(BudgetTable.select().where(BudgetTable.day == param("day")))(day=1)

    assert isinstance(bound, Bound)
    assert f'"day" = {mark}' in bound.sql
