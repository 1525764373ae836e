"""How the sample shop's customers arrive, buy and drop out; and what each is truly worth.

While active, a customer orders as a Poisson process whose rate is gamma-distributed around a mean set by
the first order's features; after every order, the first included, they drop out for good with a
beta-distributed chance; order values are gamma around the customer's own average, averages inverse gamma
(gamma-gamma: Fader and Hardie, "The Gamma-Gamma Model of Monetary Value", 2013). That is the beta-geometric
story of BG/NBD (Fader, Hardie and Lee 2005), but with dropping out possible straight after the first order
(Batislam, Denizel and Filiztekin 2007): most one-time buyers of a shop are gone, not waiting. So a BG/NBD
fitted to this shop is a model of it, not its own mirror.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from clvsync.demo import market
from clvsync.demo.market import CATEGORIES, DEVICES, ORIGINS, Booleans, Floats, Instants, Integers
from clvsync.demo.places import COUNTRIES

YEAR_DAYS = 365.25
_MICROSECONDS_A_DAY = 86_400_000_000


def instant(moment: datetime) -> np.datetime64:
    """An aware datetime as datetime64[us] in UTC."""
    return np.datetime64(int(moment.timestamp() * 1_000_000), "us")


def days(amount: Floats | float) -> Any:
    """Days as timedelta64[us]; over a column, a column."""
    return np.asarray(np.asarray(amount) * _MICROSECONDS_A_DAY).astype("timedelta64[us]")


@dataclass(frozen=True, slots=True)
class Acquisitions:
    """One customer a row: what is known on the day of the first order. Indices into COUNTRIES, ORIGINS, …"""

    at: Instants
    country: Integers
    origin: Integers
    device: Integers
    category: Integers
    discounted: Booleans

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Nature:
    """One customer a row: what the shop never sees. Rate in orders a year while active, mean value in EUR."""

    rate: Floats
    dropout: Floats
    mean_value: Floats


def arrival_times(rng: np.random.Generator, customers: int, now: datetime) -> Instants:
    """Sorted times of first orders over the history, which ends at `now`."""
    hours = market.HISTORY_DAYS * 24
    starts = instant(now) - np.arange(hours, 0, -1).astype("timedelta64[h]").astype("timedelta64[us]")
    weights = market.demand(starts)
    chosen = rng.choice(hours, size=customers, p=weights / weights.sum())
    within = rng.integers(0, 3_600_000_000, size=customers).astype("timedelta64[us]")
    return np.sort(starts[chosen] + within)


def acquire(rng: np.random.Generator, at: Instants) -> Acquisitions:
    """Customers won at the given times."""
    customers = len(at)
    origin = rng.choice(len(ORIGINS), size=customers, p=market.shares(ORIGINS))
    category = rng.choice(len(CATEGORIES), size=customers, p=market.shares(CATEGORIES))
    for theme, name in (("tents", "tents"), ("climbing", "climbing"), ("Climbing", "climbing")):
        themed = np.array([theme in part.name for part in ORIGINS])[origin]
        index = [part.name for part in CATEGORIES].index(name)
        category = np.where(themed & (rng.random(customers) < 0.7), index, category)
    return Acquisitions(
        at=at,
        country=rng.choice(len(COUNTRIES), size=customers, p=market.shares(COUNTRIES)),
        origin=origin,
        device=rng.choice(len(DEVICES), size=customers, p=market.shares(DEVICES)),
        category=category,
        discounted=rng.random(customers) < market.factors(ORIGINS, "discounted")[origin],
    )


def natures(rng: np.random.Generator, acquired: Acquisitions) -> Nature:
    """Draw each customer's nature around the means that their first order's features set."""
    customers = len(acquired)
    mean_rate = (
        market.PURCHASE_RATE
        * market.factors(ORIGINS, "loyalty")[acquired.origin]
        * market.factors(CATEGORIES, "loyalty")[acquired.category]
        * market.factors(DEVICES, "loyalty")[acquired.device]
        * market.factors(COUNTRIES, "loyalty")[acquired.country]
        * np.where(acquired.discounted, market.DISCOUNT_LOYALTY, 1.0)
    )
    shape = market.PURCHASE_RATE_SHAPE
    mean_dropout = market.factors(ORIGINS, "dropout")[acquired.origin] + np.where(
        acquired.discounted, market.DISCOUNT_DROPOUT, 0.0
    )
    both = market.DROPOUT_CONCENTRATION
    mean_value = (
        market.ORDER_VALUE
        * market.factors(ORIGINS, "basket")[acquired.origin]
        * market.factors(DEVICES, "basket")[acquired.device]
        * market.factors(COUNTRIES, "basket")[acquired.country]
    )
    inverse = market.CUSTOMER_VALUE_SHAPE
    return Nature(
        rate=mean_rate * rng.gamma(shape, 1.0 / shape, customers),
        dropout=rng.beta(mean_dropout * both, (1.0 - mean_dropout) * both),
        mean_value=mean_value * (inverse - 1.0) / rng.gamma(inverse, 1.0, customers),
    )


def order_values(
    rng: np.random.Generator, mean_value: Floats, category: Integers, discounted: Booleans, *, repeat: bool
) -> Floats:
    """EUR, net, to the cent. Repeat orders average to the customer's own mean over categories and
    discounts."""
    price = market.factors(CATEGORIES, "price")
    price = price / (price @ market.shares(CATEGORIES))
    shape = market.ORDER_VALUE_SHAPE
    values = mean_value * price[category] * rng.gamma(shape, 1.0 / shape, len(mean_value))
    values = np.where(discounted, values * (1.0 - market.DISCOUNT), values)
    if repeat:
        values = values / (1.0 - market.REPEAT_DISCOUNTED * market.DISCOUNT)
    return np.asarray(np.maximum(np.round(values, 2), 2.0), np.float64)


def repeat_orders(rng: np.random.Generator, nature: Nature, years: Floats) -> tuple[Integers, Floats]:
    """Repeat orders within `years` after each customer's first: (customer index, years after the first)."""
    orders_until_dropout = rng.geometric(np.maximum(nature.dropout, 1e-4))
    # More orders than this within the history would be beyond eight standard deviations.
    reachable = np.ceil(nature.rate * years + 8.0 * np.sqrt(nature.rate * years) + 8.0).astype(np.int64)
    repeats = np.minimum(orders_until_dropout - 1, reachable)
    customer = np.repeat(np.arange(len(repeats)), repeats)
    elapsed = np.cumsum(rng.exponential(1.0 / nature.rate[customer]))
    before = np.concatenate(([0.0], elapsed))[np.cumsum(repeats) - repeats]
    since_first = elapsed - before[customer]
    kept = since_first <= years[customer]
    return customer[kept], since_first[kept]


def expected_repeats(nature: Nature, *, horizon_days: float, discount_rate: float) -> Floats:
    """Expected repeat orders within the horizon, each discounted to the first order.

    With λ the rate, p the dropout and δ = ln(1 + discount rate): orders while active are a Poisson process
    thinned by dropping out, so the intensity t years after the first order is λ(1-p)·exp(-λpt), and its
    discounted integral over H years is λ(1-p)·(1 - exp(-(λp + δ)H)) ÷ (λp + δ).
    """
    horizon = horizon_days / YEAR_DAYS
    decay = np.maximum(nature.rate * nature.dropout + np.log1p(discount_rate), 1e-12)
    start = nature.rate * (1.0 - nature.dropout)
    return np.asarray(start * -np.expm1(-decay * horizon) / decay, np.float64)


def expected_total_clv(nature: Nature, first_value: Floats) -> Floats:
    """EUR, counted from the acquisition: margin × what is kept of (first order + expected repeats × mean)."""
    repeats = expected_repeats(nature, horizon_days=market.HORIZON_DAYS, discount_rate=market.DISCOUNT_RATE)
    return market.MARGIN * market.KEPT_SHARE * (first_value + repeats * nature.mean_value)
