"""The query of conversions: orders joined with the identity of the customer who placed them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlglot import exp

from clvsync.customers.expressions import (
    ascending,
    column,
    instant,
    is_among,
    named,
    number,
    row_number,
    table,
    text,
)
from clvsync.customers.mapping import ATTRIBUTION_COLUMNS, Mapped
from clvsync.customers.members import CONSENT_COLUMNS, one_row_each
from clvsync.customers.personal import selected, selected_names
from connectors.types import CLICK_COLUMNS, IDENTITY_COLUMNS, PERSONAL_COLUMNS

Carries = Literal["acquisition", "increment"]

# Within the query; not names that a business's own tables are likely to have.
_PURCHASES, _PICKED, _CUSTOMERS = "clvsync_purchases", "clvsync_picked", "clvsync_customers"
_OF_ORDER = ("event_time", "click_time", "order_value", "currency", "business_value", "customer_type")


def conversions(
    mapped: Mapped,
    carries: Carries,
    as_of: datetime,
    *,
    since: datetime | None = None,
    in_clear: bool = False,
    keys: Sequence[str] | None = None,
) -> exp.Select:
    """The query of conversion rows: each customer's first purchase (`acquisition`) or each (`increment`).

    Columns: key (the order's), customer_key, event_time, click_time, order_value and currency (as the order
    has them; currency null where absent), business_value (the same in the business's currency; null where the
    currency has no rate), customer_type ("new" on the first purchase, else "returning"), ad_user_data,
    ad_personalization, stage, the ATTRIBUTION_COLUMNS, then the PERSONAL_COLUMNS in clear or, not in clear,
    has_<name> for each and personal_digest.

    A purchase is an order of a positive amount. Nothing after `as_of` is read; `since` leaves out earlier
    events, not the history that tells first purchases. Test orders and customers are left out. An order key
    that stands twice gives one row, the earliest. A customer whom the customers table does not know has no
    identity and has agreed to nothing. `keys`: these orders alone.
    """
    picked = exp.select(exp.Star()).from_(table(_PURCHASES))
    if carries == "acquisition":
        picked = picked.where(column("purchase").eq(number(1)))
    if since is not None:
        picked = picked.where(exp.GTE(this=column("ordered_at"), expression=instant(since)))
    if keys is not None:
        picked = picked.where(is_among(column("order_key"), keys))
    owner = None
    if keys is not None:
        owners = exp.select(column("customer_key")).from_(table(_PICKED))
        owner = exp.In(this=column("customer_key"), query=owners.subquery())
    rows = (
        exp.select(*(named(value, name) for name, value in _columns().items()), named(_copy(), "copy"))
        .from_(table(_PICKED))
        .join(
            table(_CUSTOMERS),
            on=column("customer_key", _PICKED).eq(column("customer_key", _CUSTOMERS)),
            join_type="left",
        )
        .where(exp.func("coalesce", column("standing", _CUSTOMERS), number(1)).eq(number(1)))
    )
    return (
        exp.select(
            *(column(name) for name in _columns() if name not in PERSONAL_COLUMNS),
            *selected(PERSONAL_COLUMNS, in_clear=in_clear),
        )
        .with_(_PURCHASES, as_=_purchases(mapped, as_of, keys))
        .with_(_PICKED, as_=picked)
        .with_(_CUSTOMERS, as_=one_row_each(mapped, owner))
        .from_(rows.subquery("conversion"))
        .where(column("copy").eq(number(1)))
    )


def content_columns() -> list[str]:
    """The columns of `conversions`, not in clear, whose change makes a conversion another one to send."""
    return [*_OF_ORDER, *CONSENT_COLUMNS, *selected_names(PERSONAL_COLUMNS)]


def _purchases(mapped: Mapped, as_of: datetime, keys: Sequence[str] | None) -> exp.Select:
    """Orders of a positive amount until `as_of`; `purchase` counts those of a customer from 1. With `keys`,
    the orders of the customers who placed those."""
    count = row_number([column("customer_key")], [ascending(column("ordered_at")), ascending(column("tie"))])
    purchases = (
        exp.select(exp.Star(), named(count, "purchase"))
        .from_(mapped.orders.subquery("mapped"))
        .where(
            exp.LTE(this=column("ordered_at"), expression=instant(as_of)),
            exp.GT(this=column("amount"), expression=number(0)),
        )
    )
    if keys is not None:
        owners = (
            exp.select(column("customer_key"))
            .from_(mapped.orders.subquery("owned"))
            .where(is_among(column("order_key"), keys))
        )
        purchases = purchases.where(exp.In(this=column("customer_key"), query=owners.subquery()))
    return purchases


def _copy() -> exp.Expression:
    """Counts the rows of one order key."""
    order = [ascending(column(name, _PICKED)) for name in ("ordered_at", "customer_key")]
    return row_number([column("order_key", _PICKED)], order)


def _columns() -> dict[str, exp.Expression]:
    of_order = {
        "key": "order_key",
        "customer_key": "customer_key",
        "event_time": "ordered_at",
        "click_time": "click_time",
        "order_value": "amount",
        "currency": "currency",
        "business_value": "value",
        **{name: name for name in ("stage", *ATTRIBUTION_COLUMNS, *CLICK_COLUMNS)},
    }
    is_first = column("purchase", _PICKED).eq(number(1))
    return {
        **{name: column(mapped, _PICKED) for name, mapped in of_order.items()},
        "customer_type": exp.Case().when(is_first, text("new")).else_(text("returning")),
        **{name: exp.func("coalesce", column(name, _CUSTOMERS), exp.false()) for name in CONSENT_COLUMNS},
        **{name: column(name, _CUSTOMERS) for name in IDENTITY_COLUMNS},
    }
