from __future__ import annotations

from decimal import Decimal

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.meta import columns
from connectors.types import MONEY, Reason


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1.005", "EUR", "1.01"),
        ("1.004", "EUR", "1.00"),
        ("1234.50", "JPY", "1235"),
        ("1234.49", "HUF", "1234"),
        ("1.2345", "BHD", "1.23"),
        ("99999999999999.9950", "EUR", "100000000000000.00"),
    ],
)
def test_amounts_in_metas_own_minor_units(amount: str, currency: str, expected: str) -> None:
    rounded = columns.amounts(pa.array([Decimal(amount)], MONEY), pa.array([currency]))
    assert rounded[0].as_py() == Decimal(expected)


@given(st.none() | st.decimals(min_value=0, max_value=10**13, places=4))
def test_numbers_reach_the_wire_digit_by_digit(amount: Decimal | None) -> None:
    numbers = columns.json_numbers(pa.array([amount], MONEY))
    written = orjson.dumps(list(numbers)).decode()[1:-1]
    assert written == "null" if amount is None else Decimal(written) == amount


def test_the_first_reason_counts() -> None:
    reasons = columns.first_reason(
        3,
        (pa.array([True, False, False]), Reason.NO_CONSENT),
        (pa.array([True, True, False]), Reason.NO_VALUE),
    )
    assert reasons.to_pylist() == ["no_consent", "no_value", None]
    assert [(one.index, one.reason) for one in columns.rejections(reasons)] == [
        (0, "no_consent"),
        (1, "no_value"),
    ]


def test_what_is_not_given_is_not_agreed() -> None:
    rows = pa.table({"agreed": pa.array([True, False, None])})
    assert columns.given(rows, "agreed").to_pylist() == [True, False, False]
    assert columns.given(rows, "unknown").to_pylist() == [False, False, False]
