"""The model `subscription`: how long subscribers stay, and what their months are worth.

Two laws of survival, both in discrete periods (months), fitted to one cohort or to several added up:

- constant churn: a share of those left leaves every period;
- shifted-beta-geometric (Fader, Hardie 2007, "How to Project Customer Retention", Journal of Interactive
  Marketing 21(1)): each subscriber leaves with a probability of their own, θ ~ beta(α, β), so that those who
  stay are ever more loyal. Constant churn understates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, psi

from clvsync.clv.estimation import Likelihood, maximum_likelihood
from clvsync.clv.model import Floats

_STARTS = ((1.0, 1.0), (0.5, 2.0), (2.0, 20.0))
_BOUNDS = ((1e-3, 1e4), (1e-3, 1e4))


@dataclass(frozen=True, slots=True)
class ConstantChurn:
    churn: float

    def survival(self, periods: Floats) -> Floats:
        """Share of subscribers left after so many renewals: (1 - churn)^t."""
        return np.asarray((1.0 - self.churn) ** periods, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ShiftedBetaGeometric:
    alpha: float
    beta: float

    def survival(self, periods: Floats) -> Floats:
        """The paper's equation (6): S(t) = B(α, β + t) / B(α, β)."""
        return np.asarray(
            np.exp(betaln(self.alpha, self.beta + periods) - betaln(self.alpha, self.beta)), dtype=np.float64
        )

    def log_likelihood(self, left: Floats) -> float:
        return _likelihood_of(_lost_and_left(left))(np.array([self.alpha, self.beta]))[0]


Survival = ConstantChurn | ShiftedBetaGeometric


def fit_constant_churn(left: Floats) -> ConstantChurn:
    """Maximum likelihood: renewals refused ÷ renewals due. `left`: subscribers at the start and after each
    period. Raises ValueError unless it starts above zero, never rises and holds two counts."""
    lost, _ = _lost_and_left(left)
    return ConstantChurn(float(lost.sum() / left[:-1].sum()))


def fit_shifted_beta_geometric(left: Floats) -> ShiftedBetaGeometric:
    """Maximum likelihood over `left`, as for constant churn."""
    alpha, beta = maximum_likelihood(_likelihood_of, _lost_and_left(left), starts=_STARTS, bounds=_BOUNDS)
    return ShiftedBetaGeometric(float(alpha), float(beta))


def clv(survival: Survival, margin: float, renewals: Floats, periods: int, rate: float) -> Floats:
    """Margin expected of subscribers who have renewed so many times, over the next `periods` payments, the
    first of which is due in one period; discounted to now at `rate` a period.

    Σ margin × S(n + t) / S(n) ÷ (1 + rate)^t for t from 1 to `periods`.
    """
    ahead = np.arange(1, periods + 1, dtype=np.float64)
    stays = survival.survival(renewals[:, None] + ahead)
    here = survival.survival(renewals)[:, None]
    alive = np.divide(stays, here, out=np.zeros_like(stays), where=here > 0)
    return np.asarray(margin * (alive * (1.0 + rate) ** -ahead).sum(axis=1), dtype=np.float64)


def _lost_and_left(left: Floats) -> tuple[Floats, Floats]:
    """Subscribers lost in each period; and, in the last place alone, those still there at the end."""
    if len(left) < 2 or left[0] <= 0 or (np.diff(left) > 0).any() or left[-1] < 0:
        raise ValueError("subscribers left have to start above zero and never rise, over two counts or more")
    still = np.zeros(len(left) - 1)
    still[-1] = left[-1]
    return -np.diff(left), still


def _likelihood_of(columns: Sequence[Floats]) -> Likelihood:
    """Σ lost_t ln P(T = t) + left ln S(end) and its gradient; P(T = t) = B(α + 1, β + t - 1) / B(α, β)."""
    lost, left = columns
    period = np.arange(1, len(lost) + 1, dtype=np.float64)

    def likelihood(parameters: Floats) -> tuple[float, Floats]:
        alpha, beta = parameters
        start = betaln(alpha, beta)
        value = lost @ (betaln(alpha + 1, beta + period - 1) - start) + left @ (
            betaln(alpha, beta + period) - start
        )
        both, at_start = psi(alpha + beta + period), psi(alpha + beta)
        gradient = np.array(
            [
                lost @ (psi(alpha + 1) - both - psi(alpha) + at_start) + left @ (at_start - both),
                lost @ (psi(beta + period - 1) - both - psi(beta) + at_start)
                + left @ (psi(beta + period) - both - psi(beta) + at_start),
            ]
        )
        return float(value), gradient

    return likelihood
