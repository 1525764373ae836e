"""What is told of a policy before anything is sent."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from clvsync.config.value_policy import ValuePolicy
from clvsync.value.effect import effect, spread
from clvsync.value.policies import Constants, freeze, values
from connectors.types import MONEY

PLAIN = Constants(1.0, None, 0)


def money(*amounts: str | None) -> pa.Array:
    return pa.array([None if each is None else Decimal(each) for each in amounts], MONEY)


def test_spread_tells_whether_a_platform_can_learn_from_the_values() -> None:
    flat = values(ValuePolicy(), PLAIN, np.full(100, 8.0), "EUR")
    told_apart = values(ValuePolicy(), PLAIN, np.linspace(5, 50, 100), "EUR")
    poor, good = spread(flat), spread(told_apart)
    assert poor is not None
    assert good is not None
    assert not poor.ready
    assert good.ready
    assert good.wanting == ""
    assert good.distinct == 100
    assert good.highest == Decimal(50)
    assert spread(told_apart.slice(0, 0)) is None


@pytest.mark.parametrize(
    ("amounts", "wanting"),
    [
        (("0", "1", "2", "3", "4", "5"), "set a floor"),
        (("1", "2", "3", "9"), "5 distinct values are needed, and there are 4"),
        (("10", "11", "12", "13", "14"), "is 1.4 times it"),
    ],
)
def test_what_is_missing_is_said(amounts: tuple[str, ...], wanting: str) -> None:
    found = spread(money(*amounts))
    assert found is not None
    assert not found.ready
    assert wanting in found.wanting


def test_tenths_are_by_worth_and_sums_are_of_every_known_row() -> None:
    rng = np.random.default_rng(5)
    worth = rng.permutation(np.arange(1.0, 101.0))
    revenue = worth * 3
    policy = ValuePolicy(policy="scaled", cap=Decimal(240))
    sent = values(policy, freeze(policy, worth, revenue), worth, "EUR")
    found = effect(worth, sent, revenue, Decimal(1))
    assert found is not None
    assert [decile.rows for decile in found.deciles] == [10] * 10
    assert [decile.worth for decile in found.deciles] == [5.5 + 10 * place for place in range(10)]
    assert [decile.revenue for decile in found.deciles] == [16.5 + 30 * place for place in range(10)]
    assert [decile.value for decile in found.deciles[:8]] == [16.5 + 30 * place for place in range(8)]
    assert found.deciles[8].value == pytest.approx(240.0)
    assert found.revenue == 15_150.0
    assert found.value == Decimal(3 * sum(range(1, 81)) + 20 * 240)
    assert found.to_revenue == pytest.approx(float(found.value) / 15_150)
    assert sum(bar.rows for bar in found.bars) == 100


def test_another_currency_is_compared_in_the_business_own() -> None:
    worth = np.array([46.0, 92.0])
    sent = values(ValuePolicy(), PLAIN, worth, "USD", rate=Decimal("0.92"))
    found = effect(worth, sent, worth * 2, Decimal("0.92"))
    assert found is not None
    assert found.value == Decimal(150)
    assert found.value_in_own == pytest.approx(138.0)
    assert found.to_revenue == pytest.approx(0.5)


def test_rows_without_worth_or_value_are_left_out_and_nothing_is_told_of_none() -> None:
    worth = np.array([np.nan, 4.0, 6.0])
    found = effect(worth, money("1", None, "3"), np.full(3, np.nan), Decimal(1))
    assert found is not None
    assert (found.rows, found.worth, found.revenue, found.to_revenue) == (1, 6.0, None, None)
    assert found.deciles[0].revenue is None
    assert effect(worth, money(None, None, None), worth, Decimal(1)) is None


def test_few_values_have_a_bar_each_and_a_whale_does_not_hide_the_others() -> None:
    few = effect(np.ones(5), money("5", "5", "5", "20", "90"), np.ones(5), Decimal(1))
    assert few is not None
    assert [(bar.low, bar.rows) for bar in few.bars] == [(5.0, 3), (20.0, 1), (90.0, 1)]
    amounts = np.append(np.linspace(1, 100, 199), 1e6)
    many = effect(amounts, values(ValuePolicy(), PLAIN, amounts, "EUR"), amounts, Decimal(1))
    assert many is not None
    assert sum(bar.rows for bar in many.bars) == 200
    assert many.bars[-1].high == 1e6
    assert min(bar.rows for bar in many.bars[:-1]) >= 10
