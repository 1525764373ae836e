"""Value policies: the arithmetic, the order of its steps, and money that stays exact."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.config.sections import ValuePolicy
from clvsync.value.effect import spread
from clvsync.value.policies import Constants, freeze, values

WORTH = np.array([10.0, 20.0, 30.0, 40.0])
REVENUE = np.array([50.0, 50.0, 50.0, 50.0])


def test_clv_is_sent_times_the_factor() -> None:
    policy = ValuePolicy(policy="clv", factor=Decimal("0.5"))
    sent = values(policy, freeze(policy, WORTH, REVENUE), WORTH, "EUR")
    assert sent.to_pylist() == [Decimal("5.0000"), Decimal("10.0000"), Decimal("15.0000"), Decimal("20.0000")]


def test_scaled_keeps_the_sum_that_the_platform_is_used_to() -> None:
    policy = ValuePolicy(policy="scaled")
    constants = freeze(policy, WORTH, REVENUE)
    assert constants.scale == pytest.approx(2.0)
    assert sum(values(policy, constants, WORTH, "EUR").to_pylist()) == Decimal(200)


def test_cap_and_floor_hold_and_the_cap_is_frozen_in_sent_units() -> None:
    policy = ValuePolicy(policy="scaled", cap="p50", floor=Decimal(30))  # type: ignore[arg-type]
    constants = freeze(policy, WORTH, REVENUE)
    assert constants.cap == pytest.approx(50.0)
    assert values(policy, constants, np.array([1.0, 20.0, 9_999.0]), "EUR").to_pylist() == [
        Decimal("30.0000"),
        Decimal("40.0000"),
        Decimal("50.0000"),
    ]


def test_unknown_worth_stays_unknown() -> None:
    policy = ValuePolicy(floor=Decimal(5))
    assert values(policy, Constants(1.0, None, 0), np.array([np.nan, 7.0]), "EUR").to_pylist() == [
        None,
        Decimal("7.0000"),
    ]


@pytest.mark.parametrize(("code", "sent"), [("JPY", "1235"), ("EUR", "1234.57"), ("KWD", "1234.568")])
def test_rounded_once_to_the_minor_units_of_the_currency(code: str, sent: str) -> None:
    out = values(ValuePolicy(), Constants(1.0, None, 0), np.array([1234.5678]), code)
    assert out.to_pylist() == [Decimal(sent).quantize(Decimal("0.0001"))]


@given(
    worth=st.lists(st.floats(0, 1e9), min_size=1, max_size=50),
    floor=st.decimals(0, 1000, places=2),
    cap=st.decimals(1000, 100_000, places=2),
)
def test_values_stay_between_floor_and_cap_and_never_change_the_order(
    worth: list[float], floor: Decimal, cap: Decimal
) -> None:
    policy = ValuePolicy(floor=floor, cap=cap)
    column = np.sort(np.array(worth))
    sent = values(policy, freeze(policy, column, column), column, "EUR").to_pylist()
    assert all(floor <= value <= cap for value in sent)
    assert sent == sorted(sent)


def test_spread_tells_whether_a_platform_can_learn_from_the_values() -> None:
    flat = values(ValuePolicy(), Constants(1.0, None, 0), np.full(100, 8.0), "EUR")
    told_apart = values(ValuePolicy(), Constants(1.0, None, 0), np.linspace(5, 50, 100), "EUR")
    poor, good = spread(flat), spread(told_apart)
    assert poor is not None
    assert good is not None
    assert not poor.ready
    assert good.ready
    assert good.distinct == 100
    assert good.highest == Decimal(50)
    assert spread(told_apart.slice(0, 0)) is None
