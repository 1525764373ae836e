"""What every CLV model takes and gives.

Days are whole days in the business's zone: the acquisition's day is day 0, a customer's age is the day of
`as_of` less the first day, and the horizon H holds the days 0 to H. For every model

    total CLV = realised value + expected remainder between now and the acquisition + H

with both parts discounted to the acquisition, so it becomes the realised value as the horizon closes, and
residual CLV is the margin expected over H from now, discounted to now.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.config.sections import Clv
from connectors.errors import FixConfiguration
from connectors.types import Table

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Json = dict[str, Any]

DAYS_A_YEAR = 365
DAYS_A_WEEK = 7

SCORES = pa.schema(
    [
        pa.field("customer_key", pa.string(), nullable=False),
        pa.field("total_clv", pa.float64()),
        pa.field("residual_clv", pa.float64()),
        pa.field("realised_value", pa.float64(), nullable=False),
        pa.field("probability_alive", pa.float64()),
        pa.field("expected_orders", pa.float64()),
        pa.field("basis", pa.string(), nullable=False),
    ]
)
"""One customer a row, amounts in the business's currency, never negative and never NaN.

`probability_alive`: that the customer will ever buy again, null where the model cannot tell.
`expected_orders`: purchase days expected over H from now, null where the model has none. `basis`: the model
that spoke. CLV is null where the model `column` has none for the customer.
"""


class NotEnoughHistory(FixConfiguration):
    """A model cannot be fitted: too few customers have done what it learns from."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a CLV means: over which horizon, at which margin and yearly discount rate, known when, and in
    which zone days are counted."""

    horizon: timedelta
    margin: float
    discount_rate: float
    as_of: datetime
    timezone: str

    @classmethod
    def of(cls, clv: Clv, timezone: str, as_of: datetime) -> Terms:
        return cls(clv.horizon, float(clv.margin), float(clv.discount_rate), as_of, timezone)

    @property
    def horizon_days(self) -> int:
        return self.horizon.days

    @property
    def daily_rate(self) -> float:
        """The continuous discount rate a day: ln(1 + discount_rate) / 365."""
        return math.log1p(self.discount_rate) / DAYS_A_YEAR

    def day(self, instant: datetime) -> date:
        """The day of an instant in the business's zone."""
        return instant.astimezone(ZoneInfo(self.timezone)).date()

    def to_json(self) -> Json:
        return {
            "horizon_days": self.horizon / timedelta(days=1),
            "margin": self.margin,
            "discount_rate": self.discount_rate,
            "as_of": self.as_of.astimezone(UTC).isoformat(),
            "timezone": self.timezone,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Terms:
        return cls(
            timedelta(days=kept["horizon_days"]),
            kept["margin"],
            kept["discount_rate"],
            datetime.fromisoformat(kept["as_of"]),
            kept["timezone"],
        )


class FittedModel(Protocol):
    """A model with its parameters. Scores each customer by themselves, never by who else is scored."""

    @property
    def name(self) -> str: ...

    @property
    def terms(self) -> Terms: ...

    @property
    def version(self) -> str:
        """Short hash of parameters and terms."""

    def score(self, summary: Table, as_of: datetime) -> Table:
        """SCORES of a batch of SUMMARY rows that were cut at `as_of`."""

    def to_json(self) -> Json:
        """Name, terms and parameters."""


class Model(Protocol):
    """A way to learn from an order summary."""

    name: str

    def fit(self, summary: Table, terms: Terms) -> FittedModel:
        """Learn from SUMMARY rows that were cut at `terms.as_of`. Raises NotEnoughHistory."""


def version_of(kept: Json) -> str:
    """Twelve hex digits that change with any parameter or term."""
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def numbers(summary: Table, name: str) -> Floats:
    """A column as float64, NaN where null."""
    column = summary[name]
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def known(values: Floats, otherwise: float | Floats = 0.0) -> Floats:
    """`values` where they are finite, else `otherwise`."""
    return np.where(np.isfinite(values), values, otherwise)


def realised(summary: Table) -> Floats:
    """Margin so far. A customer who returned more than they kept counts as nothing, not as a loss."""
    return np.maximum(known(numbers(summary, "realised_value")), 0.0)


def ages(summary: Table, as_of: datetime, terms: Terms) -> Floats:
    """Whole days since each acquisition."""
    today = np.datetime64(terms.day(as_of), "D")
    return np.maximum((today - _days(summary, "first_day")).astype(np.float64), 0.0)


def recencies(summary: Table) -> Floats:
    """Whole days from the first purchase to the last."""
    return (_days(summary, "last_day") - _days(summary, "first_day")).astype(np.float64)


def scores(
    summary: Table,
    *,
    remainder: Floats,
    residual: Floats,
    basis: str,
    probability_alive: Floats | None = None,
    expected_orders: Floats | None = None,
) -> Table:
    """SCORES from the parts. `remainder` is discounted to the acquisition; NaN probabilities and orders
    become null."""
    so_far = realised(summary)
    rows = len(so_far)
    unknown = np.full(rows, np.nan)
    return pa.table(
        [
            summary["customer_key"],
            pa.array(so_far + remainder),
            pa.array(residual),
            pa.array(so_far),
            pa.array(unknown if probability_alive is None else probability_alive, from_pandas=True),
            pa.array(unknown if expected_orders is None else expected_orders, from_pandas=True),
            pa.array([basis], pa.string()).take(pa.array(np.zeros(rows, dtype=np.int64))),
        ],
        schema=SCORES,
    )


def _days(summary: Table, name: str) -> npt.NDArray[np.datetime64]:
    column = summary[name]
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray(pc.cast(column, pa.date32()).to_numpy(zero_copy_only=False), dtype="datetime64[D]")
