from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import gamma

from clvsync.clv import gamma_gamma
from clvsync.clv.gamma_gamma import GammaGamma
from tests import cdnow

PUBLISHED = GammaGamma(p=6.25, q=3.74, v=15.44)


def test_the_published_fit_of_cdnow() -> None:
    """Fader, Hardie (2013): the 946 customers of the sample with a repeat purchase."""
    x, _, _, mean = cdnow.calibration()
    spent = x > 0
    assert int(spent.sum()) == 946
    fitted = gamma_gamma.fit(x[spent], mean[spent])
    assert fitted.p == pytest.approx(6.25, abs=0.005)
    assert fitted.q == pytest.approx(3.74, abs=0.005)
    assert fitted.v == pytest.approx(15.44, abs=0.015)


def test_the_gradient_is_the_slope() -> None:
    x, _, _, mean = cdnow.calibration()
    data = (x[x > 0], mean[x > 0])
    at = np.array([3.0, 2.0, 20.0])
    likelihood = gamma_gamma._likelihood_of(data)
    _, gradient = likelihood(at)
    slope = approx_fprime(at, lambda where: likelihood(where)[0], 1e-6)
    assert gradient == pytest.approx(slope, rel=1e-3, abs=1e-2)


def test_expectation_equals_the_integral_over_the_posterior() -> None:
    """ν given x purchases of mean z̄ is gamma(p x + q, v + x z̄), and a purchase is worth p/ν."""
    x, mean = 3.0, 40.0
    shape, rate = PUBLISHED.p * x + PUBLISHED.q, PUBLISHED.v + x * mean
    expected, _ = quad(lambda nu: PUBLISHED.p / nu * gamma.pdf(nu, shape, scale=1 / rate), 0, 10)
    found = PUBLISHED.expected_value(np.array([x]), np.array([mean]))
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_little_knowledge_leans_on_everyone() -> None:
    own = PUBLISHED.expected_value(
        np.array([0.0, 1.0, 10.0, 1000.0]), np.array([np.nan, 100.0, 100.0, 100.0])
    )
    assert own[0] == PUBLISHED.mean
    assert PUBLISHED.mean < own[1] < own[2] < own[3] < 100.0


def test_the_currency_does_not_matter() -> None:
    x, _, _, mean = cdnow.calibration()
    spent = x > 0
    dollars = gamma_gamma.fit(x[spent], mean[spent])
    rupiah = gamma_gamma.fit(x[spent], mean[spent] * 16_000)
    assert rupiah.p == pytest.approx(dollars.p, rel=1e-4)
    assert rupiah.mean == pytest.approx(dollars.mean * 16_000, rel=1e-4)
