"""The order summary: one row per customer, computed by one query inside the source's engine."""

from __future__ import annotations

import math
from datetime import datetime

import pyarrow as pa
from sqlglot import exp

from clvsync.config.sections import Clv
from clvsync.customers.expressions import (
    ascending,
    column,
    days_between,
    descending,
    double,
    instant,
    is_not_null,
    is_null,
    money,
    named,
    number,
    over,
    row_number,
    table,
    when,
)
from clvsync.customers.mapping import Mapped
from connectors.types import INSTANT, MONEY

DAYS_A_YEAR = 365

SUMMARY = pa.schema(
    [
        pa.field("customer_key", pa.string(), nullable=False),
        pa.field("first_order_key", pa.string(), nullable=False),
        pa.field("first_order_at", INSTANT, nullable=False),
        pa.field("first_order_value", MONEY),
        pa.field("last_order_at", INSTANT, nullable=False),
        pa.field("first_day", pa.date32(), nullable=False),
        pa.field("last_day", pa.date32(), nullable=False),
        pa.field("orders", pa.int64(), nullable=False),
        pa.field("purchase_days", pa.int64(), nullable=False),
        pa.field("repeat_days", pa.int64(), nullable=False),
        pa.field("unvalued_orders", pa.int64(), nullable=False),
        pa.field("revenue", MONEY),
        pa.field("purchases_value", MONEY),
        pa.field("repeat_revenue", MONEY),
        pa.field("mean_repeat_value", pa.float64()),
        pa.field("first_day_margin", pa.float64()),
        pa.field("realised_value", pa.float64()),
        pa.field("channel", pa.string()),
        pa.field("country", pa.string()),
        pa.field("device", pa.string()),
        pa.field("campaign_id", pa.string()),
        pa.field("total_clv", pa.float64()),
        pa.field("residual_clv", pa.float64()),
    ]
)
"""One customer a row; amounts in the business's currency, days in its zone.

`first_order_*`: the acquisition, the first order of a positive amount (at equal instants the lowest key),
with its channel, device and campaign_id. `first_day`, `last_day`: days of the first and the last purchase.
`orders`: positive orders. `purchase_days`: distinct days with one; several orders on a day are one purchase
occasion, as in the published CDNOW data. `repeat_days` = purchase_days - 1. `unvalued_orders`: positive
orders in a currency without a rate: they count as purchases and add nothing to amounts.

`revenue`: net of refunds. `purchases_value`: positive orders alone. `repeat_revenue`: positive orders after
the first day; `mean_repeat_value` the same per repeat day (null without one). `first_day_margin`: margin of
the first day's positive orders. `realised_value`: margin so far of the days 0 to H since the acquisition,
refunds taken off, discounted to the acquisition. `total_clv`, `residual_clv`: as the source has them, for the
model `column`.

After these columns comes one for each configured feature of the acquisition (mapping.FEATURE and its name), a
float64 or a string.
"""

# Within the query; not a name that a business's own table is likely to have.
_ORDERS, _SUMMED, _KNOWN = "clvsync_orders", "clvsync_summed", "clvsync_known"
_ABOUT_CUSTOMER = ("country", "total_clv", "residual_clv")


def order_summary(mapped: Mapped, clv: Clv, as_of: datetime) -> exp.Select:
    """The query of SUMMARY's columns and the features'.

    - Nothing after `as_of` is read.
    - Negative amounts are refunds: from the acquisition's day on they lower revenue and realised value, and
      they are never purchases. Orders of zero are never purchases.
    - Test orders, test customers, and customers whom the configuration's `where` leaves out have no row;
      neither has a customer without a purchase. A customer whom the customers table does not know has one.
    - Realised value = Σ value × margin × (1 + discount_rate)^(-days / 365), over days ≤ horizon.
    """
    return (
        exp.select(
            *(
                named(column(name, _KNOWN if name in _ABOUT_CUSTOMER else _SUMMED), name)
                for name in (*SUMMARY.names, *mapped.features)
            )
        )
        .with_(_ORDERS, as_=_orders_since_acquisition(mapped, as_of))
        .with_(_SUMMED, as_=_summed(clv, mapped.features))
        .with_(_KNOWN, as_=_known(mapped))
        .from_(table(_SUMMED))
        .join(
            table(_KNOWN),
            on=column("customer_key", _SUMMED).eq(column("customer_key", _KNOWN)),
            join_type="left",
        )
        .where(exp.func("coalesce", column("standing", _KNOWN), number(1)).eq(number(1)))
    )


