"""The same queries give the same rows from DuckDB and from a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyarrow import csv

from clvsync.customers.events import Carries, conversions
from clvsync.customers.mapping import mapped
from clvsync.customers.members import members
from clvsync.customers.summary import order_summary
from connectors.sources.opening import open_source
from connectors.types import Source
from tests import cdnow
from tests.shop import AS_OF, CUSTOMERS, ORDERS, business, by, clv, duckdb_source, read, tables


@pytest.fixture
def postgres(fresh_postgres_url: str) -> Iterator[Source]:
    with psycopg.connect(fresh_postgres_url) as connection:
        for statement in (*CUSTOMERS, *ORDERS):
            connection.execute(statement.encode())
    source = open_source(fresh_postgres_url, name="shop")
    yield source
    source.close()


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[name] == (pytest.approx(other[name], abs=1e-9) if isinstance(other[name], float) else other[name])
        for name in one
    )


def test_every_rule_of_the_shop_holds_in_both(tmp_path: Path, postgres: Source) -> None:
    duckdb = duckdb_source(tmp_path)
    queries: dict[str, Any] = {
        "summary": lambda mapped: order_summary(mapped, clv(), AS_OF),
        "summary with features": lambda mapped: order_summary(mapped, clv(), AS_OF),
        "acquisition": lambda mapped: conversions(mapped, "acquisition", AS_OF),
        "increment": lambda mapped: conversions(mapped, "increment", AS_OF),
        "in clear": lambda mapped: conversions(
            mapped, "increment", AS_OF, in_clear=True, keys=["1", "3", "11"]
        ),
        "members": members,
        "members in clear": lambda mapped: members(mapped, in_clear=True, keys=["anna", "gina"]),
    }
    for name, query in queries.items():
        key = "customer_key" if name.startswith("summary") else "key"
        features = {"medium": "channel", "size": "value"} if name.endswith("features") else {}
        ours, theirs = (
            by(read(source, query(mapped(source, tables(orders={"features": features}), business()))), key)
            for source in (duckdb, postgres)
        )
        assert ours.keys() == theirs.keys(), name
        assert ours, name
        for each, row in ours.items():
            assert same(row, theirs[each]), (name, each)


@pytest.mark.timeout(60)  # a plan that joins row by row takes minutes
def test_all_orders_of_cdnow_give_the_same_summary_to_the_cent(
    tmp_path: Path, fresh_postgres_url: str
) -> None:
    orders = cdnow.master()
    people = "CREATE TABLE customers AS SELECT DISTINCT customer_id FROM orders"
    duckdb = duckdb_source(tmp_path, people, orders=orders)
    with psycopg.connect(fresh_postgres_url) as connection:
        connection.execute(
            "CREATE TABLE orders (order_id bigint, customer_id text, ordered_on date, value numeric(18, 4))"
        )
        rows = pa.BufferOutputStream()
        csv.write_csv(orders, rows, csv.WriteOptions(include_header=False))
        with connection.cursor().copy("COPY orders FROM STDIN WITH (FORMAT csv)") as copy:
            copy.write(rows.getvalue().to_pybytes())
        connection.execute(people.encode())
    postgres = open_source(fresh_postgres_url, name="cdnow")
    summaries = [
        read(source, order_summary(cdnow.mapped(source), clv(), cdnow.END)).sort_by("customer_key")
        for source in (duckdb, postgres)
    ]
    ours, theirs = summaries
    assert ours.num_rows == 23_502  # of 23,570: the others' orders are worth nothing
    assert ours.schema == theirs.schema
    for name in ours.column_names:
        one, other = ours[name].to_pylist(), theirs[name].to_pylist()
        if name in ("realised_value", "first_day_margin", "mean_repeat_value"):
            assert all(
                (a is None) == (b is None) and (a is None or abs(a - b) < 0.005)
                for a, b in zip(one, other, strict=True)
            ), name
        else:
            assert one == other, name
    expected: tuple[tuple[Carries, int], ...] = (("acquisition", 23_502), ("increment", 69_579))
    for carries, purchases in expected:
        ours, theirs = (
            read(source, conversions(cdnow.mapped(source), carries, cdnow.END)).sort_by("key")
            for source in (duckdb, postgres)
        )
        assert ours.num_rows == purchases
        assert ours.equals(theirs)
    postgres.close()
