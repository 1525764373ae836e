from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.special import hyp2f1

from clvsync.clv import bgnbd, estimation
from clvsync.clv.bgnbd import BgNbd
from clvsync.clv.model import Floats
from clvsync.clv.repeat_purchases import RepeatPurchases
from tests import cdnow
from tests.unit.clvsync.clv.summaries import simulated, terms

PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)


def columns(*values: list[float]) -> tuple[Floats, ...]:
    return tuple(np.array(each, dtype=np.float64) for each in values)


def test_the_published_fit_of_cdnow() -> None:
    """Fader, Hardie, Lee (2005)."""
    x, t_x, age, _ = cdnow.calibration()
    assert len(x) == 2357
    fitted = bgnbd.fit(x, t_x, age)
    assert fitted.r == pytest.approx(0.243, abs=5e-4)
    assert fitted.alpha == pytest.approx(4.414, abs=5e-4)
    assert fitted.a == pytest.approx(0.793, abs=5e-4)
    assert fitted.b == pytest.approx(2.426, abs=5e-4)
    assert fitted.log_likelihood(x, t_x, age) == pytest.approx(-9582.4, abs=0.05)


def test_the_published_conditional_expectation() -> None:
    """Fader, Hardie, Lee (2005), "Implementing the BG/NBD Model for Customer Base Analysis in Excel":
    customer 1, with x = 2, t_x = 30.43 and T = 38.86, makes 1.226 purchases in the next 39 weeks."""
    x, t_x, age, period = columns([2], [30.43], [38.86], [39])
    expected = PUBLISHED.expected_purchases(x, t_x, age, period)
    assert expected[0] == pytest.approx(1.226, abs=5e-4)


def test_the_gradient_is_the_slope() -> None:
    data = cdnow.calibration()[:3]
    at = np.array([0.5, 3.0, 1.4, 2.0])
    likelihood = bgnbd._likelihood_of(data)
    value, gradient = likelihood(at)
    slope = approx_fprime(at, lambda where: likelihood(where)[0], 1e-6)
    assert gradient == pytest.approx(slope, rel=1e-3, abs=1e-2)
    assert value < 0


@pytest.mark.parametrize("model", [PUBLISHED, BgNbd(1.2, 10.0, 0.3, 5.0), BgNbd(0.05, 30.0, 3.0, 1.1)])
def test_quadrature_equals_the_papers_closed_form(model: BgNbd) -> None:
    x, t_x, age = columns([0, 0, 1, 2, 9, 40], [0, 0, 0.1, 30, 38, 38.9], [0, 39, 39, 39, 39, 39])
    for weeks in (0.5, 39.0, 260.0):
        period = np.full_like(x, weeks)
        z = period / (model.alpha + age + period)
        series = hyp2f1(model.r + x, model.b + x, model.a + model.b + x - 1, z)
        shrink = ((model.alpha + age) / (model.alpha + age + period)) ** (model.r + x)
        alive = model.probability_alive(x, t_x, age)
        closed = (model.a + model.b + x - 1) / (model.a - 1) * (1 - shrink * series) * alive
        assert model.expected_purchases(x, t_x, age, period) == pytest.approx(closed, rel=1e-9)


def test_discount_weighs_each_purchase_by_when_it_comes() -> None:
    x, t_x, age = columns([3], [20.0], [25.0])
    rate = 0.01

    def purchases_until(weeks: float) -> float:
        return float(PUBLISHED.expected_purchases(x, t_x, age, np.array([weeks]))[0])

    # By parts: ∫ e^(-rs) dN(s) = e^(-rt) N(t) + r ∫ e^(-rs) N(s) ds
    tail, _ = quad(lambda s: np.exp(-rate * s) * purchases_until(s), 0, 52)
    expected = np.exp(-rate * 52) * purchases_until(52) + rate * tail
    found = PUBLISHED.expected_purchases(x, t_x, age, np.array([52.0]), rate)
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_who_never_repeated_is_alive_by_construction() -> None:
    assert PUBLISHED.probability_alive(*columns([0, 0], [0, 0], [0, 500])).tolist() == [1.0, 1.0]


@given(
    st.tuples(*(st.floats(np.log(low), np.log(high)) for low, high in bgnbd._BOUNDS)),
    st.integers(0, 2000),
    st.floats(0, 1),
    st.floats(0, 600),
    st.floats(0, 600),
)
def test_expectations_are_finite_whatever_the_parameters(
    logs: tuple[float, ...], repeats: int, last: float, age: float, period: float
) -> None:
    model = BgNbd(*np.exp(logs))
    x, t_x, until = columns([repeats], [last * age if repeats else 0.0], [age])
    expected = model.expected_purchases(x, t_x, until, np.array([period]), 0.002)
    alive = model.probability_alive(x, t_x, until)
    assert np.isfinite(expected).all()
    assert (expected >= 0).all()
    assert ((alive >= 0) & (alive <= 1)).all()
    # Nobody buys faster than they did while alive: the mean of λ's posterior bounds the rate.
    assert expected[0] <= (model.r + repeats) / (model.alpha + age) * period * (1 + 1e-9)


def test_parameters_are_recovered_from_simulated_customers() -> None:
    table = simulated(20_000, alpha=30.0, seed=3)
    fitted = RepeatPurchases().fit(table, terms())
    assert fitted.purchases.r == pytest.approx(0.4, rel=0.1)
    assert fitted.purchases.alpha == pytest.approx(30.0, rel=0.15)
    assert fitted.purchases.a / fitted.purchases.b == pytest.approx(0.8 / 2.5, rel=0.2)
    assert fitted.spend.mean == pytest.approx(6 * 15 / 3, rel=0.03)


def test_a_fit_on_a_sample_is_near_and_does_not_depend_on_the_order_of_rows() -> None:
    data = cdnow.calibration()[:3]
    shuffled = np.random.default_rng(1).permutation(len(data[0]))
    first = estimation.systematic_sample(data, 800)
    second = estimation.systematic_sample([column[shuffled] for column in data], 800)
    for one, other in zip(first, second, strict=True):
        assert len(one) == 800
        assert one.tolist() == other.tolist()
    assert first[0].mean() == pytest.approx(data[0].mean(), rel=0.05)
