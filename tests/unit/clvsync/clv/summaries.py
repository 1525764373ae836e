"""Order summaries for the models: published, simulated and made up."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from hypothesis import strategies as st

from clvsync.clv.model import Terms
from clvsync.customers.summary import SUMMARY
from connectors.types import Table

Floats = npt.NDArray[np.float64]
EPOCH = date(2024, 1, 1)
END = datetime(2025, 12, 31, 12, tzinfo=UTC)


def terms(**changes: Any) -> Terms:
    given: dict[str, Any] = {
        "horizon": timedelta(days=365),
        "margin": 0.5,
        "discount_rate": 0.1,
        "as_of": END,
        "timezone": "UTC",
    }
    return Terms(**{**given, **changes})


def summary(**columns: Any) -> Table:
    """A SUMMARY table from plain columns; what is not given follows from the rest.

    Needs first_day, last_day and repeat_days; spending is 20 a purchase day unless said otherwise.
    """
    rows = len(columns["first_day"])
    repeats = np.asarray(columns["repeat_days"], dtype=np.int64)
    first_value = np.asarray(columns.get("first_order_value", np.full(rows, 20.0)), dtype=np.float64)
    mean = np.asarray(columns.get("mean_repeat_value", np.full(rows, 20.0)), dtype=np.float64)
    repeat_revenue = np.where(repeats > 0, mean * repeats, 0.0)
    at = [datetime.combine(day, time(12), UTC) for day in columns["first_day"]]
    last_at = [datetime.combine(day, time(12), UTC) for day in columns["last_day"]]
    full: dict[str, Any] = {
        "customer_key": [f"c{index}" for index in range(rows)],
        "first_order_key": [f"o{index}" for index in range(rows)],
        "first_order_at": at,
        "first_order_value": _money(first_value),
        "last_order_at": last_at,
        "orders": repeats + 1,
        "purchase_days": repeats + 1,
        "unvalued_orders": np.zeros(rows, dtype=np.int64),
        "revenue": _money(first_value + repeat_revenue),
        "purchases_value": _money(first_value + repeat_revenue),
        "repeat_revenue": _money(repeat_revenue),
        "first_day_margin": first_value * 0.5,
        "realised_value": (first_value + repeat_revenue) * 0.5,
        **dict.fromkeys(("channel", "country", "device", "campaign_id"), [None] * rows),
        **dict.fromkeys(("total_clv", "residual_clv"), [None] * rows),
        **columns,
        "mean_repeat_value": pa.array(mean, mask=repeats == 0),
    }
    if "first_order_value" in columns:
        full["first_order_value"] = _money(first_value)
    return pa.table({name: pa.array(full[name]).cast(SUMMARY.field(name).type) for name in SUMMARY.names})


def _money(values: Floats) -> Any:
    return pa.array(np.round(values, 4)).cast(pa.decimal128(18, 4), safe=False)


def simulated(customers: int, seed: int = 7, weeks: int = 104, **parameters: float) -> Table:
    """Customers who behave as BG/NBD and Gamma-Gamma say, acquired over the first half of `weeks` before END.

    Purchases are on whole days; those of one day are one. The first order's value is drawn like any other.
    """
    r, alpha, a, b = (parameters.get(name, value) for name, value in _PURCHASES.items())
    p, q, v = (parameters.get(name, value) for name, value in _SPEND.items())
    random = np.random.default_rng(seed)
    start = END.date() - timedelta(weeks=weeks)
    born = random.integers(0, weeks * 7 // 2, customers)
    observed = weeks * 7 - born
    rate = random.gamma(r, 1 / alpha, customers) / 7
    leaves = random.beta(a, b, customers)
    nu = random.gamma(q, 1 / v, customers)
    now = np.zeros(customers)
    last = np.zeros(customers, dtype=np.int64)
    repeats = np.zeros(customers, dtype=np.int64)
    alive = np.ones(customers, dtype=np.bool_)
    spent = np.zeros(customers)
    while alive.any():
        now = np.where(alive, now + random.exponential(1, customers) / rate, now)
        alive &= np.floor(now) <= observed
        day = np.floor(now).astype(np.int64)
        counts = alive & (day > last)
        repeats += counts
        spent += np.where(counts, random.gamma(p, 1, customers) / nu, 0.0)
        last = np.where(counts, day, last)
        alive &= random.random(customers) >= leaves
    first_days = np.datetime64(start, "D") + born
    return summary(
        first_day=first_days.tolist(),
        last_day=(first_days + last).tolist(),
        repeat_days=repeats,
        first_order_value=random.gamma(p, 1, customers) / nu,
        mean_repeat_value=spent / np.maximum(repeats, 1),
        channel=random.choice(["google", "meta", "email"], customers).tolist(),
    )


_PURCHASES = {"r": 0.4, "alpha": 6.0, "a": 0.8, "b": 2.5}
_SPEND = {"p": 6.0, "q": 4.0, "v": 15.0}


@st.composite
def any_summary(draw: st.DrawFn, rows: int = 12) -> Table:
    """As odd as a shop's data can be: refunds beyond revenue, amounts of any size, unknown values."""
    amount = st.floats(0.01, 1e9)
    age = [draw(st.integers(0, 4000)) for _ in range(rows)]
    repeats = [draw(st.integers(0, min(days, 500))) for days in age]
    last = [draw(st.integers(count, days)) if count else 0 for count, days in zip(repeats, age, strict=True)]
    first_days = [END.date() - timedelta(days=days) for days in age]
    realised = st.one_of(st.none(), st.floats(-1e6, 1e9))
    table = summary(
        first_day=first_days,
        last_day=[day + timedelta(days=after) for day, after in zip(first_days, last, strict=True)],
        repeat_days=repeats,
        first_order_value=[draw(amount) for _ in range(rows)],
        mean_repeat_value=[draw(amount) for _ in range(rows)],
        realised_value=[draw(realised) for _ in range(rows)],
        channel=[draw(st.sampled_from(["google", "meta", "new", None])) for _ in range(rows)],
        country=[draw(st.sampled_from(["DE", "", None])) for _ in range(rows)],
    )
    unvalued = [draw(st.booleans()) for _ in range(rows)]
    for name in ("first_order_value", "mean_repeat_value", "first_day_margin"):
        column = table[name].combine_chunks()
        nulled = pa.array(
            [None if hide else value for value, hide in zip(column.to_pylist(), unvalued, strict=True)]
        )
        table = table.set_column(table.column_names.index(name), name, nulled.cast(column.type))
    return table
