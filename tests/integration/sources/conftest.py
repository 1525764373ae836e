"""One shop, kept in every kind of source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from connectors.sources.ibis_engine import IbisEngine
from connectors.sources.opening import open_source
from connectors.types import Source

DUCKDB, PARQUET, CSV, POSTGRES, IBIS = ENGINES = ("duckdb", "parquet", "csv", "postgresql", "ibis")

# Understood word for word by DuckDB and PostgreSQL.
SHOP = """
CREATE TABLE orders (
    order_id text, quantity integer, visits bigint, amount numeric(12, 2), serial numeric(38, 0),
    ratio double precision, paid boolean, day date, ordered_at timestamp with time zone, local_time timestamp,
    note text
);
INSERT INTO orders VALUES
    ('o-1', 1, 9223372036854775807, 1234567890.12, 12345678901234567890123456789012345678, 1e-7, true,
     '2026-01-31', '2026-03-29 02:30:00+02:00', '2026-03-29 02:30:00.123456', 'Zoë, "Łódź" 日本語 🎈'),
    ('o-2', -2147483648, -1, -0.01, 0, 0.5, false,
     '1999-12-31', '2026-03-29 02:30:00-05:00', '1999-12-31 23:59:59', 'first line' || chr(10) || 'second'),
    ('o-3', null, null, null, null, null, null, null, null, null, null);
CREATE TABLE nothing (order_id text, amount numeric(12, 2), ordered_at timestamp with time zone);
CREATE TABLE "Odd Names" ("Order No." integer, "select" text);
INSERT INTO "Odd Names" VALUES (7, 'seven');
CREATE TABLE counted AS SELECT n AS number FROM generate_series(1, 20000) AS series(n);
"""


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embedded") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(SHOP)
    return path


def _exported(shop_file: Path, folder: Path, form: str) -> Path:
    """Each table as a file, the orders as two files in a sub-folder."""
    with duckdb.connect(str(shop_file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        (folder / "orders").mkdir()
        for number, part in enumerate(("order_id = 'o-1'", "order_id <> 'o-1'")):
            target = folder / "orders" / f"part-{number}.{form}"
            connection.execute(f"COPY (FROM orders WHERE {part}) TO '{target}'")
        for table in ("nothing", "Odd Names", "counted"):
            connection.execute(f"""COPY "{table}" TO '{folder / f"{table}.{form}"}'""")
    return folder


@pytest.fixture(scope="session")
def parquet_folder(shop_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(shop_file, tmp_path_factory.mktemp("parquet"), "parquet")


@pytest.fixture(scope="session")
def csv_folder(shop_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(shop_file, tmp_path_factory.mktemp("csv"), "csv")


@pytest.fixture(scope="session")
def shop_postgres_url(postgres_url: str) -> str:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop")
    url = postgres_url.replace("/postgres?", "/shop?")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SHOP)
        connection.execute("CREATE SEQUENCE tickets")
        connection.execute("CREATE ROLE stranger LOGIN")
    return url


@pytest.fixture(scope="session")
def ibis_address(shop_file: Path) -> str:
    return f"duckdb://{shop_file}?read_only=True"


@pytest.fixture(params=ENGINES)
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    openers: dict[str, Callable[[], Source]] = {
        DUCKDB: lambda: open_source(f"duckdb:///{request.getfixturevalue('shop_file')}", name="shop"),
        PARQUET: lambda: open_source(f"files:///{request.getfixturevalue('parquet_folder')}", name="shop"),
        CSV: lambda: open_source(str(request.getfixturevalue("csv_folder")), name="shop"),
        POSTGRES: lambda: open_source(request.getfixturevalue("shop_postgres_url"), name="shop"),
        IBIS: lambda: IbisEngine(request.getfixturevalue("ibis_address"), name="shop"),
    }
    opened = openers[request.param]()
    yield opened
    opened.close()
