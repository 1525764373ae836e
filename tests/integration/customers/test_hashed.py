"""A column of identifiers is plain or hashed, never both."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import duckdb
import pytest

from clvsync.config.sections import Business, CustomersTable, OrdersTable, Tables
from clvsync.customers.hashed import identifier_forms, refuse_mixed
from clvsync.customers.mapping import mapped
from connectors.errors import FixConfiguration
from connectors.sources.opening import open_source

PLAIN = ["a@example.com", "b@example.com", None]
HASHED = [sha256(b"a@example.com").hexdigest(), sha256(b"b@example.com").hexdigest().upper(), None]


def look(url: str) -> None:
    source = open_source(url, name="shop")
    tables = Tables(
        customers=CustomersTable.model_validate({"from": "customers", "key": "id", "email": "email"}),
        orders=OrdersTable.model_validate(
            {"from": "orders", "key": "id", "customer": "customer", "time": "ordered_at", "value": "net"}
        ),
    )
    business = Business(name="Shop", currency="EUR", timezone="Europe/Berlin")
    with source.stream(identifier_forms(mapped(source, tables, business))) as batches:
        refuse_mixed(batches.read_all().to_pylist()[0])
    source.close()


STATEMENTS = (
    "CREATE TABLE orders (id VARCHAR(9), customer INTEGER, ordered_at TIMESTAMP, net NUMERIC(9, 2))",
    "CREATE TABLE customers (id INTEGER, email VARCHAR(99))",
)


def duckdb_shop(folder: Path, emails: list[str | None]) -> str:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        for statement in STATEMENTS:
            connection.execute(statement)
        for number, email in enumerate(emails):
            connection.execute("INSERT INTO customers VALUES (?, ?)", [number, email])
    return f"duckdb:///{folder / 'shop.duckdb'}"


@pytest.mark.parametrize("emails", [PLAIN, HASHED, [None], []])
def test_one_form_is_taken(tmp_path: Path, emails: list[str | None]) -> None:
    look(duckdb_shop(tmp_path, emails))


def test_a_mixture_is_refused_with_the_column_and_the_counts(tmp_path: Path) -> None:
    with pytest.raises(
        FixConfiguration, match=r"tables.customers.email: 2 of its 4 values are hashed"
    ) as told:
        look(duckdb_shop(tmp_path, [*PLAIN, *HASHED]))
    assert "example.com" not in str(told.value)


def test_the_same_inside_postgresql(fresh_postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(fresh_postgres_url, autocommit=True) as connection:
        for statement in STATEMENTS:
            connection.execute(statement)
        for number, email in enumerate([*PLAIN, *HASHED]):
            connection.execute("INSERT INTO customers VALUES (%s, %s)", [number, email])
    with pytest.raises(FixConfiguration, match="2 of its 4 values are hashed"):
        look(fresh_postgres_url)
