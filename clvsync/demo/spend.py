"""What the sample shop pays for advertising, by day and campaign."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from clvsync.demo import market
from clvsync.demo.market import ORIGINS, Columns
from clvsync.demo.purchasing import instant

DAILY_NOISE = 0.15
"""Sigma of the lognormal noise about what the day's expected new customers cost."""


def ad_spend(rng: np.random.Generator, customers: int, now: datetime) -> Columns:
    """Every day of the history and every paid campaign: expected new customers × their cost, with noise.

    Days are UTC; the last one is the part of today that is over.
    """
    hours = market.HISTORY_DAYS * 24
    starts = instant(now) - np.arange(hours, 0, -1).astype("timedelta64[h]").astype("timedelta64[us]")
    weights = market.demand(starts)
    day, which = np.unique(starts.astype("datetime64[D]"), return_inverse=True)
    expected = customers * np.bincount(which, weights=weights) / weights.sum()
    paid = tuple(origin for origin in ORIGINS if origin.cost)
    share = market.factors(paid, "share") / market.factors(ORIGINS, "share").sum()
    cost = expected[:, None] * share * market.factors(paid, "cost")
    cost = cost * rng.lognormal(-(DAILY_NOISE**2) / 2.0, DAILY_NOISE, cost.shape)
    return {
        "date": np.repeat(day, len(paid)),
        "channel": np.tile(market.words(paid, "channel"), len(day)),
        "campaign_id": np.tile(market.words(paid, "campaign_id"), len(day)),
        "campaign": np.tile(market.words(paid, "name"), len(day)),
        "cost": np.round(cost.ravel(), 2),
        "currency": np.full(cost.size, "EUR", dtype=object),
    }
