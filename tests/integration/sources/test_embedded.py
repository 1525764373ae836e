"""What is the embedded engine's own: files that others write, memory, spilling, names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connectors.errors import CredentialsRefused, FixConfiguration, RetryLater
from connectors.sources.opening import open_source
from connectors.sources.queries import relation, select
from connectors.types import Source


def read(source: Source, text: str) -> pa.Table:
    with source.stream(select(text, name="test")) as reader:
        return reader.read_all()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "my shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE customers AS SELECT 'c' || range AS customer_id FROM range(1000)")
    return path


def test_a_file_that_is_being_written_here_can_be_tried_again(shop: Path) -> None:
    source = open_source(f"duckdb:///{shop}", name="shop")
    with duckdb.connect(str(shop)), pytest.raises(RetryLater, match="writing the database"):
        source.columns(relation("customers", name="test"))
    assert source.columns(relation("customers", name="test")).names == ["customer_id"]


def test_a_file_that_another_process_writes_can_be_tried_again(shop: Path) -> None:
    source = open_source(f"duckdb:///{shop}", name="shop")
    holding = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(shop)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        with pytest.raises(RetryLater, match="writing the database"):
            source.columns(relation("customers", name="test"))
        writer.stdin.close()
    assert source.columns(relation("customers", name="test")).names == ["customer_id"]


def test_the_file_can_be_written_again_once_no_stream_is_open(shop: Path) -> None:
    source = open_source(f"duckdb:///{shop}", name="shop")
    with source.stream(select("SELECT customer_id FROM customers", name="test"), rows_per_batch=10) as reader:
        reader.read_next_batch()
    with duckdb.connect(str(shop)) as connection:
        connection.execute("INSERT INTO customers VALUES ('new')")
    assert read(source, "SELECT COUNT(*) AS n FROM customers").to_pylist() == [{"n": 1001}]


def test_names_inside_the_file_can_be_written_in_full(shop: Path) -> None:
    source = open_source(f"duckdb:///{shop}", name="shop")
    found = read(
        source,
        'SELECT COUNT(*) AS n FROM "my shop".main.customers AS c JOIN main.customers USING (customer_id)',
    )
    assert found.to_pylist() == [{"n": 1000}]


def test_a_sort_larger_than_memory_is_spilled(tmp_path: Path) -> None:
    path = tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE events AS SELECT md5(range::text) AS id, range AS n FROM range(600000)"
        )
    source = open_source(f"duckdb:///{path}", name="shop", memory_limit="40MB")
    with source.stream(select("SELECT id, n FROM events ORDER BY id", name="test")) as reader:
        count, previous = 0, ""
        for batch in reader:
            first = batch.column("id")[0].as_py()
            assert first >= previous
            previous = batch.column("id")[-1].as_py()
            count += batch.num_rows
    assert count == 600_000


def test_a_query_that_needs_more_memory_says_so(tmp_path: Path) -> None:
    path = tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE events AS SELECT range AS n FROM range(2000000)")
    source = open_source(f"duckdb:///{path}", name="shop", memory_limit="20MB")
    with pytest.raises(FixConfiguration, match="more than 20MB"):
        read(source, "SELECT LIST(md5(CAST(n AS TEXT))) AS everything FROM events")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    path.write_text("customer_id,email\n" * 500)
    source = open_source(f"duckdb:///{path}", name="shop")
    with pytest.raises(FixConfiguration, match="not what its name says"):
        source.columns(relation("customers", name="test"))


def test_a_python_variable_is_no_table(shop: Path) -> None:
    people = pa.table({"customer_id": ["secret"]})
    source = open_source(f"duckdb:///{shop}", name="shop")
    with pytest.raises(FixConfiguration, match="no table people"):
        source.columns(relation("people", name="test"))
    assert people.num_rows == 1


def test_days_are_cut_in_utc(shop: Path) -> None:
    source = open_source(f"duckdb:///{shop}", name="shop")
    found = read(source, "SELECT CAST(CAST(TIMESTAMPTZ '2026-01-01 23:30:00+00' AS DATE) AS TEXT) AS day")
    assert found.to_pylist() == [{"day": "2026-01-01"}]


def test_other_types(shop: Path) -> None:
    source = open_source(f"duckdb:///{shop}", name="shop")
    found = read(
        source,
        "SELECT CAST('x' AS ENUM('x', 'y')) AS choice, CAST(18446744073709551615 AS UBIGINT) AS wide,"
        " CAST('170141183460469231731687303715884105' AS HUGEINT) AS huge, CAST(7 AS TINYINT) AS tiny,"
        " CAST(1.5 AS FLOAT) AS ratio, CAST(NULL AS UUID) AS nobody,"
        " TIMESTAMP_NS '2026-01-01 00:00:00.123456789' AS ns",
    )
    assert [str(kind) for kind in found.schema.types] == [
        "string",
        "decimal128(38, 0)",
        "decimal128(38, 0)",
        "int64",
        "double",
        "string",
        "timestamp[us]",
    ]
    row = found.to_pylist()[0]
    assert str(row["wide"]) == "18446744073709551615"
    assert str(row["huge"]) == "170141183460469231731687303715884105"
    assert row["ns"].microsecond == 123456


def test_a_file_that_may_not_be_read_says_so() -> None:
    from connectors.sources.embedded import DuckDBFile

    source = DuckDBFile(Path("shop.duckdb"), name="shop", memory_limit="50MB")
    error = source._explain(duckdb.IOException('IO Error: Cannot open file "shop.duckdb": Permission denied'))
    assert isinstance(error, CredentialsRefused)
    assert source._explain(ValueError("ours")) is None
