"""What a value policy does: to the distribution, to the total against revenue, and to what platforms need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.value.policies import Amounts
from connectors.types import Array

DISTINCT_VALUES_NEEDED = 5
SPREAD_NEEDED = 3.0
"""Meta, Conversions API guide "Predicted lifetime value" (July 2026): at least five distinct positive values,
the highest at least three times the lowest."""

_BARS = 12
_LAST_BAR_FROM = 0.98
"""The last bar holds the highest two percent, so that one whale does not make all others one bar."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How values differ. `ready` is Meta's requirement for predicted lifetime value."""

    rows: int
    total: Decimal
    distinct: int
    lowest: Decimal
    median: Decimal
    highest: Decimal
    tenth_ratio: float | None
    """Mean of the top tenth ÷ mean of the bottom tenth."""

    @property
    def ready(self) -> bool:
        return (
            self.distinct >= DISTINCT_VALUES_NEEDED
            and self.lowest > 0
            and float(self.highest) >= SPREAD_NEEDED * float(self.lowest)
        )

    @property
    def wanting(self) -> str:
        """What is missing for `ready`, in one sentence; empty where nothing is."""
        if self.lowest <= 0:
            return "some values are 0, and only positive ones count: set a floor"
        if self.distinct < DISTINCT_VALUES_NEEDED:
            return f"{DISTINCT_VALUES_NEEDED} distinct values are needed, and there are {self.distinct}"
        if not self.ready:
            times = float(self.highest / self.lowest)
            return f"the highest has to be {SPREAD_NEEDED:g} times the lowest, and is {times:.1f} times it"
        return ""

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "distinct": self.distinct,
            "lowest": self.lowest,
            "median": self.median,
            "highest": self.highest,
            "tenth_ratio": self.tenth_ratio,
            "ready_for_value_bidding": self.ready,
            "wanting": self.wanting,
        }


@dataclass(frozen=True, slots=True)
class Decile:
    """A tenth of the rows by worth, the lowest first: means of worth, value and revenue (None: unknown)."""

    rows: int
    worth: float
    value: float
    revenue: float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Rows whose value is at least `low` and below `high` (in the last bar: at most `high`)."""

    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class Effect:
    """A policy's effect on rows whose worth and value are known. `worth` and `revenue` are sums in the
    business's currency, `value` in the currency sent, `value_in_own` the same in the business's.

    `revenue` is that of the conversions' own orders, None where the rows are no conversions.
    """

    rows: int
    worth: float
    value: Decimal
    value_in_own: float
    revenue: float | None
    deciles: Sequence[Decile]
    bars: Sequence[Bar]

    @property
    def to_revenue(self) -> float | None:
        """Σ value ÷ Σ revenue: what bidding by value would have to get used to; 1 changes nothing."""
        return self.value_in_own / self.revenue if self.revenue else None

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "worth": round(self.worth, 2),
            "value": self.value,
            "revenue": None if self.revenue is None else round(self.revenue, 2),
            "value_to_revenue": None if self.to_revenue is None else round(self.to_revenue, 4),
            "deciles": [
                {
                    "rows": decile.rows,
                    "worth": round(decile.worth, 2),
                    "value": round(decile.value, 2),
                    "revenue": None if decile.revenue is None else round(decile.revenue, 2),
                }
                for decile in self.deciles
            ],
            "histogram": [{"from": bar.low, "to": bar.high, "rows": bar.rows} for bar in self.bars],
        }


def spread(sent: Array) -> Spread | None:
    """How a column of values (MONEY) differs; None where there is none."""
    ordered = np.sort(np.asarray(pc.cast(pc.drop_null(sent), pa.float64())))
    if not ordered.size:
        return None
    tenth = max(ordered.size // 10, 1)
    bottom = float(ordered[:tenth].mean())
    return Spread(
        rows=int(ordered.size),
        total=pc.sum(sent).as_py(),
        distinct=int(pc.count_distinct(sent).as_py()),
        lowest=pc.min(sent).as_py(),
        median=Decimal(str(round(float(np.median(ordered)), 4))),
        highest=pc.max(sent).as_py(),
        tenth_ratio=float(ordered[-tenth:].mean()) / bottom if bottom > 0 else None,
    )


def effect(worth: Amounts, sent: Array, revenue: Amounts, rate: Decimal) -> Effect | None:
    """What became of `worth` (business's currency) in `sent` (MONEY, one unit of it worth `rate`), beside the
    orders' own `revenue`. Rows without worth or value are left out; None where none is left."""
    if isinstance(sent, pa.ChunkedArray):
        sent = sent.combine_chunks()
    known = np.isfinite(worth) & np.asarray(pc.is_valid(sent))
    if not known.any():
        return None
    sent = sent.filter(pa.array(known))
    worth, revenue = worth[known], revenue[known]
    amounts = np.asarray(pc.cast(sent, pa.float64()))
    has_revenue = bool(np.isfinite(revenue).any())
    total: Decimal = pc.sum(sent).as_py()
    deciles = [
        Decile(
            rows=int(tenth.size),
            worth=float(worth[tenth].mean()),
            value=float(amounts[tenth].mean()),
            revenue=float(np.nan_to_num(revenue[tenth]).mean()) if has_revenue else None,
        )
        for tenth in np.array_split(np.argsort(worth, kind="stable"), min(10, worth.size))
    ]
    return Effect(
        rows=int(worth.size),
        worth=float(worth.sum()),
        value=total,
        value_in_own=float(total * rate),
        revenue=float(np.nansum(revenue)) if has_revenue else None,
        deciles=deciles,
        bars=_bars(amounts),
    )


def _bars(amounts: Amounts) -> list[Bar]:
    """One bar for each value where they are few, else bars of equal width and a last one for the highest."""
    distinct, counts = np.unique(amounts, return_counts=True)
    if distinct.size <= _BARS:
        return [Bar(float(at), float(at), int(rows)) for at, rows in zip(distinct, counts, strict=True)]
    low, high = float(distinct[0]), float(distinct[-1])
    knee = float(np.quantile(amounts, _LAST_BAR_FROM))
    edges = np.linspace(low, knee if knee > low else high, _BARS)
    edges = np.append(edges, high) if high > edges[-1] else edges
    rows, _ = np.histogram(amounts, edges)
    return [Bar(float(edges[at]), float(edges[at + 1]), int(rows[at])) for at in range(len(rows))]
