"""The sample shop's market: what we assume about channels, campaigns, products and margins.

Every figure here is an assumption of ours, chosen to look like a mid-sized outdoor shop; none is measured.
What matters is their order: campaigns that win customers cheaply, with discounts, win those who do not come
back; a large first basket (a tent) is often the only one, a small one (climbing gear) the first of many.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Instants = npt.NDArray[np.datetime64]
"""datetime64[us], UTC."""
Strings = npt.NDArray[Any]
"""str or None, dtype object."""
Columns = dict[str, npt.NDArray[Any]]

MARGIN = 0.42
DISCOUNT_RATE = 0.10
"""A year."""
HORIZON_DAYS = 365
HISTORY_DAYS = 730
YEARLY_GROWTH = 1.35

EXCHANGE_RATES: dict[str, Decimal] = {
    "USD": Decimal("0.92"),
    "GBP": Decimal("1.17"),
    "CHF": Decimal("1.05"),
    "PLN": Decimal("0.23"),
}
"""What one unit is worth in EUR, the same throughout."""

PURCHASE_RATE = 2.6
"""Orders a year of the average customer while active."""
PURCHASE_RATE_SHAPE = 1.6
"""Gamma shape of what first-order features leave open; smaller differs more."""
DROPOUT_CONCENTRATION = 6.0
"""Beta a + b of the chance of dropping out after an order."""
ORDER_VALUE = 84.0
"""EUR, net, of the average customer's average order."""
ORDER_VALUE_SHAPE = 4.0
"""Gamma shape of one customer's orders about their own average."""
CUSTOMER_VALUE_SHAPE = 6.0
"""Gamma shape of customers' inverse averages: the second half of gamma-gamma."""

DISCOUNT = 0.20
"""Off the list price, on discounted orders."""
REPEAT_DISCOUNTED = 0.15
"""Share of repeat orders with a discount."""
DISCOUNT_LOYALTY = 0.75
"""Times the purchase rate of customers won with a discount."""
DISCOUNT_DROPOUT = 0.10
"""Added to their chance of dropping out after each order."""

REFUND_RATE = 0.06
REFUND_WHOLE = 0.7
"""Share of refunds that are of the whole order; the others are of half of it."""
KEPT_SHARE = 1.0 - REFUND_RATE * (REFUND_WHOLE + (1.0 - REFUND_WHOLE) / 2.0)
"""Expected share of an order's value that is not refunded."""

