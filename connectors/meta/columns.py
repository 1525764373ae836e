"""What both of Meta's destinations do with columns: first reason that applies, amounts, numbers as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors.meta import facts
from connectors.types import Array, Reason, Rejection, Table

# Wider than MONEY: Arrow rounds a decimal that no longer fits to 0 without a word.
_ROUNDED = pa.decimal128(20, 4)


def given(rows: Table, *columns: str) -> Array:
    """True where any of these boolean columns is true; null and a column that is not there are false."""
    there = [rows[name].fill_null(False) for name in columns if name in rows.column_names]
    if not there:
        return pa.chunked_array([pa.array([False] * rows.num_rows, pa.bool_())])
    return reduce(pc.or_, there)


def first_reason(length: int, *checks: tuple[Array, Reason]) -> Array:
    """For each row the first reason whose check is true, or null."""
    reasons = pa.nulls(length, pa.string())
    for check, reason in reversed(checks):
        reasons = pc.if_else(check, pa.scalar(reason.value), reasons)
    return reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons


def rejections(reasons: Array) -> tuple[Rejection, ...]:
    """The rows that have a reason."""
    places = pc.indices_nonzero(pc.is_valid(reasons)).to_pylist()
    return tuple(Rejection(place, reasons[place].as_py()) for place in places)


def amounts(column: Array, currencies: Array) -> Array:
    """Money rounded to the minor units that Meta counts in (facts.CURRENCY_OFFSETS), halves away from 0."""
    wide = column.cast(_ROUNDED)
    whole = pc.round(wide, 0, round_mode="half_towards_infinity")
    cents = pc.round(wide, 2, round_mode="half_towards_infinity")
    return pc.if_else(pc.is_in(currencies, pa.array(sorted(facts.CURRENCY_OFFSETS))), whole, cents)


def json_numbers(column: Array) -> Sequence[orjson.Fragment | None]:
    """Decimals as JSON numbers, digit by digit: no detour through binary fractions."""
    texts = pc.utf8_rtrim(pc.utf8_rtrim(column.cast(pa.string()), "0"), ".")
    return [None if text is None else orjson.Fragment(text) for text in texts.to_pylist()]
