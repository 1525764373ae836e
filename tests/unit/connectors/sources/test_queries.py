"""Configured relations: what is taken, what is refused, how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp, parse_one

from connectors.errors import FixConfiguration
from connectors.sources.queries import relation, select, written


@pytest.mark.parametrize(
    ("text", "in_postgres"),
    [
        ("customers", 'SELECT * FROM "customers"'),
        ("shop.customers", 'SELECT * FROM "shop"."customers"'),
        ("crm.shop.order", 'SELECT * FROM "crm"."shop"."order"'),
        ('"My Table"', 'SELECT * FROM "My Table"'),
        ("select id from t", 'SELECT * FROM (SELECT "id" FROM "t") AS "source"'),
        ("  WITH a AS (SELECT 1 AS x) SELECT x FROM a;", None),
        ("(select id from t)", 'SELECT * FROM (SELECT "id" FROM "t") AS "source"'),
        ("FROM t", 'SELECT * FROM (SELECT * FROM "t") AS "source"'),
        ("select a from t union all select b from u", None),
        ("selected_customers", 'SELECT * FROM "selected_customers"'),
    ],
)
def test_what_stands_after_from(text: str, in_postgres: str | None) -> None:
    query = exp.select("*").from_(relation(text, name="tables.customers.from"))
    found = written(query, "postgres", name="shop")
    assert in_postgres is None or found == in_postgres
    assert isinstance(parse_one(found, dialect="postgres"), exp.Select)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "my table",
        "customers; DROP TABLE customers",
        "select 1; select 2",
        "select 1; drop table t",
        "read_csv('/etc/passwd')",
        "customers AS c",
        "select from where",
        "(select 1",
        "insert into t values (1)",
        "with gone as (delete from t returning *) select * from gone",
        "select 1 into t",
        "select * from t for update",
        "values (1)",
        "pragma database_list",
        "explain select 1",
        "a.b.c.d.e",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(FixConfiguration) as caught:
        relation(text, name="tables.customers.from")
    assert caught.value.what == "tables.customers.from"


def test_a_query_is_not_quoted_back() -> None:
    with pytest.raises(FixConfiguration) as caught:
        select("SELECT * FROM t WHERE email = 'anna@example.com' AND AND", name="test")
    assert "anna" not in str(caught.value)
    assert "line 1" in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        exp.delete("t"),
        exp.insert("SELECT 1", "t"),
        exp.Drop(this=exp.to_table("t"), kind="TABLE"),
        exp.Command(this="VACUUM"),
    ],
)
def test_a_written_query_is_judged_too(expression: exp.Expression) -> None:
    with pytest.raises(FixConfiguration, match="only a SELECT"):
        written(expression, "duckdb", name="shop")


def test_every_dialect_has_its_own_words() -> None:
    query = select("SELECT amount / quantity AS price, CAST(x AS TIMESTAMPTZ) AS at FROM orders", name="test")
    assert "NULLIF" in written(query, "postgres", name="shop")
    assert written(query, "bigquery", name="shop").startswith("SELECT `amount`")
    # Snowflake's names are upper case unless quoted: quoting a lower-case one would miss it.
    assert written(select("SELECT id FROM t", name="test"), "snowflake", name="shop") == "SELECT id FROM t"
    assert written(select("SELECT Id FROM t", name="test"), "postgres", name="shop") == 'SELECT Id FROM "t"'


@settings(deadline=None, max_examples=100)
@given(name=st.text(min_size=1, max_size=20).filter(lambda text: "\x00" not in text))
def test_a_quoted_name_is_one_name_whatever_is_in_it(name: str) -> None:
    query = exp.select(exp.column(name, quoted=True)).from_(exp.table_("t"))
    for dialect in ("duckdb", "postgres"):
        again = parse_one(written(query, dialect, name="shop"), dialect=dialect)
        assert [column.name for column in again.find_all(exp.Column)] == [name]
        assert isinstance(again, exp.Select)
        assert again.named_selects == [name]