def _orders_since_acquisition(mapped: Mapped, as_of: datetime) -> exp.Select:
    """Orders until `as_of`, with `purchase` (1 is the customer's first purchase) and `first_day`."""
    customer, amount, day = (column(name) for name in ("customer_key", "amount", "ordered_on"))
    is_purchase = exp.GT(this=amount, expression=number(0))
    return (
        exp.select(
            exp.Star(),
            named(
                row_number(
                    [customer],
                    [descending(is_purchase), ascending(column("ordered_at")), ascending(column("tie"))],
                ),
                "purchase",
            ),
            named(over(exp.Min(this=when(is_purchase, day)), [customer]), "first_day"),
        )
        .from_(mapped.orders.subquery("mapped"))
        .where(exp.LTE(this=column("ordered_at"), expression=instant(as_of)))
    )


def _summed(clv: Clv, features: tuple[str, ...]) -> exp.Select:
    amount, value, at = (column(name) for name in ("amount", "value", "ordered_at"))
    day, first_day = column("ordered_on"), column("first_day")
    is_purchase = exp.GT(this=amount, expression=number(0))
    is_repeat = exp.and_(is_purchase, exp.GT(this=day, expression=first_day))
    is_valued_repeat = exp.and_(is_repeat, is_not_null(value))
    is_on_first_day = exp.and_(is_purchase, exp.EQ(this=day, expression=first_day))
    is_unvalued = exp.and_(is_purchase, is_null(value))
    margin = exp.Mul(this=double(value), expression=number(float(clv.margin)))
    age = days_between(first_day, day)
    rate = math.log1p(float(clv.discount_rate)) / DAYS_A_YEAR
    discounted = exp.Mul(
        this=margin, expression=exp.Exp(this=exp.Mul(this=number(-rate), expression=double(age)))
    )
    columns = {
        "customer_key": column("customer_key"),
        "first_order_key": _of_acquisition("order_key"),
        "first_order_at": exp.Min(this=when(is_purchase, at)),
        "first_order_value": _of_acquisition("value"),
        "last_order_at": exp.Max(this=when(is_purchase, at)),
        "first_day": exp.Min(this=first_day),
        "last_day": exp.Max(this=when(is_purchase, day)),
        "orders": _count(is_purchase, number(1)),
        "purchase_days": _count_distinct(is_purchase, day),
        "repeat_days": _count_distinct(is_repeat, day),
        "unvalued_orders": _count(is_unvalued, number(1)),
        "revenue": money(exp.Sum(this=value)),
        "purchases_value": money(_sum(is_purchase, value)),
        "repeat_revenue": money(_sum(is_repeat, value)),
        "mean_repeat_value": exp.Div(
            this=double(_sum(is_repeat, value)),
            expression=double(exp.func("nullif", _count_distinct(is_valued_repeat, day), number(0))),
        ),
        "first_day_margin": _sum(is_on_first_day, margin),
        "realised_value": _sum(exp.LTE(this=age, expression=number(clv.horizon.days)), discounted),
        "channel": _of_acquisition("channel"),
        "device": _of_acquisition("device"),
        "campaign_id": _of_acquisition("campaign_id"),
        **{name: _of_acquisition(name) for name in features},
    }
    return (
        exp.select(*(named(value, name) for name, value in columns.items()))
        .from_(table(_ORDERS))
        .where(exp.GTE(this=day, expression=first_day))
        .group_by(column("customer_key"))
    )


def _known(mapped: Mapped) -> exp.Select:
    """One row per known customer. Of several rows those that `where` keeps count, and a test row among them
    makes a test customer."""
    standing = column("standing")
    kept = standing.eq(number(1))
    return (
        exp.select(
            column("customer_key"),
            named(exp.Min(this=standing), "standing"),
            *(named(exp.Max(this=when(kept, column(name))), name) for name in _ABOUT_CUSTOMER),
        )
        .from_(mapped.customers.subquery("mapped"))
        .group_by(column("customer_key"))
    )


def _of_acquisition(name: str) -> exp.Expression:
    return exp.Max(this=when(column("purchase").eq(number(1)), column(name)))


def _sum(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    return exp.Sum(this=when(condition, value))


def _count(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    return exp.Count(this=when(condition, value))


def _count_distinct(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    return exp.Count(this=exp.Distinct(expressions=[when(condition, value)]))
