"""What is PostgreSQL's own: read-only transactions, numerics, refusals and lost connections."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from connectors.errors import ConnectorError, CredentialsRefused, FixConfiguration, RetryLater
from connectors.sources.opening import open_source
from connectors.sources.queries import relation, select
from connectors.types import Severity, Source


@pytest.fixture
def source(shop_postgres_url: str) -> Source:
    return open_source(shop_postgres_url, name="shop")


@pytest.fixture(scope="module")
def odd_numbers(shop_postgres_url: str) -> str:
    """A table of numerics that declare no precision."""
    with psycopg.connect(shop_postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE odd_numbers AS SELECT 'NaN'::numeric AS none, 'Infinity'::numeric AS endless,"
            " '1.0000000005'::numeric AS half, '-0.0000000015'::numeric AS odd_half,"
            " '123456789012345678901234567890.5'::numeric AS lifetime"
        )
    return "odd_numbers"


def read(source: Source, text: str) -> pa.Table:
    with source.stream(select(text, name="test")) as reader:
        return reader.read_all()


def refused(source: Source, text: str) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        read(source, text)
    return caught.value


def test_a_function_that_writes_is_refused_by_the_transaction(source: Source) -> None:
    error = refused(source, "SELECT nextval('tickets') AS ticket")
    assert isinstance(error, FixConfiguration)
    assert error.code == "25006"


def test_numerics_without_a_declared_scale(source: Source, odd_numbers: str) -> None:
    found = read(source, f"SELECT none, endless, half, odd_half FROM {odd_numbers}")
    assert set(found.schema.types) == {pa.decimal128(38, 9)}
    assert found.to_pylist() == [
        {"none": None, "endless": None, "half": Decimal("1.000000000"), "odd_half": Decimal("-2e-9")}
    ]
    assert read(source, "SELECT AVG(number) AS mean FROM counted").to_pylist() == [
        {"mean": Decimal("10000.5")}
    ]


def test_a_numeric_that_is_too_large_is_named_and_not_cut(source: Source, odd_numbers: str) -> None:
    error = refused(source, f"SELECT lifetime FROM {odd_numbers}")
    assert isinstance(error, FixConfiguration)
    assert error.what == "shop, column lifetime"
    assert "numeric" in error.problem
    assert "12345" not in str(error)


def test_other_types(source: Source) -> None:
    found = read(
        source,
        "SELECT CAST('6f1c2d3e-1111-4111-8111-111111111111' AS uuid) AS id, CAST('[1]' AS json) AS extra,"
        " CAST(NULL AS uuid) AS nobody, CAST(1.5 AS real) AS ratio, CAST(7 AS smallint) AS small",
    )
    assert found.to_pylist() == [
        {
            "id": "6f1c2d3e-1111-4111-8111-111111111111",
            "extra": "[1]",
            "nobody": None,
            "ratio": 1.5,
            "small": 7,
        }
    ]


def test_days_are_cut_in_utc_whatever_the_zone_of_the_client(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    found = read(source, "SELECT CAST(ordered_at AS date) AS day FROM orders WHERE order_id = 'o-2'")
    assert found.to_pylist() == [{"day": date(2026, 3, 29)}]
    late = "SELECT CAST(CAST('2026-01-01 23:30:00+00' AS timestamptz) AS date) AS day"
    assert read(source, late).to_pylist() == [{"day": date(2026, 1, 1)}]


def test_tables_of_another_schema(shop_postgres_url: str, source: Source) -> None:
    with psycopg.connect(shop_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS crm")
        connection.execute("CREATE TABLE IF NOT EXISTS crm.leads (lead_id text)")
    assert source.columns(relation("crm.leads", name="test")).names == ["lead_id"]
    with pytest.raises(FixConfiguration, match=r"no table crm\.lead\. Did you mean crm\.leads"):
        source.columns(relation("crm.lead", name="test"))


def test_a_connection_lost_in_the_middle_can_be_tried_again(source: Source) -> None:
    text = (
        "SELECT number, CASE WHEN number = 20000 THEN pg_terminate_backend(pg_backend_pid()) END AS gone"
        " FROM counted"
    )
    with pytest.raises(RetryLater), source.stream(select(text, name="test"), rows_per_batch=100) as reader:
        for _ in reader:
            pass


def test_a_server_that_is_not_there_can_be_tried_again() -> None:
    source = open_source("postgresql://anna:hunter2@127.0.0.1:1/shop", name="shop")
    with pytest.raises(RetryLater) as caught:
        source.columns(relation("orders", name="test"))
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(source)
    assert source.check()[0].severity is Severity.ERROR


def test_a_slow_query_ends_at_the_time_out(shop_postgres_url: str) -> None:
    source = open_source(shop_postgres_url, name="shop", options={"statement_timeout": "0.2"})
    started = time.monotonic()
    error = refused(source, "SELECT pg_sleep(20)")
    assert isinstance(error, RetryLater)
    assert error.code == "57014"
    assert time.monotonic() - started < 10


def test_a_table_that_may_not_be_read(shop_postgres_url: str) -> None:
    stranger = open_source(shop_postgres_url.replace("postgres:@", "stranger@"), name="shop")
    error = refused(stranger, "SELECT order_id FROM orders")
    assert isinstance(error, CredentialsRefused)
    assert "GRANT SELECT" in error.remedy


def test_a_user_that_is_not_known(shop_postgres_url: str) -> None:
    nobody = open_source(shop_postgres_url.replace("postgres:@", "nobody_here@"), name="shop")
    assert isinstance(refused(nobody, "SELECT 1 AS one"), CredentialsRefused)


def test_a_database_that_is_not_there(shop_postgres_url: str) -> None:
    source = open_source(shop_postgres_url.replace("/shop?", "/shoop?"), name="shop")
    error = refused(source, "SELECT 1 AS one")
    assert isinstance(error, FixConfiguration)
    assert "no such database" in error.problem


def test_check_warns_of_a_user_that_may_write(shop_postgres_url: str, source: Source) -> None:
    assert [finding.severity for finding in source.check()] == [Severity.OK, Severity.WARNING]
    stranger = open_source(shop_postgres_url.replace("postgres:@", "stranger@"), name="shop")
    findings = stranger.check()
    assert [finding.severity for finding in findings] == [Severity.OK]
    assert findings[0].found.startswith("PostgreSQL 18")


def test_nothing_stays_connected(shop_postgres_url: str, source: Source) -> None:
    with source.stream(select("SELECT number FROM counted", name="test"), rows_per_batch=10) as reader:
        reader.read_next_batch()
    with psycopg.connect(shop_postgres_url) as connection:
        for _ in range(50):
            others = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            connection.rollback()
            if others == (0,):
                break
            time.sleep(0.1)
    assert others == (0,)


def test_a_fresh_database_is_empty(fresh_postgres_url: str) -> None:
    with psycopg.connect(fresh_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE only_here (a integer)")
    source = open_source(fresh_postgres_url, name="fresh")
    with pytest.raises(FixConfiguration, match="no table orders"):
        source.columns(relation("orders", name="test"))
    assert source.columns(relation("only_here", name="test")).names == ["a"]
