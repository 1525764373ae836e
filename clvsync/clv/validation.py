"""How good predictions were: pure functions over what was predicted and what came.

The way to use them: fit and score at a past `as_of` (calibration), read the order summary again at a later
one (hold-out), and compare the customers of the first by key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from clvsync.clv.model import Floats
from connectors.types import Table


@dataclass(frozen=True, slots=True)
class Validation:
    """`total_bias`: Σ predicted ÷ Σ actual - 1 (None where nothing came). `mean_absolute_error`: in currency.
    `spearman`: rank correlation, None where either does not vary. `gini`: share of what a perfect ranking
    gains over a random one that this ranking gains, 1 at best. `top_fifth`: share of the actual total held by
    the fifth predicted highest. `tenths`: DECILES."""

    customers: int
    predicted: float
    actual: float
    total_bias: float | None
    mean_absolute_error: float
    spearman: float | None
    gini: float | None
    top_fifth: float | None
    tenths: Table


DECILES = pa.schema(
    [
        pa.field("tenth", pa.int64()),
        pa.field("customers", pa.int64()),
        pa.field("predicted", pa.float64()),
        pa.field("actual", pa.float64()),
    ]
)
"""Mean predicted and actual of the customers predicted highest (tenth 1) down to lowest (tenth 10)."""


def validate(predicted: Floats, actual: Floats) -> Validation:
    """Compare one prediction with one outcome per customer, in the same order. Raises ValueError when there
    is none, or when the two differ in length."""
    if not len(predicted) or len(predicted) != len(actual):
        raise ValueError(f"{len(predicted)} predictions and {len(actual)} outcomes cannot be compared")
    total = float(actual.sum())
    return Validation(
        customers=len(actual),
        predicted=float(predicted.sum()),
        actual=total,
        total_bias=float(predicted.sum()) / total - 1.0 if total > 0 else None,
        mean_absolute_error=float(np.abs(predicted - actual).mean()),
        spearman=spearman(predicted, actual),
        gini=gini(predicted, actual),
        top_fifth=capture(predicted, actual, 0.2),
        tenths=deciles(predicted, actual),
    )


def spearman(predicted: Floats, actual: Floats) -> float | None:
    """Rank correlation with ties at their mean rank."""
    ranks = rankdata(predicted), rankdata(actual)
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def gini(predicted: Floats, actual: Floats) -> float | None:
    """Normalised Gini of the ranking: area between the cumulative gains curve and the diagonal, over the same
    area of the perfect ranking. Customers predicted alike share what they brought, so that their order in the
    data does not matter. None where the outcomes do not vary."""
    perfect = _gain_area(actual, actual)
    return _gain_area(predicted, actual) / perfect if perfect > 0 else None


def capture(predicted: Floats, actual: Floats, share: float) -> float | None:
    """Share of the actual total that the given share of customers, those predicted highest, brought."""
    total = float(actual.sum())
    if total <= 0:
        return None
    held = np.interp(share * len(actual), np.arange(len(actual) + 1), _gains(predicted, actual))
    return float(held) / total


def deciles(predicted: Floats, actual: Floats) -> Table:
    """DECILES; fewer rows where there are fewer than ten customers."""
    order = np.argsort(-predicted, kind="stable")
    parts = [part for part in np.array_split(order, 10) if len(part)]
    return pa.table(
        [
            list(range(1, len(parts) + 1)),
            [len(part) for part in parts],
            [float(predicted[part].mean()) for part in parts],
            [float(actual[part].mean()) for part in parts],
        ],
        schema=DECILES,
    )


def _gains(predicted: Floats, actual: Floats) -> Floats:
    """Running sum of outcomes from the highest prediction down, from 0; ties share theirs evenly."""
    _, code, sizes = np.unique(-predicted, return_inverse=True, return_counts=True)
    shared = np.bincount(code, actual) / sizes
    return np.concatenate([[0.0], np.cumsum(np.repeat(shared, sizes))])


def _gain_area(predicted: Floats, actual: Floats) -> float:
    gains = _gains(predicted, actual)
    return float(np.trapezoid(gains) / len(actual) - gains[-1] / 2.0)
