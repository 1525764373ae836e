"""Maximum likelihood for a few positive parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize

from clvsync.clv.model import Floats

LARGEST_SAMPLE = 200_000
"""Customers that a fit reads at most; of more, a systematic sample of the sorted rows, which is the same
whatever order they come in and keeps their distribution."""
_PILOT = 5_000

Objective = Callable[[Floats, Sequence[Floats]], tuple[float, Floats]]
"""(parameters, columns) → the log-likelihood and its gradient with respect to the parameters."""


def maximum_likelihood(
    log_likelihood: Objective,
    columns: Sequence[Floats],
    *,
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
) -> Floats:
    """The parameters that make `columns` most likely, found over their logarithms with L-BFGS-B.

    Every start is followed on a sample of 5,000 rows; from the best one of them on all rows (at most
    LARGEST_SAMPLE). `bounds` keep the search where the functions can be computed.
    """
    rows = systematic_sample(columns, LARGEST_SAMPLE)
    pilot = systematic_sample(rows, _PILOT)
    limits = [(float(np.log(low)), float(np.log(high))) for low, high in bounds]

    def climb(start: Floats, data: Sequence[Floats]) -> optimize.OptimizeResult:
        size = len(data[0])

        def loss(logs: Floats) -> tuple[float, Floats]:
            parameters = np.exp(logs)
            value, gradient = log_likelihood(parameters, data)
            return -value / size, -gradient * parameters / size

        return optimize.minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 500},
        )

    found = min((climb(np.log(np.asarray(start)), pilot) for start in starts), key=lambda result: result.fun)
    if len(pilot[0]) < len(rows[0]):
        found = climb(found.x, rows)
    return np.exp(np.asarray(found.x, dtype=np.float64))


def systematic_sample(columns: Sequence[Floats], most: int) -> Sequence[Floats]:
    """Every n-th row of the sorted rows, `most` of them; all rows as they are where there are no more."""
    rows = len(columns[0])
    if rows <= most:
        return columns
    order = np.lexsort(columns[::-1])
    picked = order[((np.arange(most) + 0.5) * rows / most).astype(np.int64)]
    return [column[picked] for column in columns]
