"""Tried on the past: fitted on what was known at a cut-off, judged on what came after it.

Everything is undiscounted and within one window: the models are fitted with the window as their horizon and
a discount rate of 0, so that what they predict is what can be counted. Three groups are judged:

- `all`: known at the cut-off; their margin within the window after it is predicted (residual CLV);
- `new`: those of them with a single purchase day;
- `acquired`: won after the cut-off, so that no model has seen anybody of them, and scored as on their first
  day, from what is known with the first order alone; their margin within the window from that day is
  predicted (total CLV). It is what bids are made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from clvsync.clv.chance import bias_error, gini_gap_error
from clvsync.clv.model import FittedModel, Floats, Json, Terms, known, numbers
from clvsync.clv.validation import Validation, validate
from clvsync.customers.mapping import FEATURE
from connectors.types import MONEY, Table


class Group(StrEnum):
    """Whose predictions are judged."""

    ALL = "all"
    NEW = "new"
    ACQUIRED = "acquired"


KNOWN_AT_ACQUISITION = (
    "customer_key",
    "first_order_key",
    "first_order_at",
    "first_order_value",
    "first_day",
    "first_day_margin",
    "channel",
    "country",
    "device",
    "campaign_id",
)
"""Columns of SUMMARY that a first day leaves as they are, as it does the configured features of the
acquisition (FEATURE). The country is the customer's as it is now."""


@dataclass(frozen=True, slots=True)
class Past:
    """One cut-off, with `terms.as_of` its last instant and `terms.horizon` the window.

    `summary`: SUMMARY rows cut there. `came`: the margin that each brought within the window after it, in the
    same order. `acquired`: SUMMARY rows of customers won after it, cut when their window had passed.
    """

    terms: Terms
    summary: Table
    came: Floats
    acquired: Table


@dataclass(frozen=True, slots=True)
class Trial:
    """What one model predicted of a group at one cut-off, and what came, customer by customer."""

    model: str
    group: Group
    predicted: Floats
    actual: Floats


@dataclass(frozen=True, slots=True)
class Quality:
    """How good predictions were: Validation's figures, `buyers` of whom anything came, and by tenth, from the
    highest predicted to the lowest, the customers with mean predicted and actual margin. `bias_error`: the
    standard error of `bias`; `gap_error`: that of this Gini less that of the model it was laid beside, None
    without one."""

    customers: int
    buyers: int
    predicted: float
    actual: float
    bias: float | None
    bias_error: float | None
    mean_absolute_error: float
    spearman: float | None
    gini: float | None
    gap_error: float | None
    top_fifth: float | None
    tenths: tuple[tuple[int, float, float], ...]

    @classmethod
    def of(cls, trials: Sequence[Trial], beside: Sequence[Trial] = ()) -> Quality:
        """Of one model and group, the cut-offs taken together; `beside` are another model's at the same.

        A customer who was known at several cut-offs counts at each, so that errors are, if anything, too
        small. Raises ValueError without a customer.
        """
        predicted = np.concatenate([trial.predicted for trial in trials] or [np.zeros(0)])
        actual = np.concatenate([trial.actual for trial in trials] or [np.zeros(0)])
        other = np.concatenate([trial.predicted for trial in beside]) if beside else None
        found: Validation = validate(predicted, actual)
        tenths = found.tenths.select(["customers", "predicted", "actual"]).to_pylist()
        return cls(
            customers=found.customers,
            buyers=int((actual > 0).sum()),
            predicted=found.predicted,
            actual=found.actual,
            bias=found.total_bias,
            bias_error=bias_error(predicted, actual),
            mean_absolute_error=found.mean_absolute_error,
            spearman=found.spearman,
            gini=found.gini,
            gap_error=None if other is None else gini_gap_error(predicted, other, actual),
            top_fifth=found.top_fifth,
            tenths=tuple((row["customers"], row["predicted"], row["actual"]) for row in tenths),
        )

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Quality:
        tenths = tuple((int(rows), float(told), float(came)) for rows, told, came in kept["tenths"])
        return cls(**{**kept, "tenths": tenths})


def backtest(models: Mapping[str, FittedModel], past: Past) -> list[Trial]:
    """Models by name, fitted on the past's summary and terms, judged on what came after it."""
    trials: list[Trial] = []
    new = numbers(past.summary, "repeat_days") < 1
    first_days = at_acquisition(past.acquired, past.terms)
    total = known(numbers(past.acquired, "realised_value"))
    for name, fitted in models.items():
        residual = known(numbers(fitted.score(past.summary, past.terms.as_of), "residual_clv"))
        trials.append(Trial(name, Group.ALL, residual, past.came))
        if new.any():
            trials.append(Trial(name, Group.NEW, residual[new], past.came[new]))
        if len(total):
            # As of the cut-off nobody of them is a day old.
            scored = fitted.score(first_days, past.terms.as_of)
            trials.append(Trial(name, Group.ACQUIRED, known(numbers(scored, "total_clv")), total))
    return trials


def at_acquisition(summary: Table, terms: Terms) -> Table:
    """SUMMARY rows as they were at the end of each customer's first day: one purchase day and its margin.

    What that day did not know is set to what it was then, or to null.
    """
    rows = summary.num_rows
    first_day = numbers(summary, "first_day_margin")
    bought = pa.array(first_day / terms.margin, from_pandas=True).cast(MONEY, safe=False)
    one, none = (pa.array(np.full(rows, count, dtype=np.int64)) for count in (1, 0))
    then: dict[str, Any] = {
        "last_order_at": summary["first_order_at"],
        "last_day": summary["first_day"],
        "orders": one,
        "purchase_days": one,
        "repeat_days": none,
        "unvalued_orders": none,
        "revenue": bought,
        "purchases_value": bought,
        "realised_value": pa.array(first_day, from_pandas=True),
        **{name: summary[name] for name in KNOWN_AT_ACQUISITION},
    }
    then |= {name: summary[name] for name in summary.column_names if name.startswith(FEATURE)}
    columns = [then.get(field.name, pa.nulls(rows, field.type)) for field in summary.schema]
    return pa.table(columns, schema=summary.schema)
