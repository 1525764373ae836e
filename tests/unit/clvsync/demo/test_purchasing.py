"""The process against its formula."""

from __future__ import annotations

import numpy as np
import pytest

from clvsync.demo import market
from clvsync.demo.purchasing import Nature, expected_repeats, expected_total_clv, order_values, repeat_orders

CUSTOMERS = 40_000


def nature(rate: float, dropout: float, mean_value: float = 80.0) -> Nature:
    return Nature(
        rate=np.full(CUSTOMERS, rate),
        dropout=np.full(CUSTOMERS, dropout),
        mean_value=np.full(CUSTOMERS, mean_value),
    )


@pytest.mark.parametrize(("rate", "dropout"), [(0.5, 0.1), (2.5, 0.3), (6.0, 0.05), (4.0, 0.7)])
@pytest.mark.parametrize("years", [0.5, 2.0])
def test_simulated_repeats_agree_with_the_closed_form(rate: float, dropout: float, years: float) -> None:
    who, when = repeat_orders(np.random.default_rng(3), nature(rate, dropout), np.full(CUSTOMERS, years))
    for discount_rate in (0.0, 0.25):
        simulated = float(((1.0 + discount_rate) ** -when).sum()) / CUSTOMERS
        expected = expected_repeats(
            nature(rate, dropout), horizon_days=years * 365.25, discount_rate=discount_rate
        )
        assert simulated == pytest.approx(float(expected[0]), rel=0.03)
    assert when.min() > 0
    assert when.max() <= years
    share_gone_at_once = 1 - len(np.unique(who)) / CUSTOMERS
    never = dropout + (1 - dropout) * np.exp(-rate * years)
    assert share_gone_at_once == pytest.approx(never, abs=0.01)


def test_without_dropout_and_discount_repeats_are_rate_times_horizon() -> None:
    assert expected_repeats(nature(2.0, 0.0), horizon_days=365.25, discount_rate=0.0)[0] == pytest.approx(2.0)


def test_repeat_orders_average_to_the_customers_own_mean() -> None:
    rng = np.random.default_rng(5)
    category = rng.choice(len(market.CATEGORIES), CUSTOMERS, p=market.shares(market.CATEGORIES))
    discounted = rng.random(CUSTOMERS) < market.REPEAT_DISCOUNTED
    values = order_values(rng, np.full(CUSTOMERS, 80.0), category, discounted, repeat=True)
    assert values.mean() == pytest.approx(80.0, rel=0.02)


def test_total_clv_is_margin_on_what_is_kept() -> None:
    one = Nature(rate=np.array([1e-9]), dropout=np.array([0.5]), mean_value=np.array([80.0]))
    clv = expected_total_clv(one, np.array([100.0]))
    assert clv[0] == pytest.approx(100.0 * market.MARGIN * market.KEPT_SHARE)
