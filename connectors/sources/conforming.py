"""One set of Arrow types for every engine, so that the same query gives the same schema everywhere.

| in the engine                           | here                                                      |
|-----------------------------------------|-----------------------------------------------------------|
| integers of any width                   | int64; unsigned 64 bits are decimal128(38, 0)             |
| decimals declared without places        | decimal128(38, 0): exact, and a key stays a key           |
| any other decimal                       | decimal128(38, 9), further places rounded half to even    |
| floating point                          | float64                                                   |
| timestamps with zone                    | timestamp[us, UTC]                                        |
| timestamps without                      | timestamp[us]                                             |
| text, enumerations, UUID, JSON, nothing | string                                                    |
| bytes                                   | binary                                                    |
| date, time                              | date32, time64[us]                                        |

PostgreSQL's NaN and infinite decimals become null. Booleans, lists, structures and the like are passed on as
they come.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import ConnectorError, FixConfiguration
from connectors.types import INSTANT, Array, BatchReader, Table

NUMBER = pa.decimal128(38, 9)
WHOLE = pa.decimal128(38, 0)

_is = pa.types
_CONFORMED: Sequence[tuple[Callable[[pa.DataType], bool], pa.DataType]] = (
    (_is.is_uint64, WHOLE),
    (_is.is_integer, pa.int64()),
    (_is.is_floating, pa.float64()),
    (lambda kind: _is.is_decimal(kind) and kind.scale == 0, WHOLE),
    (_is.is_decimal, NUMBER),
    (lambda kind: _is.is_timestamp(kind) and kind.tz is not None, INSTANT),
    (_is.is_timestamp, pa.timestamp("us")),
    (_is.is_date, pa.date32()),
    (_is.is_time, pa.time64("us")),
    (lambda kind: isinstance(kind, pa.UuidType | pa.JsonType), pa.string()),
    (_is.is_dictionary, pa.string()),
    (lambda kind: _is.is_large_string(kind) or _is.is_string_view(kind) or _is.is_null(kind), pa.string()),
    (lambda kind: _is.is_large_binary(kind) or _is.is_binary_view(kind), pa.binary()),
)

# PostgreSQL's numeric comes as text, its declared precision and scale packed in one number beside it (-1:
# undeclared).
_POSTGRES_TYPE_MODIFIER = b"POSTGRESQL:typmod"
_NOT_A_NUMBER = pa.array(["nan", "inf", "-inf"])


def schema(given: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """`given` in the types above, under `names`, without the engine's metadata."""
    return pa.schema([pa.field(name, _type(field)) for name, field in zip(names, given, strict=True)])


@contextmanager
def reading(
    given: BatchReader,
    names: Sequence[str],
    *,
    rows_per_batch: int,
    source: str,
    explain: Callable[[Exception], ConnectorError | None],
) -> Iterator[BatchReader]:
    """A reader of `given` in the types above, at most `rows_per_batch` rows at a time.

    `explain` turns an engine's error into one of ours (None: it is a defect, raised as it is). Where whoever
    reads the stream wraps the error in one of its own, as DuckDB does, ours is raised as the block is left.
    """
    wanted = schema(given.schema, names)
    raised: list[ConnectorError] = []

    def batches() -> Generator[Table, None, None]:
        try:
            for batch in given:
                for start in range(0, batch.num_rows, rows_per_batch):
                    yield _conformed(batch.slice(start, rows_per_batch), wanted, source)
        except Exception as error:
            ours = explain(error)
            if ours is None:
                raise
            raised.append(ours)
            raise ours from None

    stream = batches()
    try:
        yield pa.RecordBatchReader.from_batches(wanted, stream)
    except Exception as error:
        if raised and not isinstance(error, ConnectorError):
            raise raised[0] from None
        raise
    finally:
        # The caller may keep the reader; what is open in the engine must not live on with it.
        stream.close()
        given.close()


def _type(field: pa.Field) -> pa.DataType:
    if isinstance(field.type, pa.OpaqueType) and field.type.type_name == "numeric":
        modifier = int((field.metadata or {}).get(_POSTGRES_TYPE_MODIFIER, b"-1"))
        return WHOLE if modifier >= 0 and _scale(modifier) == 0 else NUMBER
    return next((conformed for is_kind, conformed in _CONFORMED if is_kind(field.type)), field.type)


def _scale(modifier: int) -> int:
    """The low 11 bits less an offset of 4 (PostgreSQL's numeric_typmod_scale)."""
    return (modifier - 4) & 0x7FF


def _conformed(batch: Table, wanted: pa.Schema, source: str) -> Table:
    columns = []
    for field, column in zip(wanted, batch.columns, strict=True):
        try:
            columns.append(_column(column, field.type))
        except (pa.ArrowException, decimal.DecimalException):
            kind = column.type.type_name if isinstance(column.type, pa.OpaqueType) else column.type
            raise FixConfiguration(
                f"{source}, column {field.name}",
                f"there are values of type {kind} that do not fit {field.type}",
                "Cast the column to a narrower type, or to text, in a query of your own.",
            ) from None
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _column(column: Array, wanted: pa.DataType) -> Array:
    if column.type == wanted:
        return column
    if isinstance(column.type, pa.UuidType):
        return pa.array([value and str(value) for value in column.to_pylist()], wanted)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if _is.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is.is_decimal(wanted):
        return _decimal(column, wanted)
    # Nanoseconds are cut; nothing else that is cast here can lose anything.
    return column.cast(wanted, safe=not _is.is_timestamp(wanted))


def _decimal(column: Array, wanted: pa.DataType) -> Array:
    if _is.is_string(column.type):
        column = pc.if_else(pc.is_in(column, value_set=_NOT_A_NUMBER), pa.scalar(None, pa.string()), column)
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid:
        # More places than wanted, as a quotient or an average has, or too large.
        place = decimal.Decimal(1).scaleb(-wanted.scale)
        context = decimal.Context(prec=wanted.precision, rounding=decimal.ROUND_HALF_EVEN)
        values = column.cast(pa.string()).to_pylist()
        return pa.array(
            [value and decimal.Decimal(value).quantize(place, context=context) for value in values],
            wanted,
        )
