"""Gamma-Gamma: what a customer spends on a purchase day.

Fader, Hardie (2013), "The Gamma-Gamma Model of Monetary Value". A purchase is worth z ~ gamma(p, ν), and
ν ~ gamma(q, γ) between customers, independently of how often they buy. Known of each: the mean z̄ of x
purchases. Here γ is called v, as in the note's own worksheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, psi

from clvsync.clv.estimation import Likelihood, maximum_likelihood
from clvsync.clv.model import Floats

_STARTS = ((1.0, 2.0, 1.0), (6.0, 4.0, 0.5), (3.0, 10.0, 4.0), (20.0, 1.5, 0.05))
_BOUNDS = ((1e-2, 1e4), (1.05, 1e4), (1e-4, 1e6))
"""q stays above 1, below which the mean over customers does not exist. v is bounded in units of the mean."""


@dataclass(frozen=True, slots=True)
class GammaGamma:
    p: float
    q: float
    v: float

    def log_likelihood(self, x: Floats, mean: Floats) -> float:
        return _likelihood_of((x, mean))(np.array([self.p, self.q, self.v]))[0]

    @property
    def mean(self) -> float:
        """Expected value of a purchase of a customer of whom nothing is known: p v / (q - 1)."""
        return self.p * self.v / (self.q - 1.0)

    def expected_value(self, x: Floats, mean: Floats) -> Floats:
        """Expected value of a customer's purchase, given the mean of x of them: the note's equation (5),
        between their own mean and everyone's. Everyone's where x is 0."""
        given = x > 0
        own = self.p * (self.v + x * np.where(given, mean, 0.0)) / (self.p * x + self.q - 1.0)
        return np.where(given, own, self.mean)


def fit(x: Floats, mean: Floats) -> GammaGamma:
    """Maximum likelihood over customers with x ≥ 1 purchases of a positive mean value."""
    unit = float(np.average(mean, weights=x))
    p, q, v = maximum_likelihood(_likelihood_of, (x, mean / unit), starts=_STARTS, bounds=_BOUNDS)
    return GammaGamma(float(p), float(q), float(v) * unit)


def _likelihood_of(columns: Sequence[Floats]) -> Likelihood:
    """The logarithm of the note's equation (1a), summed, and its gradient in (p, q, v). The gamma functions
    depend on x alone, and are counted by x."""
    x, mean = columns
    counts, customers = np.unique(x, return_counts=True)
    spent, log_spent = x * mean, np.log(x * mean)
    by_spent, constant = float(x @ log_spent), float(np.log(mean).sum())

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        p, q, v = parameters
        log_total = np.log(v + spent)
        by_count = gammaln(p * counts + q) - gammaln(p * counts) - gammaln(q) + q * np.log(v)
        value = customers @ by_count + p * by_spent - constant - (p * x + q) @ log_total
        shape = psi(p * counts + q)
        gradient = np.array(
            [
                (customers * counts) @ (shape - psi(p * counts)) + by_spent - x @ log_total,
                customers @ (shape - psi(q) + np.log(v)) - log_total.sum(),
                len(x) * q / v - (p * x + q) @ (1.0 / (v + spent)),
            ]
        )
        return float(value), gradient

    return likelihood
