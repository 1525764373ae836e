"""Fitting and scoring beside `lifetimes`: CDNOW and 100,000 simulated customers, in one process."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np

from clvsync.clv import bgnbd, gamma_gamma, scoring
from clvsync.clv.model import Floats
from tests import cdnow
from tests.shop import clv
from tests.unit.clvsync.clv.summaries import END, simulated, terms

REPEATS = 3
_WEEKS = 52.0


def main() -> None:
    """Print seconds (best of three) of each step, and how many times as long lifetimes takes."""
    x, t_x, age, mean = cdnow.calibration()
    _compare("CDNOW sample, 2,357 customers", x, t_x, age, mean)
    table = simulated(100_000)
    x, mean = (
        np.asarray(table[name].to_numpy(), dtype=np.float64) for name in ("repeat_days", "mean_repeat_value")
    )
    today = np.datetime64(END.date(), "D")
    first, last = (table[name].to_numpy() for name in ("first_day", "last_day"))
    age, t_x = ((to - first).astype(np.float64) / 7 for to in (today, last))
    _compare("simulated, 100,000 customers", x, t_x, age, mean)

    print("\nclvsync alone, from order summary to scores of 100,000 customers")
    seconds, scorer = _best(lambda: scoring.fit(clv(), table, terms(horizon=timedelta(days=365))))
    print(f"  {'fit both models':<28}{seconds:>9.3f} s")
    seconds, _ = _best(lambda: list(scorer.score_batches(table.to_batches(max_chunksize=65_536), END)))
    tracemalloc.start()
    list(scorer.score_batches(table.to_batches(max_chunksize=65_536), END))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"  {'score by batches':<28}{seconds:>9.3f} s, peak {peak / 2**20:.0f} MiB in Python")


def _compare(title: str, x: Floats, t_x: Floats, age: Floats, mean: Floats) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter, GammaGammaFitter

        spent = (x > 0) & (np.nan_to_num(mean) > 0)
        period = np.full_like(age, _WEEKS)
        print(f"\n{title}")
        ours, fitted = _best(lambda: bgnbd.fit(x, t_x, age))
        theirs, peer = _best(lambda: BetaGeoFitter().fit(x, t_x, age))
        _line("fit BG/NBD", ours, theirs)
        at = fitted.log_likelihood(x, t_x, age)
        there = bgnbd.BgNbd(**{name: float(value) for name, value in peer.params_.items()})
        print(f"  {'log-likelihood':<28}{at:>11.2f} {there.log_likelihood(x, t_x, age):>13.2f}")
        ours, _ = _best(lambda: gamma_gamma.fit(x[spent], mean[spent]))
        theirs, _ = _best(lambda: GammaGammaFitter().fit(x[spent], mean[spent]))
        _line("fit Gamma-Gamma", ours, theirs)
        ours, here = _best(lambda: there.expected_purchases(x, t_x, age, period))
        theirs, that = _best(
            lambda: np.asarray(peer.conditional_expected_number_of_purchases_up_to_time(_WEEKS, x, t_x, age))
        )
        _line("expected purchases", ours, theirs)
        print(f"  {'largest difference':<28}{np.nanmax(np.abs(here - that)):>11.2e}")


def _line(what: str, ours: float, theirs: float) -> None:
    print(f"  {what:<28}{ours:>9.4f} s {theirs:>11.4f} s  lifetimes takes {theirs / ours:.1f} times as long")


def _best(work: Callable[[], Any]) -> tuple[float, Any]:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


if __name__ == "__main__":
    main()
