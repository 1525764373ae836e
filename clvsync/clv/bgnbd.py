"""BG/NBD: how often a customer without a contract buys, and whether they still do.

Fader, Hardie, Lee (2005), "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
Marketing Science 24(2). A customer buys at Poisson rate λ ~ gamma(r, α) and leaves after each purchase with
probability p ~ beta(a, b). Known of each: x repeat purchases, the last at t_x, observed until T, all counted
from the first purchase. Times are in weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit, gammaln, hyp2f1, psi

from clvsync.clv.estimation import Likelihood, maximum_likelihood
from clvsync.clv.model import Floats

_STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 5.0, 0.8, 2.5), (0.1, 20.0, 0.3, 3.0), (3.0, 30.0, 2.0, 10.0))
_BOUNDS = ((1e-3, 1e2), (1e-3, 1e4), (1e-3, 1e2), (1e-3, 1e3))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


@dataclass(frozen=True, slots=True)
class BgNbd:
    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, x: Floats, t_x: Floats, age: Floats) -> float:
        """Sum over customers of the logarithm of the paper's equation (6)."""
        parameters = np.array([self.r, self.alpha, self.a, self.b])
        return _likelihood_of((x, t_x, age))(parameters)[0]

    def probability_alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        """Fader, Hardie, Lee (2008), "Computing P(alive) Using the BG/NBD Model". A customer without a repeat
        purchase has had no occasion to leave, and is alive with probability 1 by construction."""
        odds_gone = (
            np.log(self.a)
            - np.log(self.b + np.maximum(x, 1.0) - 1.0)
            + (self.r + x) * (np.log(self.alpha + age) - np.log(self.alpha + t_x))
        )
        return np.where(x > 0, expit(-odds_gone), 1.0)

    def expected_purchases(
        self, x: Floats, t_x: Floats, age: Floats, period: Floats, rate: float = 0.0
    ) -> Floats:
        """Purchases expected between the age T and T + `period`, each discounted to T at the continuous
        weekly `rate`. Without discount this is the paper's equation (10).

        Instead of (10), whose hypergeometric function overflows for frequent buyers and is singular at a = 1,
        the purchase rate at T + s is integrated by Gauss-Legendre quadrature. Given that the customer is
        alive, λ ~ gamma(r + x, α + T) and p ~ beta(a, b + x), and they buy at the rate
        E[λ exp(-λ p s)] = (r + x)/(α + T) · E_p[(1 + p z)^-(r + x + 1)] with z = s/(α + T),
        which by Euler's integral and Pfaff's transformation is
        (r + x)/(α + T) · (1 + z)^-a · 2F1(a, a + b - r - 1; a + b + x; z/(1 + z)).
        """
        while_alive = _by_distinct_rows(partial(self._while_alive, rate=rate), x, age, period)
        return self.probability_alive(x, t_x, age) * while_alive

    def _while_alive(self, x: Floats, age: Floats, period: Floats, *, rate: float) -> Floats:
        scale = (self.alpha + age)[:, None]
        # In y = ln(1 + s/(α + T)) the rate falls off evenly, also for frequent buyers.
        longest = np.log1p(period[:, None] / scale)
        y = longest * (_NODES + 1.0) / 2.0
        share = -np.expm1(-y)
        x = x[:, None]
        curve = np.exp(-self.a * y) * hyp2f1(
            self.a, self.a + self.b - self.r - 1.0, self.a + self.b + x, share
        )
        mean_p = self.a / (self.a + self.b + x)
        # Where the series does not converge, a and b are large and p hardly varies about its mean.
        steady = np.exp(-(self.r + x + 1.0) * np.log1p(mean_p * np.expm1(y)))
        curve = np.clip(np.where(np.isfinite(curve), curve, steady), 0.0, 1.0)
        discount = np.exp(-rate * scale * np.expm1(y))
        # ds = (α + T) exp(y) dy
        integral = (curve * discount * np.exp(y) * _WEIGHTS).sum(axis=1) * longest[:, 0] / 2.0
        return np.asarray((self.r + x[:, 0]) * integral, dtype=np.float64)


def fit(x: Floats, t_x: Floats, age: Floats) -> BgNbd:
    """Maximum likelihood over customers with x repeat purchases, the last at t_x, observed until `age`."""
    found = maximum_likelihood(_likelihood_of, (x, t_x, age), starts=_STARTS, bounds=_BOUNDS)
    return BgNbd(*(float(value) for value in found))


def _likelihood_of(columns: Sequence[Floats]) -> Likelihood:
    """Equation (6) in logarithms and its gradient in (r, α, a, b).

    Who never repeated has the likelihood (α / (α + T))^r, and is counted by T; the gamma functions of the
    others depend on x alone, and are counted by x.
    """
    x, t_x, age = columns
    once = x == 0
    silent_age, silent = np.unique(age[once], return_counts=True)
    x, t_x, age = x[~once], t_x[~once], age[~once]
    repeats, code, customers = np.unique(x, return_inverse=True, return_counts=True)

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = parameters
        log_alpha = np.log(alpha)
        silent_log = np.log(alpha + silent_age)
        log_now, log_last = np.log(alpha + age), np.log(alpha + t_x)
        # The logarithm of the ratio of the two terms of (6): gone after the last purchase, and alive.
        gone = (np.log(a) - np.log(b + repeats - 1.0))[code] + (r + x) * (log_now - log_last)
        was_gone = expit(gone)
        together = np.logaddexp(0.0, gone) - (r + x) * log_now
        by_count = (
            gammaln(r + repeats)
            - gammaln(r)
            + gammaln(a + b)
            + gammaln(b + repeats)
            - gammaln(b)
            - gammaln(a + b + repeats)
        )
        value = (
            silent @ (r * (log_alpha - silent_log)) + customers @ (by_count + r * log_alpha) + together.sum()
        )
        log_mean = was_gone * log_last + (1.0 - was_gone) * log_now
        inverse_mean = was_gone / (alpha + t_x) + (1.0 - was_gone) / (alpha + age)
        gone_by_count = np.bincount(code, was_gone, len(repeats))
        shared = customers @ (psi(a + b) - psi(a + b + repeats))
        gradient = np.array(
            [
                silent @ (log_alpha - silent_log)
                + customers @ (psi(r + repeats) - psi(r) + log_alpha)
                - log_mean.sum(),
                r * (silent @ (1.0 / alpha - 1.0 / (alpha + silent_age)))
                + len(x) * r / alpha
                - (r + x) @ inverse_mean,
                shared + was_gone.sum() / a,
                shared
                + customers @ (psi(b + repeats) - psi(b))
                - gone_by_count @ (1.0 / (b + repeats - 1.0)),
            ]
        )
        return float(value), gradient

    return likelihood


def _by_distinct_rows(compute: Callable[..., Floats], *columns: Floats) -> Floats:
    """`compute` of the columns, worked out once for rows that are alike."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        distinct, code = np.unique(column, return_inverse=True)
        codes = np.unique(codes * len(distinct) + code, return_inverse=True)[1]
    _, first, back = np.unique(codes, return_index=True, return_inverse=True)
    return compute(*(column[first] for column in columns))[back]
