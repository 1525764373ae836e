"""A small shop in an embedded DuckDB, read through the source protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from clvsync.config.sections import Business, Clv, CustomersTable, OrdersTable, Tables
from connectors.sources import queries
from connectors.types import BatchReader, Finding, Table

AS_OF = datetime(2025, 6, 30, tzinfo=UTC)


class ShopSource:
    """One in-memory DuckDB as a Source."""

    name = "shop"
    dialect = "duckdb"

    def __init__(self, *statements: str, **tables: Table) -> None:
        self._connection = duckdb.connect()
        for name, rows in tables.items():
            self._connection.register("given", rows)
            self._connection.execute(f'create table "{name}" as from given')
        for statement in statements:
            self._connection.execute(statement)

    def columns(self, relation: Any) -> pa.Schema:
        query = exp.select("*").from_(relation.copy()).limit(0)
        with self.stream(query) as reader:
            schema: pa.Schema = reader.schema
            return schema

    @contextmanager
    def stream(self, query: Any, *, rows_per_batch: int = 65_536) -> Iterator[BatchReader]:
        text = queries.written(query, "duckdb", name="test")
        yield self._connection.cursor().execute(text).to_arrow_reader(rows_per_batch)

    def check(self) -> Sequence[Finding]:
        return ()

    def close(self) -> None:
        self._connection.close()


def rows(source: Any, query: Any) -> list[dict[str, Any]]:
    with source.stream(query) as reader:
        read: list[dict[str, Any]] = reader.read_all().to_pylist()
        return read


def business(**changes: Any) -> Business:
    return Business(**{"name": "Shop", "currency": "EUR", "timezone": "Europe/Berlin", **changes})


def clv(**changes: Any) -> Clv:
    return Clv(**{"horizon": "365 days", "margin": "0.5", "discount_rate": "0.1", **changes})


def tables(customers: dict[str, Any] | None = None, orders: dict[str, Any] | None = None) -> Tables:
    return Tables(
        customers=CustomersTable(**{"from": "customers", "key": "id", **(customers or {})}),
        orders=OrdersTable(
            **{
                "from": "orders",
                "key": "id",
                "customer": "customer",
                "time": "at",
                "value": "value",
                **(orders or {}),
            }
        ),
    )
