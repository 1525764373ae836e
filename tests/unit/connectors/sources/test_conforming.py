"""Values in the types of every engine, against Python's own decimals."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import ConnectorError, FixConfiguration, RetryLater
from connectors.sources.conforming import reading, schema

# As text: PostgreSQL's numerics can have more digits than hypothesis' decimals, and Arrow's, do.
numerics = st.from_regex(r"\A-?[0-9]{1,28}(\.[0-9]{1,60})?\Z", alphabet="0123456789.-").map(Decimal)

NUMERIC = pa.opaque(pa.string(), "numeric", "PostgreSQL")


def read(column: pa.Array, metadata: dict[str, str] | None = None, rows_per_batch: int = 1_000) -> pa.Table:
    given_schema = pa.schema([pa.field("value", column.type, metadata=metadata)])
    given_reader = pa.RecordBatchReader.from_batches(
        given_schema, [pa.RecordBatch.from_arrays([column], schema=given_schema)]
    )
    with reading(
        given_reader, ["value"], rows_per_batch=rows_per_batch, source="shop", explain=lambda error: None
    ) as reader:
        return reader.read_all()


def postgres_numeric(values: list[str | None], precision: int | None = None, scale: int = 0) -> pa.Table:
    modifier = -1 if precision is None else (precision << 16 | scale) + 4
    column = pa.ExtensionArray.from_storage(NUMERIC, pa.array(values, pa.string()))
    return read(column, {"POSTGRESQL:typmod": str(modifier)})


@settings(deadline=None, max_examples=100)
@given(values=st.lists(st.one_of(st.none(), numerics), max_size=20))
def test_numerics_are_rounded_half_to_even_at_nine_places(values: list[Decimal | None]) -> None:
    exact = decimal.Context(prec=100, rounding=decimal.ROUND_HALF_EVEN)
    expected = [None if value is None else value.quantize(Decimal("1e-9"), context=exact) for value in values]
    found = postgres_numeric([None if value is None else f"{value:f}" for value in values])
    assert found.schema.types == [pa.decimal128(38, 9)]
    assert found["value"].to_pylist() == expected


def test_a_declared_scale_of_nothing_is_whole() -> None:
    found = postgres_numeric(["12345678901234567890123456789012345678", None], 38)
    assert found.schema.types == [pa.decimal128(38, 0)]
    assert found["value"].to_pylist() == [Decimal("12345678901234567890123456789012345678"), None]
    assert postgres_numeric(["1.50"], 12, 2)["value"].to_pylist() == [Decimal("1.50")]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_null(value: str) -> None:
    assert postgres_numeric([value, "1.5"])["value"].to_pylist() == [None, Decimal("1.5")]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([2**64 - 1], pa.uint64()), pa.decimal128(38, 0)),
        (pa.array([255], pa.uint8()), pa.int64()),
        (pa.array([1.5], pa.float32()), pa.float64()),
        (pa.array([Decimal("1.23")], pa.decimal256(50, 2)), pa.decimal128(38, 9)),
        (pa.array([Decimal("1.23")], pa.decimal32(9, 2)), pa.decimal128(38, 9)),
        (pa.array(["a", None]).dictionary_encode(), pa.string()),
        (pa.array(["a"], pa.large_string()), pa.string()),
        (pa.array(["a"], pa.string_view()), pa.string()),
        (pa.array([b"a"], pa.large_binary()), pa.binary()),
        (pa.nulls(2), pa.string()),
        (pa.array([True]), pa.bool_()),
        (pa.array([[1, 2]]), pa.list_(pa.int64())),
    ],
)
def test_types(column: pa.Array, kind: pa.DataType) -> None:
    found = read(column)
    assert found.schema.types == [kind]
    assert found["value"].to_pylist() == column.to_pylist()


def test_instants_are_in_utc_and_nanoseconds_are_cut() -> None:
    instant = datetime(2026, 1, 1, 12, tzinfo=UTC)
    given_column = pa.array([instant], pa.timestamp("ns", tz="Asia/Tokyo"))
    found = read(given_column)
    assert found.schema.types == [pa.timestamp("us", tz="UTC")]
    assert found["value"].to_pylist() == [instant]
    cut = read(pa.array([1_500], pa.timestamp("ns")))
    assert cut["value"].cast(pa.int64()).to_pylist() == [1]


def test_a_decimal_that_is_too_large_is_refused_by_name() -> None:
    with pytest.raises(FixConfiguration, match="shop, column value") as caught:
        read(pa.array([Decimal(10) ** 40 + Decimal("0.5")], pa.decimal256(60, 2)))
    assert "1000000" not in str(caught.value)


def test_the_engines_metadata_is_gone() -> None:
    field = pa.field("value", pa.int32(), nullable=False, metadata={"engine": "words"})
    assert schema(pa.schema([field]), ["renamed"]) == pa.schema([("renamed", pa.int64())])
    assert schema(pa.schema([field]), ["renamed"]).field(0).metadata is None


def test_an_engines_error_is_explained_and_a_defect_is_not() -> None:
    kind = pa.schema([("value", pa.int64())])

    def failing(error: Exception) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.record_batch([pa.array([1])], schema=kind)
            raise error

        return pa.RecordBatchReader.from_batches(kind, batches())

    def explain(error: Exception) -> ConnectorError | None:
        return RetryLater("shop", "gone", "Again.") if isinstance(error, OSError) else None

    for error, raised in ((OSError("anna@example.com"), RetryLater), (KeyError("defect"), KeyError)):
        with (
            pytest.raises(raised),
            reading(failing(error), ["value"], rows_per_batch=10, source="shop", explain=explain) as reader,
        ):
            reader.read_all()
