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

from clvsync.clv.estimation import maximum_likelihood
from clvsync.clv.model import Floats

_STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 5.0, 0.8, 2.5), (0.1, 20.0, 0.3, 3.0), (3.0, 30.0, 2.0, 10.0))
_BOUNDS = ((1e-3, 1e2), (1e-3, 1e4), (1e-3, 1e2), (1e-3, 1e3))
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


@dataclass(frozen=True, slots=True)
class BgNbd:
    r: float
    alpha: float
    a: float
    b: float

    def log_likelihood(self, x: Floats, t_x: Floats, age: Floats) -> float:
        """Sum over customers of the logarithm of the paper's equation (6)."""
        parameters = np.array([self.r, self.alpha, self.a, self.b])
        return _log_likelihood(parameters, (x, t_x, age))[0]

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
    found = maximum_likelihood(_log_likelihood, (x, t_x, age), starts=_STARTS, bounds=_BOUNDS)
    return BgNbd(*(float(value) for value in found))


def _log_likelihood(parameters: Floats, columns: Sequence[Floats]) -> tuple[float, Floats]:
    """Equation (6), with its two terms added in logarithms, and its gradient in (r, α, a, b)."""
    r, alpha, a, b = parameters
    x, t_x, age = columns
    repeated = x > 0
    log_now = np.log(alpha + age)
    log_last = np.log(alpha + t_x)
    before_last = b + np.where(repeated, x, 1.0) - 1.0
    alive = -(r + x) * log_now
    gone = np.where(repeated, np.log(a) - np.log(before_last) - (r + x) * log_last, -np.inf)
    together = np.logaddexp(alive, gone)
    value = (
        gammaln(r + x)
        - gammaln(r)
        + r * np.log(alpha)
        + gammaln(a + b)
        + gammaln(b + x)
        - gammaln(b)
        - gammaln(a + b + x)
        + together
    )
    was_gone = np.exp(gone - together)
    was_alive = 1.0 - was_gone
    shared = psi(a + b) - psi(a + b + x)
    gradient = np.array(
        [
            np.sum(psi(r + x) - psi(r) + np.log(alpha) - was_alive * log_now - was_gone * log_last),
            np.sum(r / alpha - (r + x) * (was_alive / (alpha + age) + was_gone / (alpha + t_x))),
            np.sum(shared + was_gone / a),
            np.sum(shared + psi(b + x) - psi(b) - was_gone / before_last),
        ]
    )
    return float(np.sum(value)), gradient


def _by_distinct_rows(compute: Callable[..., Floats], *columns: Floats) -> Floats:
    """`compute` of the columns, worked out once for rows that are alike."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        distinct, code = np.unique(column, return_inverse=True)
        codes = np.unique(codes * len(distinct) + code, return_inverse=True)[1]
    _, first, back = np.unique(codes, return_index=True, return_inverse=True)
    return compute(*(column[first] for column in columns))[back]