ClickKind = Literal["google", "meta"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where customers come from: a paid campaign, or a channel without one.

    `share` of first orders; `repeat_share` of repeat orders; `loyalty` and `basket` are times the average
    purchase rate and order value; `dropout` the mean chance of dropping out after an order; `discounted` the
    share of first orders with a discount; `cost` EUR paid for each new customer.
    """

    channel: str
    name: str
    share: float
    repeat_share: float
    loyalty: float
    basket: float
    dropout: float
    discounted: float
    cost: float = 0.0
    campaign_id: str | None = None
    clicks: ClickKind | None = None


ORIGINS: tuple[Origin, ...] = (
    Origin("organic", "organic", 0.20, 0.15, 1.15, 1.05, 0.28, 0.05),
    Origin("direct", "direct", 0.12, 0.31, 1.40, 1.10, 0.24, 0.04),
    Origin("email", "newsletter", 0.06, 0.34, 1.60, 1.00, 0.22, 0.25),
    Origin("google", "Search brand", 0.09, 0.08, 1.30, 1.05, 0.26, 0.06, 9.0, "20514700011", "google"),
    Origin("google", "Search tents", 0.07, 0.02, 0.75, 1.45, 0.36, 0.08, 41.0, "20514700012", "google"),
    Origin("google", "Search climbing", 0.05, 0.01, 1.85, 1.00, 0.22, 0.05, 47.0, "20514700013", "google"),
    Origin("google", "Shopping sale", 0.08, 0.02, 0.40, 0.70, 0.50, 0.70, 15.0, "20514700014", "google"),
    Origin("google", "Performance Max", 0.07, 0.01, 0.80, 0.90, 0.38, 0.20, 29.0, "20514700015", "google"),
    Origin("meta", "Advantage+ sale", 0.09, 0.01, 0.42, 0.75, 0.50, 0.60, 17.0, "120210000000010021", "meta"),
    Origin("meta", "Lookalike trail", 0.06, 0.01, 1.00, 1.00, 0.33, 0.15, 33.0, "120210000000010022", "meta"),
    Origin("meta", "Climbing reels", 0.04, 0.01, 1.70, 1.05, 0.25, 0.08, 38.0, "120210000000010023", "meta"),
    Origin("affiliate", "Coupons", 0.07, 0.03, 0.35, 0.75, 0.52, 0.90, 12.0, "coupons"),
)

AD_GROUPS_PER_CAMPAIGN = 3
ADS_PER_AD_GROUP = 3


@dataclass(frozen=True, slots=True)
class Category:
    """`price` is times the average order value."""

    name: str
    share: float
    price: float
    loyalty: float
    landing_page: str


CATEGORIES: tuple[Category, ...] = (
    Category("clothing", 0.34, 0.95, 1.10, "jackets"),
    Category("footwear", 0.22, 1.25, 0.80, "boots"),
    Category("tents", 0.12, 2.30, 0.45, "tents"),
    Category("climbing", 0.14, 0.85, 1.70, "climbing"),
    Category("accessories", 0.18, 0.38, 1.00, "accessories"),
)


@dataclass(frozen=True, slots=True)
class Device:
    """`ios`: clicks may carry a braid in place of a gclid."""

    name: str
    share: float
    loyalty: float
    basket: float
    ios: bool
    user_agent: str


DEVICES: tuple[Device, ...] = (
    Device(
        "desktop",
        0.40,
        1.15,
        1.15,
        False,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    ),
    Device(
        "mobile",
        0.28,
        0.85,
        0.85,
        False,
        "Mozilla/5.0 (Linux; Android 15) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36",
    ),
    Device(
        "mobile",
        0.25,
        1.00,
        1.05,
        True,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) "
        "AppleWebKit/605.1.15 Version/19.1 Mobile Safari/604.1",
    ),
    Device(
        "tablet",
        0.07,
        1.00,
        1.05,
        True,
        "Mozilla/5.0 (iPad; CPU OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.1 Mobile Safari/604.1",
    ),
)

_MONTHS = np.array([0.80, 0.80, 0.95, 1.10, 1.20, 1.15, 1.05, 0.95, 0.90, 0.90, 1.15, 1.25])
_WEEKDAYS = np.array([1.05, 1.0, 0.97, 0.97, 0.95, 0.95, 1.15])
_HOURS = np.array([2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 10, 9, 9, 9, 10, 11, 13, 15, 16, 14, 9, 5]) / 100.0


def demand(hours: Instants) -> Floats:
    """How many first orders each hour draws, relative: growth, month, weekday (Monday first), hour (UTC)."""
    days = hours.astype("datetime64[D]")
    month = hours.astype("datetime64[M]").astype(np.int64) % 12
    weekday = (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
    hour = (hours - days).astype("timedelta64[h]").astype(np.int64)
    years = (hours - hours[0]).astype("timedelta64[h]").astype(np.float64) / (24 * 365.25)
    return np.asarray(YEARLY_GROWTH**years * _MONTHS[month] * _WEEKDAYS[weekday] * _HOURS[hour], np.float64)


def factors(parts: tuple[Any, ...], name: str) -> Floats:
    """One factor of every origin, category, device or country, as a column to index."""
    return np.array([getattr(part, name) for part in parts], dtype=np.float64)


def words(parts: tuple[Any, ...], name: str) -> Strings:
    return np.array([getattr(part, name) for part in parts], dtype=object)


def shares(parts: tuple[Any, ...], name: str = "share") -> Floats:
    weights = factors(parts, name)
    return np.asarray(weights / weights.sum(), np.float64)
