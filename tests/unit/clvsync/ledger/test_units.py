from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.ledger import units
from connectors.types import INSTANT, MONEY

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AMOUNTS = st.decimals(
    min_value=Decimal(-(10**14)) + 1, max_value=Decimal(10**14) - 1, places=4, allow_nan=False
)
INSTANTS = st.integers(0, 7 * 10**15).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds))


@given(AMOUNTS)
def test_money_comes_back_exactly(amount: Decimal) -> None:
    stored = units.money_to_integer(amount)
    assert units.integer_to_money(stored) == amount
    assert units.money_column(pa.array([amount, None], MONEY)).to_pylist() == [stored, None]


@given(INSTANTS)
def test_instants_come_back_exactly(instant: datetime) -> None:
    stored = units.instant_to_integer(instant)
    assert units.integer_to_instant(stored) == instant
    assert units.instant_column(pa.array([instant, None], INSTANT)).to_pylist() == [stored, None]


def test_an_instant_is_the_same_in_every_zone() -> None:
    berlin = datetime(2026, 3, 29, 3, tzinfo=timezone(timedelta(hours=2)))
    assert units.integer_to_instant(units.instant_to_integer(berlin)) == berlin


def test_what_cannot_be_kept_exactly_is_refused() -> None:
    with pytest.raises(ValueError, match="four decimal places"):
        units.money_to_integer(Decimal("1.00001"))
    with pytest.raises(ValueError, match="time zone"):
        units.instant_to_integer(datetime(2026, 1, 1))  # noqa: DTZ001
