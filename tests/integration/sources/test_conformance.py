"""What every source does alike, whatever engine is behind it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from connectors.errors import FixConfiguration
from connectors.sources.queries import relation, select
from connectors.types import Severity, Source
from tests.integration.sources.conftest import CSV

ORDERS = pa.schema(
    [
        ("order_id", pa.string()),
        ("quantity", pa.int64()),
        ("visits", pa.int64()),
        ("amount", pa.decimal128(38, 9)),
        ("serial", pa.decimal128(38, 0)),
        ("ratio", pa.float64()),
        ("paid", pa.bool_()),
        ("day", pa.date32()),
        ("ordered_at", pa.timestamp("us", tz="UTC")),
        ("local_time", pa.timestamp("us")),
        ("note", pa.string()),
    ]
)
ROWS = [
    {
        "order_id": "o-1",
        "quantity": 1,
        "visits": 2**63 - 1,
        "amount": Decimal("1234567890.12"),
        "serial": Decimal("12345678901234567890123456789012345678"),
        "ratio": 1e-7,
        "paid": True,
        "day": date(2026, 1, 31),
        "ordered_at": datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        "local_time": datetime(2026, 3, 29, 2, 30, 0, 123456),  # noqa: DTZ001
        "note": 'Zoë, "Łódź" 日本語 🎈',
    },
    {
        "order_id": "o-2",
        "quantity": -(2**31),
        "visits": -1,
        "amount": Decimal("-0.01"),
        "serial": Decimal(0),
        "ratio": 0.5,
        "paid": False,
        "day": date(1999, 12, 31),
        "ordered_at": datetime(2026, 3, 29, 7, 30, tzinfo=UTC),
        "local_time": datetime(1999, 12, 31, 23, 59, 59),  # noqa: DTZ001
        "note": "first line\nsecond",
    },
    dict.fromkeys(ORDERS.names) | {"order_id": "o-3"},
]


# On its last row, when the stream has begun.
FAILS_LATE = """
SELECT CAST(CASE WHEN number = 20000 THEN 'anna@example.com' ELSE '1' END AS INTEGER) AS n FROM counted
"""


def read(source: Source, text: str, rows_per_batch: int = 65_536) -> pa.Table:
    with source.stream(select(text, name="test"), rows_per_batch=rows_per_batch) as reader:
        return reader.read_all()


def test_every_engine_gives_the_same_types(source: Source) -> None:
    assert source.columns(relation("orders", name="test")) == ORDERS
    assert read(source, "SELECT * FROM orders").schema == ORDERS


def test_every_engine_gives_the_same_rows(source: Source) -> None:
    assert read(source, "SELECT * FROM orders ORDER BY order_id").to_pylist() == ROWS


def test_a_subquery_has_columns_too(source: Source) -> None:
    found = source.columns(relation("SELECT order_id AS key, amount FROM orders WHERE paid", name="test"))
    assert found == pa.schema([("key", pa.string()), ("amount", pa.decimal128(38, 9))])


def test_sums_and_instants_are_computed_in_the_engine(source: Source) -> None:
    found = read(
        source,
        "SELECT CAST(SUM(amount) AS DECIMAL(18, 4)) AS total, MAX(ordered_at) AS last,"
        " COUNT(*) FILTER (WHERE paid) AS paid FROM orders",
    )
    assert found.to_pylist() == [
        {"total": Decimal("1234567890.11"), "last": datetime(2026, 3, 29, 7, 30, tzinfo=UTC), "paid": 1}
    ]
    assert found.schema.types == [pa.decimal128(38, 9), pa.timestamp("us", tz="UTC"), pa.int64()]


def test_an_empty_table_has_its_types(source: Source, request: pytest.FixtureRequest) -> None:
    found = read(source, "SELECT * FROM nothing")
    assert found.num_rows == 0
    if request.node.callspec.params["source"] == CSV:
        assert found.schema.names == ["order_id", "amount", "ordered_at"]  # nothing there to tell types from
    else:
        assert found.schema.types == [pa.string(), pa.decimal128(38, 9), pa.timestamp("us", tz="UTC")]


def test_odd_names_are_quoted(source: Source) -> None:
    query = exp.select(exp.column("Order No."), exp.column("select", quoted=True)).from_(
        relation('"Odd Names"', name="test")
    )
    with source.stream(query) as reader:
        assert reader.read_all().to_pylist() == [{"Order No.": 7, "select": "seven"}]


def test_columns_are_named_as_the_query_writes_them(source: Source) -> None:
    assert read(source, "SELECT order_id AS Order_Key, paid FROM orders").schema.names == [
        "Order_Key",
        "paid",
    ]


def test_joins_aliases_and_common_table_expressions(source: Source) -> None:
    found = read(
        source,
        "WITH nothing AS (SELECT order_id FROM orders WHERE paid)"
        " SELECT o.order_id, c.number FROM orders AS o JOIN nothing USING (order_id)"
        " JOIN counted c ON c.number = o.quantity",
    )
    assert found.to_pylist() == [{"order_id": "o-1", "number": 1}]


def test_batches_are_no_larger_than_asked(source: Source) -> None:
    with source.stream(select("SELECT number FROM counted", name="test"), rows_per_batch=3_000) as reader:
        sizes = [batch.num_rows for batch in reader]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 3_000


def test_two_streams_are_open_at_once(source: Source) -> None:
    query = select("SELECT number FROM counted ORDER BY number", name="test")
    with source.stream(query, rows_per_batch=100) as one, source.stream(query, rows_per_batch=100) as other:
        first, second = one.read_next_batch(), other.read_next_batch()
        assert first.equals(second)
        assert one.read_all().num_rows == 20_000 - first.num_rows
        assert other.read_all().num_rows == 20_000 - second.num_rows


def test_a_stream_can_be_left_early_and_the_source_used_again(source: Source) -> None:
    with source.stream(select("SELECT number FROM counted", name="test"), rows_per_batch=10) as reader:
        reader.read_next_batch()
    assert read(source, "SELECT COUNT(*) AS n FROM counted").to_pylist() == [{"n": 20_000}]


def test_the_callers_own_error_is_left_alone(source: Source) -> None:
    query = select("SELECT number FROM counted", name="test")
    with pytest.raises(KeyError, match="number"), source.stream(query) as reader:
        raise KeyError(reader.schema.names[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT * FROM ordres", "no table ordres. Did you mean orders?"),
        ("SELECT ordered FROM orders", "no column ordered. Did you mean ordered_at"),
        ("SELECT o.amuont FROM orders o", "no column amuont. Did you mean amount?"),
        ("SELECT order_id FROM orders WHERE lost_colum > 1", "no column lost_colum"),
        ("WITH a AS (SELECT order_id AS k FROM orders) SELECT k, vists FROM a", "no column vists"),
    ],
)
def test_what_is_missing_is_named(source: Source, text: str, message: str) -> None:
    with pytest.raises(FixConfiguration) as caught:
        read(source, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("shop: ")


def test_a_missing_table_has_no_columns(source: Source) -> None:
    with pytest.raises(FixConfiguration, match=r"no table orderz\. Did you mean orders"):
        source.columns(relation("orderz", name="test"))


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO orders (order_id) VALUES ('x')",
        "DELETE FROM orders",
        "UPDATE orders SET amount = 0",
        "DROP TABLE orders",
        "CREATE TABLE copied AS SELECT * FROM orders",
        "SELECT order_id INTO copied FROM orders",
        "SELECT * FROM orders FOR UPDATE",
        "COPY orders TO 'orders.csv'",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    ],
)
def test_a_write_is_refused(source: Source, text: str) -> None:
    query = sqlglot.parse_one(text, dialect="duckdb")
    with pytest.raises(FixConfiguration, match=r"only a SELECT is run|only read"), source.stream(query):
        pass
    assert read(source, "SELECT COUNT(*) AS n FROM orders").to_pylist() == [{"n": 3}]


def test_a_value_that_cannot_be_read_is_not_quoted(source: Source) -> None:
    query = select(FAILS_LATE, name="test")
    with pytest.raises(FixConfiguration) as caught, source.stream(query, rows_per_batch=100) as reader:
        for _ in reader:
            pass
    assert "anna" not in str(caught.value)


def test_our_error_gets_through_another_reader(source: Source) -> None:
    query = select(FAILS_LATE, name="test")
    with (
        duckdb.connect() as elsewhere,
        pytest.raises(FixConfiguration, match=r"^shop: "),
        source.stream(query, rows_per_batch=100) as reader,
    ):
        elsewhere.from_arrow(reader).aggregate("sum(n)").fetchall()


def test_check_says_that_it_answers(source: Source) -> None:
    findings = source.check()
    assert findings[0].severity is Severity.OK
    assert findings[0].what == "shop"
