from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from clvsync.clv import subscription
from clvsync.clv.model import Floats
from clvsync.clv.subscription import (
    ConstantChurn,
    ShiftedBetaGeometric,
    clv,
    fit_constant_churn,
    fit_shifted_beta_geometric,
)

# Fader, Hardie (2007), "How to Project Customer Retention", the two segments' survivors by year, of 1,000.
HIGH_END = np.array([1000, 869, 743, 653, 593, 551, 517, 491], dtype=np.float64)
REGULAR = np.array([1000, 631, 468, 382, 326, 289, 262, 241], dtype=np.float64)


@pytest.mark.parametrize(("left", "alpha", "beta"), [(HIGH_END, 0.668, 3.806), (REGULAR, 0.704, 1.182)])
def test_the_published_fit(left: Floats, alpha: float, beta: float) -> None:
    fitted = fit_shifted_beta_geometric(left)
    assert fitted.alpha == pytest.approx(alpha, abs=5e-4)
    assert fitted.beta == pytest.approx(beta, abs=5e-4)


def test_the_published_likelihood() -> None:
    assert fit_shifted_beta_geometric(HIGH_END).log_likelihood(HIGH_END) == pytest.approx(-1611.2, abs=0.05)


def test_the_gradient_is_the_slope() -> None:
    likelihood = subscription._likelihood_of(subscription._lost_and_left(REGULAR))
    at = np.array([1.3, 0.7])
    slope = approx_fprime(at, lambda where: likelihood(where)[0], 1e-6)
    assert likelihood(at)[1] == pytest.approx(slope, rel=1e-3)


def test_constant_churn_is_the_share_of_renewals_refused() -> None:
    assert fit_constant_churn(np.array([100.0, 80.0, 64.0])).churn == pytest.approx(0.2)


def test_those_who_stayed_are_more_loyal_than_those_who_are_new() -> None:
    fitted = fit_shifted_beta_geometric(REGULAR)
    new, old = clv(fitted, 10.0, np.array([0.0, 6.0]), 12, 0.0)
    assert old > 1.3 * new
    same = clv(ConstantChurn(0.2), 10.0, np.array([0.0, 6.0]), 12, 0.01)
    assert same[0] == pytest.approx(same[1])


def test_worth_with_constant_churn_is_a_geometric_sum() -> None:
    q = 0.8 / 1.01
    found = clv(ConstantChurn(0.2), 10.0, np.zeros(1), 12, 0.01)
    assert found[0] == pytest.approx(10 * q * (1 - q**12) / (1 - q))


@given(st.floats(1e-3, 1e4), st.floats(1e-3, 1e4), st.integers(0, 500), st.integers(0, 120))
def test_worth_is_finite_and_never_negative(alpha: float, beta: float, renewals: int, periods: int) -> None:
    (worth,) = clv(ShiftedBetaGeometric(alpha, beta), 1.0, np.array([float(renewals)]), periods, 0.005)
    assert 0 <= worth <= periods


@pytest.mark.parametrize("left", [[], [10.0], [0.0, 0.0], [10.0, 11.0], [10.0, -1.0]])
def test_survivors_that_cannot_be_are_refused(left: list[float]) -> None:
    with pytest.raises(ValueError, match="never rise"):
        fit_shifted_beta_geometric(np.array(left))
