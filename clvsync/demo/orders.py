"""The sample shop's orders as rows: values in the customer's currency, the visit, refunds and free samples.

Beside the columns of the table, rows carry `first` (the order that won the customer) and `value` (EUR).
"""

from __future__ import annotations

from datetime import datetime

import numpy as np

from clvsync.demo import market, purchasing
from clvsync.demo.clicks import visits
from clvsync.demo.market import (
    CATEGORIES,
    DEVICES,
    ORIGINS,
    Booleans,
    Columns,
    Floats,
    Instants,
    Integers,
    Strings,
)
from clvsync.demo.places import COUNTRIES
from clvsync.demo.purchasing import Acquisitions, Nature, days, instant
from clvsync.demo.tables import keys

REFUND_AFTER_DAYS = (2.0, 21.0)
SAMPLE_SHARE = 0.005
"""Share of customers who were sent a free sample before their first order: an order of nothing."""


def first_orders(
    rng: np.random.Generator, customer_id: Strings, acquired: Acquisitions, value: Floats
) -> Columns:
    """The order that won each customer."""
    return _rows(
        rng,
        customer_id,
        acquired.country,
        acquired.at,
        value,
        origin=acquired.origin,
        device=acquired.device,
        category=acquired.category,
        discounted=acquired.discounted,
        first=True,
    )


def repeat_orders(
    rng: np.random.Generator, customer_id: Strings, country: Integers, at: Instants, mean_value: Floats
) -> Columns:
    """Orders of existing customers at the given times, around each one's own mean value in EUR."""
    size = len(at)
    category = rng.choice(len(CATEGORIES), size=size, p=market.shares(CATEGORIES))
    discounted = rng.random(size) < market.REPEAT_DISCOUNTED
    value = purchasing.order_values(rng, mean_value, category, discounted, repeat=True)
    return _rows(
        rng,
        customer_id,
        country,
        at,
        value,
        origin=rng.choice(len(ORIGINS), size=size, p=market.shares(ORIGINS, "repeat_share")),
        device=rng.choice(len(DEVICES), size=size, p=market.shares(DEVICES)),
        category=category,
        discounted=discounted,
        first=False,
    )


def history(
    rng: np.random.Generator, customer_id: Strings, acquired: Acquisitions, nature: Nature, now: datetime
) -> Columns:
    """Every repeat order up to `now`."""
    since = (instant(now) - acquired.at) / np.timedelta64(1, "D") / purchasing.YEAR_DAYS
    who, years = purchasing.repeat_orders(rng, nature, since)
    return repeat_orders(
        rng,
        customer_id[who],
        acquired.country[who],
        acquired.at[who] + days(years * purchasing.YEAR_DAYS),
        nature.mean_value[who],
    )


def samples(rng: np.random.Generator, customer_id: Strings, acquired: Acquisitions) -> Columns:
    """Orders of nothing, up to a month before the customer's first order."""
    who = np.flatnonzero(rng.random(len(customer_id)) < SAMPLE_SHARE)
    return _rows(
        rng,
        customer_id[who],
        acquired.country[who],
        acquired.at[who] - days(rng.uniform(1.0, 30.0, who.size)),
        np.zeros(who.size),
        origin=np.zeros(who.size, dtype=np.int64),
        device=acquired.device[who],
        category=acquired.category[who],
        discounted=np.zeros(who.size, dtype=bool),
        first=False,
    )


def test_orders(rng: np.random.Generator, customer_id: Strings, country: Integers, at: Instants) -> Columns:
    """Orders that the shop's own people placed, marked as such."""
    size = len(at)
    rows = _rows(
        rng,
        customer_id,
        country,
        at,
        np.full(size, 1.0),
        origin=np.zeros(size, dtype=np.int64),
        device=np.zeros(size, dtype=np.int64),
        category=np.zeros(size, dtype=np.int64),
        discounted=np.zeros(size, dtype=bool),
        first=False,
    )
    return rows | {"is_test": np.full(size, True)}


def numbered(orders: Columns, start: int) -> Columns:
    """Orders by time, with order ids from `start` on."""
    ordered = np.argsort(orders["ordered_at"], kind="stable")
    rows = {name: values[ordered] for name, values in orders.items()}
    return {"order_id": keys("O", np.arange(start, start + len(ordered)), 7), **rows}


def drawn_refunds(rng: np.random.Generator, orders: Columns, now: datetime) -> Columns:
    """The refunds that the market's refund rate gives up to `now`."""
    refundable = (orders["value"] > 0) & ~orders["is_test"]
    rows = np.flatnonzero(refundable & (rng.random(len(refundable)) < market.REFUND_RATE))
    at: Instants = orders["ordered_at"][rows] + days(rng.uniform(*REFUND_AFTER_DAYS, rows.size))
    happened = at <= instant(now)
    rows, at = rows[happened], at[happened]
    whole = rng.random(rows.size) < market.REFUND_WHOLE
    return refunds({name: values[rows] for name, values in orders.items()}, at, whole)


def refunds(orders: Columns, at: Instants, whole: Booleans) -> Columns:
    """Refunds of these orders, whole or of half: rows of their own with a negative amount.

    Needs order_id, customer_id, net_revenue and currency.
    """
    amount = np.asarray(orders["net_revenue"], dtype=np.float64)
    size = len(amount)
    refunded = np.where(whole, amount, np.round(amount / 2.0, 2))
    return {
        "order_id": np.asarray(orders["order_id"] + "-R", dtype=object),
        "customer_id": orders["customer_id"],
        "ordered_at": at,
        "net_revenue": -refunded,
        "value": np.zeros(size),
        "currency": orders["currency"],
        "refund_of": orders["order_id"],
    }


def _rows(
    rng: np.random.Generator,
    customer_id: Strings,
    country: Integers,
    at: Instants,
    value: Floats,
    *,
    origin: Integers,
    device: Integers,
    category: Integers,
    discounted: Booleans,
    first: bool,
) -> Columns:
    size = len(at)
    currency = market.words(COUNTRIES, "currency")[country]
    rate = np.array(
        [float(market.EXCHANGE_RATES.get(code, 1)) for code in market.words(COUNTRIES, "currency")]
    )
    return {
        "customer_id": customer_id,
        "ordered_at": at,
        "net_revenue": np.round(value / rate[country], 2),
        "value": value,
        "currency": currency,
        "is_test": np.full(size, False),
        "refund_of": np.full(size, None, dtype=object),
        "category": market.words(CATEGORIES, "name")[category],
        "discounted": discounted,
        "channel": market.words(ORIGINS, "channel")[origin],
        "device": market.words(DEVICES, "name")[device],
        "first": np.full(size, first),
        **visits(rng, origin, device, category, at),
    }
