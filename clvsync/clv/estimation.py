"""Maximum likelihood for a few positive parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
from scipy import optimize

from clvsync.clv.model import Floats

LARGEST_SAMPLE = 200_000
"""Customers that a fit reads at most; of more, a systematic sample of the sorted rows, which is the same
whatever order they come in and keeps their distribution."""
_PILOT = 2_000
_ROUGHLY = 1e-6
_CLOSELY = 1e-13

Likelihood = Callable[[Floats], tuple[float, Floats]]
"""Parameters → the log-likelihood of all rows and its gradient with respect to the parameters."""


def maximum_likelihood(
    likelihood_of: Callable[[Sequence[Floats]], Likelihood],
    columns: Sequence[Floats],
    *,
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
) -> Floats:
    """The parameters that make `columns` most likely, found over their logarithms with L-BFGS-B.

    Every start is followed roughly on a sample of 2,000 rows; from the best end of them, the search goes on
    over all rows (at most LARGEST_SAMPLE). `bounds` keep it where the functions can be computed.
    """
    rows = systematic_sample(columns, LARGEST_SAMPLE)
    limits = [(float(np.log(low)), float(np.log(high))) for low, high in bounds]

    def climb(data: Sequence[Floats], start: Floats, tolerance: float) -> optimize.OptimizeResult:
        likelihood, size = likelihood_of(data), len(data[0])

        def loss(logs: Floats) -> tuple[float, Floats]:
            parameters = np.exp(logs)
            value, gradient = likelihood(parameters)
            return -value / size, -gradient * parameters / size

        return optimize.minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=limits,
            options={"ftol": tolerance, "gtol": 1e-8, "maxiter": 500},
        )

    pilot = systematic_sample(rows, _PILOT)
    with _one_thread():
        ends = [climb(pilot, np.log(np.asarray(start)), _ROUGHLY) for start in starts]
        best = min(ends, key=lambda end: float(end.fun))
        return np.exp(np.asarray(climb(rows, best.x, _CLOSELY).x, dtype=np.float64))


def _one_thread() -> AbstractContextManager[object]:
    """L-BFGS-B's own matrices are tiny, and on a busy machine BLAS threads wait for each other at every step:
    thirty times as long for the same result."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def systematic_sample(columns: Sequence[Floats], most: int) -> Sequence[Floats]:
    """Every n-th row of the sorted rows, `most` of them; all rows as they are where there are no more."""
    rows = len(columns[0])
    if rows <= most:
        return columns
    order = np.lexsort(columns[::-1])
    picked = order[((np.arange(most) + 0.5) * rows / most).astype(np.int64)]
    return [column[picked] for column in columns]
