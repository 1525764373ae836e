"""The models `historical` and `average`: yardsticks that any other model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from clvsync.clv.model import (
    DAYS_A_YEAR,
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
from connectors.types import Table


class Historical:
    """Purchase frequency × average purchase value × margin, carried on at its past rate: the customer-based
    way. It takes no account of customers who have left, and so overstates those who were busy once."""

    name = "historical"

    def fit(self, summary: Table, terms: Terms) -> FittedHistorical:  # noqa: ARG002
        """Nothing to learn: each customer's own past is all it knows."""
        return FittedHistorical(terms)


@dataclass(frozen=True, slots=True)
class FittedHistorical:
    """The yearly rate is net revenue ÷ age, for ages below `shortest_age` days ÷ that, so that a customer of
    yesterday is not taken to buy every day."""

    terms: Terms
    shortest_age: int = 90
    name: str = Historical.name

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def score(self, summary: Table, as_of: datetime) -> Table:
        age = ages(summary, as_of, self.terms)
        observed = np.maximum(age, self.shortest_age)
        margin = np.maximum(known(numbers(summary, "revenue")), 0.0) * self.terms.margin / observed
        horizon = np.full_like(age, self.terms.horizon_days)
        return scores(
            summary,
            remainder=margin * discounted_days(age, np.maximum(horizon, age), self.terms.daily_rate),
            residual=margin * discounted_days(np.zeros_like(age), horizon, self.terms.daily_rate),
            basis=self.name,
            expected_orders=numbers(summary, "purchase_days") / observed * self.terms.horizon_days,
        )

    def to_json(self) -> Json:
        return {"model": self.name, "terms": self.terms.to_json(), "shortest_age": self.shortest_age}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FittedHistorical:
        return cls(Terms.from_json(kept["terms"]), kept["shortest_age"])


class Average:
    """Average yearly profit × average years retained, the same for everyone: a first estimate for a business
    that knows no more. The years are what the business states."""

    name = "average"

    def __init__(self, years_retained: float) -> None:
        if years_retained <= 0:
            raise ValueError("years retained has to be above zero")
        self._years = years_retained

    def fit(self, summary: Table, terms: Terms) -> FittedAverage:
        """The yearly profit is net revenue × margin over the years that customers have been observed, each at
        most the years retained. Raises NotEnoughHistory without a customer older than a day."""
        age = ages(summary, terms.as_of, terms)
        years = float(np.minimum(age / DAYS_A_YEAR, self._years).sum())
        if years <= 0:
            raise NotEnoughHistory(
                "clv", "no customer is older than a day", "Map an order history of at least a few months."
            )
        revenue = float(np.nansum(numbers(summary, "revenue")))
        return FittedAverage(terms, max(revenue, 0.0) * terms.margin / years, self._years)


@dataclass(frozen=True, slots=True)
class FittedAverage:
    """`yearly_profit`: margin a customer and year. Nothing is expected beyond the years retained, which are
    capped by the horizon."""

    terms: Terms
    yearly_profit: float
    years_retained: float
    name: str = Average.name

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def score(self, summary: Table, as_of: datetime) -> Table:
        age = ages(summary, as_of, self.terms)
        leaves = np.full_like(age, self.years_retained * DAYS_A_YEAR)
        until = np.minimum(leaves, self.terms.horizon_days)
        left = np.minimum(np.maximum(leaves - age, 0.0), self.terms.horizon_days)
        daily = self.yearly_profit / DAYS_A_YEAR
        rate = self.terms.daily_rate
        return scores(
            summary,
            remainder=daily * discounted_days(age, np.maximum(until, age), rate),
            residual=daily * discounted_days(np.zeros_like(age), left, rate),
            basis=self.name,
        )

    def to_json(self) -> Json:
        return {
            "model": self.name,
            "terms": self.terms.to_json(),
            "yearly_profit": self.yearly_profit,
            "years_retained": self.years_retained,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FittedAverage:
        return cls(Terms.from_json(kept["terms"]), kept["yearly_profit"], kept["years_retained"])


def discounted_days(first: Floats, last: Floats, daily_rate: float) -> Floats:
    """∫ e^(-rate · s) ds from `first` to `last`, in days: what one a day is worth at day 0."""
    if daily_rate == 0:
        return last - first
    return (np.exp(-daily_rate * first) - np.exp(-daily_rate * last)) / daily_rate
