"""The model `first_order`: expected total CLV at the acquisition, from what is known that day.

A new customer's total CLV is the margin of the first day, which is known, plus an expected remainder,
learned from earlier customers in two ways, of which the better on later cohorts is used: gradient boosting
over all that is known with the first order (see boosted_remainder, which states the rule), and the shrunk
cohort mean, which needs less data and wins ties:

    remainder = base × f(value band) × f(channel) × f(country) × f(cohort month)

Each factor f multiplies (a relativity, as in insurance rating), is found in turn on what the others leave
unexplained, and is shrunk by credibility (Bühlmann, Straub 1970, "Glaubwürdigkeit für Schadensätze";
Bühlmann, Gisler 2005, "A Course in Credibility Theory", chapter 4): a level of exposure m gets
Z = m / (m + k) of its own mean and 1 - Z of everyone's, with k = σ² / τ² from the data. A level that was
never seen counts as everyone.

What the cohort mean learns from is each customer's total CLV: the realised value where the horizon has
passed, else the realised value plus the remainder that `bgnbd` expects. A young customer tells little that
`bgnbd` did not put in, so each counts by the share of the horizon that has been observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.clv import boosted_remainder
from clvsync.clv.boosted_remainder import BoostedRemainder, Trial
from clvsync.clv.model import (
    Floats,
    Json,
    NotEnoughHistory,
    Terms,
    ages,
    known,
    numbers,
    scores,
    version_of,
)
from clvsync.clv.repeat_purchases import FittedRepeatPurchases, RepeatPurchases
from connectors.types import Array, Table

FEWEST_CUSTOMERS = 100
_BANDS = 10
_PASSES = 3
_WINSOR = 0.99
"""Factors are learned from remainders cut at this quantile, so that one whale does not make a channel."""
_SMALLEST_FACTOR = 0.05


@dataclass(frozen=True, slots=True)
class Factor:
    """`levels`: the factor of each level; others count 1. `k`: exposure at which a level is believed half.
    A feature whose levels do not differ by more than chance has no Factor."""

    levels: Mapping[str, float]
    k: float


class FirstOrder:
    """Learns what a first order tells of the customer. `repeat` is the fitted model for those whose horizon
    is still open (None: it is fitted on the same customers)."""

    name = "first_order"

    def __init__(self, repeat: FittedRepeatPurchases | None = None) -> None:
        self._repeat = repeat

    def fit(self, summary: Table, terms: Terms) -> FittedFirstOrder:
        if summary.num_rows < FEWEST_CUSTOMERS:
            raise NotEnoughHistory(
                "clv",
                f"the order history holds {summary.num_rows} customers, "
                f"and the model first_order needs {FEWEST_CUSTOMERS}",
                "Use the model `column` until there are more, or map a longer order history.",
            )
        repeat = self._repeat or RepeatPurchases().fit(summary, terms)
        boosted, trial = boosted_remainder.fit(summary, terms, repeat, _cohort_mean)
        return replace(_cohort_mean(summary, terms, repeat), boosted=boosted, trial=trial)


def _cohort_mean(summary: Table, terms: Terms, repeat: FittedRepeatPurchases) -> FittedFirstOrder:
    total = numbers(repeat.score(summary, terms.as_of), "total_clv")
    remainder = total - known(numbers(summary, "first_day_margin"))
    observed = np.clip(ages(summary, terms.as_of, terms) / max(terms.horizon_days, 1), 0.0, 1.0)
    if not observed.any():
        observed = np.ones_like(observed)
    base = float(np.average(remainder, weights=observed))
    edges = _edges(numbers(summary, "first_order_value"))
    factors = _factors(_features(summary, edges), remainder, observed)
    fitted = FittedFirstOrder(terms, base, edges, factors, repeat)
    return fitted._balanced(summary, observed)


@dataclass(frozen=True, slots=True)
class FittedFirstOrder:
    """`base`: the mean remainder. `edges`: upper ends of the first-order value bands. `repeat` gives how an
    expectation ages while no repeat purchase comes. `boosted`: what is used in place of base and factors,
    None where the cohort mean won the `trial`."""

    terms: Terms
    base: float
    edges: tuple[float, ...]
    factors: Mapping[str, Factor]
    repeat: FittedRepeatPurchases
    name: str = FirstOrder.name
    boosted: BoostedRemainder | None = None
    trial: Trial | None = None

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def remainder_at_acquisition(self, summary: Table) -> Floats:
        """Margin expected within H after the first day, as expected on that day, discounted to it."""
        if self.boosted is not None:
            return self.boosted.remainder(summary, self.terms.timezone)
        expected = np.full(summary.num_rows, max(self.base, 0.0))
        for name, levels in _features(summary, self.edges).items():
            if name in self.factors:
                expected *= _looked_up(levels, self.factors[name].levels)
        return expected

    def score(self, summary: Table, as_of: datetime) -> Table:
        """For customers without a repeat purchase (of others it knows no more than on their first day).

        With B(T) the remainder that `bgnbd` expects of anyone silent until the age T, the customer's is
        remainder_at_acquisition × B(T) / B(0): it ages as BG/NBD says, and keeps the differences that the
        first order makes. Residual CLV likewise, over H from now.
        """
        at_acquisition = self.remainder_at_acquisition(summary)
        age = ages(summary, as_of, self.terms)
        silent = np.zeros_like(age)
        start = float(self.repeat.purchases_to_horizon(*np.zeros((3, 1)))[0])
        scale = at_acquisition / start if start > 0 else np.zeros_like(at_acquisition)
        return scores(
            summary,
            remainder=scale * self.repeat.purchases_to_horizon(silent, silent, age),
            residual=scale * self.repeat.purchases_from_now(silent, silent, age),
            basis=self.name,
            expected_orders=self.repeat.purchases_from_now(silent, silent, age, discounted=False),
        )

    def to_json(self) -> Json:
        return {
            "model": self.name,
            "terms": self.terms.to_json(),
            "base": self.base,
            "edges": list(self.edges),
            "factors": {name: asdict(factor) for name, factor in self.factors.items()},
            "repeat": self.repeat.to_json(),
            "boosted": None if self.boosted is None else self.boosted.to_json(),
            "trial": None if self.trial is None else asdict(self.trial),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FittedFirstOrder:
        return cls(
            Terms.from_json(kept["terms"]),
            kept["base"],
            tuple(kept["edges"]),
            {name: Factor(**factor) for name, factor in kept["factors"].items()},
            FittedRepeatPurchases.from_json(kept["repeat"]),
            boosted=BoostedRemainder.from_json(kept["boosted"]) if kept.get("boosted") else None,
            trial=Trial(**kept["trial"]) if kept.get("trial") else None,
        )

    def _balanced(self, summary: Table, observed: Floats) -> FittedFirstOrder:
        """The same with the base set so that expected remainders sum to those learned from."""
        mean = float(np.average(self.remainder_at_acquisition(summary), weights=observed))
        base = self.base * self.base / mean if mean > 0 else self.base
        return FittedFirstOrder(self.terms, base, self.edges, self.factors, self.repeat)


def _edges(first_values: Floats) -> tuple[float, ...]:
    values = first_values[np.isfinite(first_values)]
    if not values.size:
        return ()
    inner = np.quantile(values, np.arange(1, _BANDS) / _BANDS)
    return tuple(float(edge) for edge in np.unique(inner))


def _features(summary: Table, edges: tuple[float, ...]) -> dict[str, Array]:
    """What is known at the acquisition, as text columns; null where unknown."""
    value = numbers(summary, "first_order_value")
    bands = pa.array(np.searchsorted(np.asarray(edges), value, side="left"), mask=~np.isfinite(value))
    return {
        "value_band": pc.cast(bands, pa.string()),
        "channel": summary["channel"],
        "country": summary["country"],
        "cohort_month": pc.strftime(summary["first_day"], "%Y-%m"),
    }


def _factors(features: Mapping[str, Array], remainder: Floats, observed: Floats) -> dict[str, Factor]:
    """Factors by backfitting: each on what the others leave, in turn, three times over."""
    cut = np.minimum(remainder, np.quantile(remainder[observed > 0], _WINSOR))
    level = float(np.average(cut, weights=observed))
    if level <= 0:
        return {}
    codes = {name: _codes(values) for name, values in features.items()}
    codes = {name: coded for name, coded in codes.items() if len(coded[1]) > 1}
    effects = {name: np.ones(len(levels)) for name, (_, levels) in codes.items()}
    ks: dict[str, float | None] = {}
    for _ in range(_PASSES):
        for name, (code, levels) in codes.items():
            others = np.full(len(cut), level)
            for other, (other_code, _) in codes.items():
                if other != name:
                    others *= effects[other][other_code]
            effects[name], ks[name] = _credible(code, len(levels), cut / others, observed * others)
    return {
        name: Factor(dict(zip(levels, effects[name].tolist(), strict=True)), k)
        for name, (_, levels) in codes.items()
        if (k := ks[name]) is not None
    }


def _credible(
    code: npt.NDArray[np.int64], levels: int, ratio: Floats, exposure: Floats
) -> tuple[Floats, float | None]:
    """Bühlmann-Straub: each level's mean ratio, shrunk towards everyone's, relative to it; and k."""
    m = np.bincount(code, exposure, levels)
    total = float(m.sum())
    counted = np.bincount(code, exposure > 0, levels)
    means = np.divide(np.bincount(code, exposure * ratio, levels), m, out=np.ones(levels), where=m > 0)
    everyone = float(np.average(means, weights=m))
    freedom = float(np.maximum(counted - 1.0, 0.0).sum())
    spread = total - float((m**2).sum()) / total
    if everyone <= 0 or freedom <= 0 or spread <= 0:
        return np.ones(levels), None
    within = float((exposure * (ratio - means[code]) ** 2).sum()) / freedom
    filled = int((m > 0).sum())
    between = (float((m * (means - everyone) ** 2).sum()) - (filled - 1) * within) / spread
    if between <= 0:
        return np.ones(levels), None
    k = within / between
    credibility = m / (m + k)
    shrunk = (credibility * means + (1.0 - credibility) * everyone) / everyone
    return np.maximum(shrunk, _SMALLEST_FACTOR), k


_UNKNOWN = ""
"""The level of rows whose feature is unknown."""


def _codes(values: Array) -> tuple[npt.NDArray[np.int64], list[str]]:
    encoded = pc.dictionary_encode(pc.fill_null(values, _UNKNOWN))
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    levels: list[str] = encoded.dictionary.to_pylist()
    return np.asarray(encoded.indices, dtype=np.int64), levels


def _looked_up(values: Array, factors: Mapping[str, float]) -> Floats:
    code, levels = _codes(values)
    return np.array([factors.get(level, 1.0) for level in levels], dtype=np.float64)[code]
