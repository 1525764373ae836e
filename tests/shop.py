"""A small shop with every kind of row that a summary has a rule for, and its configuration.

The statements are understood by DuckDB and PostgreSQL alike.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from clvsync.config.sections import Business, Clv, CustomersTable, OrdersTable, Tables
from clvsync.customers.mapping import Mapped, mapped
from connectors.sources.opening import open_source
from connectors.types import Source, Table

AS_OF = datetime(2025, 6, 30, 12, tzinfo=UTC)

CUSTOMERS = (
    "CREATE TABLE customers (id text, kind text, email text, country text, consent text, is_test boolean,"
    ' "Total CLV" double precision)',
    """INSERT INTO customers VALUES
    ('anna', 'billing', 'anna@example.com', 'DE', 'yes', NULL, 310.5),
    ('anna', 'internal', 'old@example.com', 'FR', 'no', NULL, NULL),
    ('ben', 'billing', '  ', 'us', NULL, false, NULL),
    ('carl', 'billing', 'carl@example.com', 'DE', 'granted', true, NULL),
    ('dora', 'internal', 'dora@example.com', 'DE', 'true', false, NULL),
    ('finn', 'billing', NULL, NULL, NULL, NULL, NULL),
    ('gina', 'billing', 'gina@example.com', 'United States', 'DENIED', false, NULL),
    ('hugo', 'billing', 'hugo@example.com', 'Atlantis', 'perhaps', false, NULL)""",
)

ORDERS = (
    'CREATE TABLE orders (id integer, customer text, "Ordered At" timestamp,'
    " value numeric(12, 2), currency text, is_test integer, channel text, gclid text,"
    " clicked_at timestamp with time zone)",
    """INSERT INTO orders VALUES
    (2, 'anna', '2024-01-10 18:00:00', 50.00, 'EUR', 0, 'direct', NULL, NULL),
    (1, 'anna', '2024-01-10 09:00:00', 100.00, 'eur', 0, 'google', 'click-1', '2024-01-10 07:30:00+00:00'),
    (3, 'anna', '2024-02-10 10:00:00', 30.00, 'EUR', 0, 'email', NULL, NULL),
    (4, 'anna', '2024-02-15 10:00:00', -20.00, 'EUR', 0, NULL, NULL, NULL),
    (5, 'anna', '2025-06-01 10:00:00', 40.00, 'EUR', 0, NULL, NULL, NULL),
    (6, 'anna', '2025-07-15 10:00:00', 500.00, 'EUR', 0, NULL, NULL, NULL),
    (10, 'ben', '2024-03-01 10:00:00', 0.00, 'USD', NULL, 'meta', NULL, NULL),
    (11, 'ben', '2024-03-05 10:00:00', 80.00, 'USD', NULL, 'meta', NULL, NULL),
    (12, 'ben', '2024-03-09 10:00:00', 10.00, 'XXX', NULL, 'meta', NULL, NULL),
    (20, 'carl', '2024-03-09 10:00:00', 10.00, 'EUR', 0, NULL, NULL, NULL),
    (30, 'dora', '2024-03-09 10:00:00', 10.00, 'EUR', 0, NULL, NULL, NULL),
    (40, 'eve', '2024-03-09 10:00:00', 60.00, 'EUR', 0, NULL, NULL, NULL),
    (50, 'finn', '2024-03-09 10:00:00', -10.00, 'EUR', 0, NULL, NULL, NULL),
    (60, 'gina', '2024-01-01 10:00:00', 999.00, 'EUR', 1, 'google', NULL, NULL),
    (61, 'gina', '2024-05-01 23:30:00', 25.00, 'EUR', 0, 'meta', NULL, NULL),
    (62, 'gina', '2024-05-02 00:10:00', 35.00, NULL, 0, 'meta', NULL, NULL),
    (70, 'hugo', '2024-02-01 10:00:00', -5.00, 'EUR', 0, NULL, NULL, NULL),
    (72, 'hugo', '2024-02-03 10:00:00', 90.00, 'EUR', 0, 'zeta', NULL, NULL),
    (71, 'hugo', '2024-02-03 10:00:00', 70.00, 'EUR', 0, 'alpha', NULL, NULL),
    (80, NULL, '2024-02-03 10:00:00', 70.00, 'EUR', 0, NULL, NULL, NULL),
    (NULL, 'anna', '2024-02-03 10:00:00', 70.00, 'EUR', 0, NULL, NULL, NULL),
    (82, 'anna', NULL, 70.00, 'EUR', 0, NULL, NULL, NULL),
    (83, 'anna', '2024-02-03 10:00:00', NULL, 'EUR', 0, NULL, NULL, NULL)""",
)


def duckdb_source(folder: Path, *statements: str, **tables: Table) -> Source:
    """A DuckDB file in the folder, filled and then opened as a source. Without arguments: the shop."""
    path = folder / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name, rows in tables.items():
            connection.register("given", rows)
            connection.execute(f'CREATE TABLE "{name}" AS FROM given')
        for statement in statements or (() if tables else (*CUSTOMERS, *ORDERS)):
            connection.execute(statement)
    return open_source(f"duckdb:///{path}", name="shop")


def business(**changes: Any) -> Business:
    given = {
        "name": "Shop",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "exchange_rates": {"USD": "0.9"},
        "consent": {"default": "opt_in", "US": "opt_out"},
    }
    return Business(**{**given, **changes})


def clv(**changes: Any) -> Clv:
    return Clv(**{"horizon": "365 days", "margin": "0.5", "discount_rate": "0.1", **changes})


def tables(customers: dict[str, Any] | None = None, orders: dict[str, Any] | None = None) -> Tables:
    """The shop's mapping, with changes."""
    of_customers = {
        "from": "customers",
        "key": "id",
        "where": "kind = 'billing'",
        "email": "email",
        "country": "country",
        "consent": "consent",
        "test": "is_test",
        "total_clv": "Total CLV",
    }
    of_orders = {
        "from": "orders",
        "key": "id",
        "customer": "customer",
        "time": "Ordered At",
        "value": "value",
        "currency": "currency",
        "test": "is_test",
        "channel": "channel",
        "gclid": "gclid",
        "click_time": "clicked_at",
    }
    return Tables(
        customers=CustomersTable(**{**of_customers, **(customers or {})}),
        orders=OrdersTable(**{**of_orders, **(orders or {})}),
    )


def shop(source: Source) -> Mapped:
    """The shop, mapped."""
    return mapped(source, tables(), business())


def read(source: Source, query: Any) -> Table:
    """All rows of a query."""
    with source.stream(query) as reader:
        return reader.read_all()


def by(table: Table, key: str) -> dict[str, dict[str, Any]]:
    """Rows by their key; a key that stands twice is an error."""
    rows = {row[key]: row for row in table.to_pylist()}
    assert len(rows) == table.num_rows
    return rows
