"""What is the files' own: types of CSV columns, many files to a table, files that change."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connectors.errors import FixConfiguration
from connectors.sources.opening import open_source
from connectors.sources.queries import relation, select
from connectors.types import Severity, Source


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return open_source(str(tmp_path), name="shop")


def read(source: Source, text: str) -> pa.Table:
    with source.stream(select(text, name="test")) as reader:
        return reader.read_all()


def column(source: Source, folder: Path, *values: str) -> pa.ChunkedArray:
    """A column of a CSV file as it is read."""
    lines = [f"{number},{value}" for number, value in enumerate(values)]
    (folder / "table.csv").write_text("\n".join(["number,value", *lines]) + "\n")
    return read(source, 'SELECT value FROM "table" ORDER BY number')["value"]


@pytest.mark.parametrize(
    ("values", "read_as"),
    [
        (["01067", "80331"], ["01067", "80331"]),
        (["+4930901820", "+4989901820"], ["+4930901820", "+4989901820"]),
        (["12.10", "-0.07"], [Decimal("12.10"), Decimal("-0.07")]),
        (["123456789012345678901234567890", "1"], [Decimal("123456789012345678901234567890"), Decimal(1)]),
        (["9" * 60, "1"], ["9" * 60, "1"]),
        (["0.1234567890123", "1.5"], [0.1234567890123, 1.5]),
        (["1e-7", "0.5"], [1e-7, 0.5]),
        (["01/02/2026", "13/02/2026"], ["01/02/2026", "13/02/2026"]),
        (["01/02/2026 10:00:00", "13/02/2026 10:00:00"], ["01/02/2026 10:00:00", "13/02/2026 10:00:00"]),
        (["2026-02-13", "2026-02-14"], [datetime.date(2026, 2, 13), datetime.date(2026, 2, 14)]),
        (
            ["2026-02-13T10:00:00+02:00", "2026-02-13T10:00:00Z"],
            [
                datetime.datetime(2026, 2, 13, 8, tzinfo=datetime.UTC),
                datetime.datetime(2026, 2, 13, 10, tzinfo=datetime.UTC),
            ],
        ),
        (["true", "false"], [True, False]),
        (['"a, ""quoted"" value"', "ü"], ['a, "quoted" value', "ü"]),
    ],
)
def test_csv_columns_lose_nothing(
    source: Source, tmp_path: Path, values: list[str], read_as: list[object]
) -> None:
    assert column(source, tmp_path, *values).to_pylist() == read_as


def test_types_are_found_from_the_whole_file(source: Source, tmp_path: Path) -> None:
    found = column(source, tmp_path, *[str(number) for number in range(1, 60_000)], "n/a")
    assert found.type == pa.string()
    assert found[-1].as_py() == "n/a"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_quote_late_in_a_file_is_a_quote(source: Source, tmp_path: Path, separator: str) -> None:
    plain = "".join(f"{number}{separator}plain {number}\n" for number in range(60_000))
    last = f'60000{separator}"late{separator} ""quoted""\nline"\n'
    (tmp_path / "notes.csv").write_text(f"id{separator}note\n{plain}{last}")
    found = read(source, "SELECT note FROM notes WHERE id = 60000")
    assert found.to_pylist() == [{"note": f'late{separator} "quoted"\nline'}]


def test_lines_before_a_longer_one_are_not_skipped(source: Source, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("id,value\n1,2\n3,4,5\n", encoding="utf-8")
    assert read(source, "SELECT count(*) AS lines FROM orders")["lines"].to_pylist() == [2]
    with pytest.raises(FixConfiguration, match="no column id"):
        read(source, "SELECT id FROM orders")


def test_a_file_that_changes_is_looked_at_again(source: Source, tmp_path: Path) -> None:
    assert column(source, tmp_path, "1", "2").type == pa.int64()
    assert column(source, tmp_path, "1", "two").to_pylist() == ["1", "two"]


def test_many_files_are_one_table_and_columns_are_matched_by_name(source: Source, tmp_path: Path) -> None:
    (tmp_path / "orders" / "2026").mkdir(parents=True)
    (tmp_path / "orders" / "2025.csv").write_text("order_id,amount\na,1.50\n")
    (tmp_path / "orders" / "2026" / "january.csv").write_text("amount,gclid,order_id\n2.25,x,b\n")
    (tmp_path / "orders" / "_notes.csv").write_text("nothing,to,see\n")
    (tmp_path / "orders" / "readme.txt").write_text("nothing to see")
    (tmp_path / "orders" / "_temporary").mkdir()
    (tmp_path / "orders" / "_temporary" / "half.csv").write_text("order_id\nhalf\n")
    found = read(source, "SELECT order_id, amount, gclid FROM orders ORDER BY order_id")
    assert found.to_pylist() == [
        {"order_id": "a", "amount": Decimal("1.50"), "gclid": None},
        {"order_id": "b", "amount": Decimal("2.25"), "gclid": "x"},
    ]


def test_a_new_file_is_seen(source: Source, tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "one.csv").write_text("order_id\na\n")
    assert read(source, "SELECT COUNT(*) AS n FROM orders").to_pylist() == [{"n": 1}]
    (tmp_path / "orders" / "two.csv").write_text("order_id\nb\n")
    assert read(source, "SELECT COUNT(*) AS n FROM orders").to_pylist() == [{"n": 2}]


def test_one_file_is_a_source_too(tmp_path: Path) -> None:
    path = tmp_path / "customers.2026.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 7 AS customer_id) TO '{path}'")
    source = open_source(f"files://{path}", name="shop")
    assert read(source, "SELECT customer_id FROM customers").to_pylist() == [{"customer_id": 7}]


def test_names_in_the_query_hide_a_file(source: Source, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id\na\nb\n")
    found = read(source, "WITH orders AS (SELECT 1 AS order_id) SELECT order_id FROM orders")
    assert found.to_pylist() == [{"order_id": 1}]


def test_odd_names_of_files_and_columns(source: Source, tmp_path: Path) -> None:
    (tmp_path / "it's.csv").write_text('the "key",it\'s {odd}\n1.5,2\n')
    found = read(source, """SELECT * FROM "it's" """)
    assert found.schema.names == ['the "key"', "it's {odd}"]
    assert found.schema.types == [pa.decimal128(38, 9), pa.int64()]


def test_two_files_for_one_table_are_refused(source: Source, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id\na\n")
    (tmp_path / "orders.tsv").write_text("order_id\nb\n")
    with pytest.raises(FixConfiguration, match="table orders"):
        source.columns(relation("orders", name="test"))


def test_a_file_that_is_no_parquet(source: Source, tmp_path: Path) -> None:
    (tmp_path / "orders.parquet").write_text("order_id\nanna@example.com\n")
    with pytest.raises(FixConfiguration) as caught:
        source.columns(relation("orders", name="test"))
    assert "anna" not in str(caught.value)


def test_check_names_the_tables(source: Source, tmp_path: Path) -> None:
    assert source.check()[0].severity is Severity.ERROR
    (tmp_path / "orders.csv").write_text("order_id\na\n")
    finding = source.check()[0]
    assert finding.severity is Severity.OK
    assert "orders" in finding.found
