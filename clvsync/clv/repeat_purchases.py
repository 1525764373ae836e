"""The model `bgnbd`: expected purchases (BG/NBD) × expected value (Gamma-Gamma) × margin, discounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from clvsync.clv import bgnbd, gamma_gamma
from clvsync.clv.bgnbd import BgNbd
from clvsync.clv.gamma_gamma import GammaGamma
from clvsync.clv.model import (
    DAYS_A_WEEK,
    Floats,
    Json,
    NotEnoughHistory,
    Terms,
    ages,
    known,
    numbers,
    recencies,
    scores,
    version_of,
)
from connectors.types import Table

FEWEST_REPEATERS = 20
"""With fewer customers who came back, seven parameters are noise."""


class RepeatPurchases:
    """Learns from recency, frequency and value."""

    name = "bgnbd"

    def fit(self, summary: Table, terms: Terms) -> FittedRepeatPurchases:
        """Fit both models by maximum likelihood (on at most estimation.LARGEST_SAMPLE customers).

        Gamma-Gamma learns from positive orders alone. What refunds take off is one share for the business,
        net revenue ÷ value of purchases, applied to what is still expected.
        """
        x = numbers(summary, "repeat_days")
        mean = numbers(summary, "mean_repeat_value")
        spent = (x > 0) & (known(mean) > 0)
        if int(spent.sum()) < FEWEST_REPEATERS:
            raise NotEnoughHistory(
                "clv",
                f"only {int(spent.sum())} customers have bought on a second day, "
                f"and the model bgnbd needs {FEWEST_REPEATERS}",
                "Use the model `column` until more have, or map a longer order history.",
            )
        age = ages(summary, terms.as_of, terms) / DAYS_A_WEEK
        recency = recencies(summary) / DAYS_A_WEEK
        bought = float(np.nansum(numbers(summary, "purchases_value")))
        kept = float(np.nansum(numbers(summary, "revenue"))) / bought if bought > 0 else 1.0
        return FittedRepeatPurchases(
            terms,
            bgnbd.fit(x, np.minimum(recency, age), age),
            gamma_gamma.fit(x[spent], mean[spent]),
            min(max(kept, 0.0), 1.0),
        )


@dataclass(frozen=True, slots=True)
class FittedRepeatPurchases:
    """`share_kept`: share of purchases' value that is not refunded.

    A customer without a repeat purchase is alive with probability 1 in BG/NBD, which says nothing of them:
    their `probability_alive` is null. Without knowledge of the first order, their expected remainder differs
    by age alone; the model `first_order` tells them apart.
    """

    terms: Terms
    purchases: BgNbd
    spend: GammaGamma
    share_kept: float
    name: str = RepeatPurchases.name

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def score(self, summary: Table, as_of: datetime) -> Table:
        x = numbers(summary, "repeat_days")
        age = ages(summary, as_of, self.terms)
        recency = np.minimum(recencies(summary), age)
        mean = numbers(summary, "mean_repeat_value")
        spent = (x > 0) & (known(mean) > 0)
        margin = self.margin_a_purchase(np.where(spent, x, 0.0), mean)
        return scores(
            summary,
            remainder=margin * self.purchases_to_horizon(x, recency, age),
            residual=margin * self.purchases_from_now(x, recency, age),
            basis=self.name,
            probability_alive=np.where(x > 0, self._alive(x, recency, age), np.nan),
            expected_orders=self.purchases_from_now(x, recency, age, discounted=False),
        )

    def margin_a_purchase(self, x: Floats, mean: Floats) -> Floats:
        """Expected margin of one purchase day, refunds taken off."""
        return self.terms.margin * self.share_kept * self.spend.expected_value(x, mean)

    def purchases_to_horizon(self, x: Floats, recency: Floats, age: Floats) -> Floats:
        """Purchases expected until the acquisition + H, discounted to the acquisition. Times in days."""
        left = np.maximum(self.terms.horizon_days - age, 0.0)
        until_now = np.exp(-self.terms.daily_rate * age)
        return until_now * self._expected(x, recency, age, left, self.terms.daily_rate)

    def purchases_from_now(
        self, x: Floats, recency: Floats, age: Floats, *, discounted: bool = True
    ) -> Floats:
        """Purchases expected over H from now, discounted to now. Times in days."""
        period = np.full_like(age, self.terms.horizon_days)
        return self._expected(x, recency, age, period, self.terms.daily_rate if discounted else 0.0)

    def to_json(self) -> Json:
        return {
            "model": self.name,
            "terms": self.terms.to_json(),
            "bgnbd": asdict(self.purchases),
            "gamma_gamma": asdict(self.spend),
            "share_kept": self.share_kept,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FittedRepeatPurchases:
        return cls(
            Terms.from_json(kept["terms"]),
            BgNbd(**kept["bgnbd"]),
            GammaGamma(**kept["gamma_gamma"]),
            kept["share_kept"],
        )

    def _alive(self, x: Floats, recency: Floats, age: Floats) -> Floats:
        return self.purchases.probability_alive(x, recency / DAYS_A_WEEK, age / DAYS_A_WEEK)

    def _expected(self, x: Floats, recency: Floats, age: Floats, period: Floats, daily_rate: float) -> Floats:
        return self.purchases.expected_purchases(
            x,
            recency / DAYS_A_WEEK,
            age / DAYS_A_WEEK,
            period / DAYS_A_WEEK,
            daily_rate * DAYS_A_WEEK,
        )
