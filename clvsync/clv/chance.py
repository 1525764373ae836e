"""How far chance alone may have moved what a trial on the past shows.

Standard errors by the influence of each customer: what a figure would change by with a little more or less of
them. Hampel (1974), "The Influence Curve and Its Role in Robust Estimation", JASA 69(346). Checked by tests
against samples drawn anew.
"""

from __future__ import annotations

import numpy as np

from clvsync.clv.model import Floats


def bias_error(predicted: Floats, actual: Floats) -> float | None:
    """Of Σ predicted ÷ Σ actual - 1; None where nothing came."""
    total = float(actual.sum())
    if total <= 0:
        return None
    ratio = float(predicted.sum()) / total
    return _error((predicted - ratio * actual) / (total / len(actual)))


def gini_gap_error(predicted: Floats, other: Floats, actual: Floats) -> float | None:
    """Of the normalised Gini of one prediction less that of another, of the same customers; None where the
    outcomes do not vary.

    The Gini is the covariance of outcome and rank, over the same of the perfect ranking.
    """
    perfect, whole = _covariance(actual, actual)
    if whole <= 0:
        return None
    one, covariance = _covariance(predicted, actual)
    two, rival = _covariance(other, actual)
    return _error((one - two - (covariance - rival) / whole * perfect) / whole)


def _covariance(predicted: Floats, actual: Floats) -> tuple[Floats, float]:
    """Covariance of outcomes and ranks (from 0 to 1, ties at their middle), and each customer's influence."""
    customers = len(actual)
    _, code, alike = np.unique(predicted, return_inverse=True, return_counts=True)
    rank = ((np.cumsum(alike) - alike / 2.0) / customers)[code]
    excess = actual - actual.mean()
    at_level = np.bincount(code, excess)
    # What those ranked above bring in excess: each customer raises the rank of all of them.
    above = ((at_level.sum() - np.cumsum(at_level) + at_level / 2.0) / customers)[code]
    covariance = float((excess * rank).mean())
    return excess * (rank - 0.5) + above - covariance, covariance


def _error(influence: Floats) -> float:
    return float(influence.std() / np.sqrt(len(influence)))
