"""From the configured columns to canonical ones, as parsed expressions that run inside the source's engine.

Nothing here is pasted together from text: names become quoted identifiers, values become literals, and the
configured relations and conditions are parsed. Expressions are written in DuckDB's dialect; the source
translates them to its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from clvsync.config.sections import Business, CustomersTable, OrdersTable, Tables
from clvsync.customers.consent import resolved
from clvsync.customers.expressions import MONEY_TYPE, column, is_not_null, is_true, named, null, number, text
from connectors.errors import FixConfiguration
from connectors.sources import queries
from connectors.types import CLICK_COLUMNS, IDENTITY_COLUMNS, Source

ATTRIBUTION_COLUMNS = ("channel", "device", "campaign_id", "ad_group_id", "ad_id")

FEATURE = "feature_"
"""What the names of the configured features' columns begin with."""

_YES = ("true", "t", "yes", "y", "1", "on", "granted", "opt_in", "opt-in", "optin", "subscribed")
_NO = ("false", "f", "no", "n", "0", "off", "denied", "opt_out", "opt-out", "optout", "unsubscribed")
_LARGEST_AMOUNT = 10**14
"""MONEY holds 14 digits before the point."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The two configured relations as SELECTs of canonical columns; what is not configured is null.

    `customers`: customer_key, standing (0 a test customer, 1 a customer, 2 left out by `where`), the
    IDENTITY_COLUMNS, ad_user_data and ad_personalization (resolved by the business's regime), total_clv and
    residual_clv (DOUBLE, computed by the source). It may hold a customer several times.

    `orders`: order_key, tie (the key in its own type, which orders rows of the same instant), customer_key,
    ordered_at (instant), ordered_on (the day in the business's zone), amount and currency (as the order has
    them), value (the amount in the business's currency; null where the currency has no rate), click_time,
    stage (how far a lead has come), the ATTRIBUTION_COLUMNS, the CLICK_COLUMNS and one column for each of
    `features` (FEATURE and the configured name; DOUBLE for numbers, else TEXT). Test orders, and rows without
    an order key, a customer, a time or an amount are not in it.
    """

    customers: exp.Select
    orders: exp.Select
    features: tuple[str, ...] = ()

    def of_customer(self, key: str) -> Mapped:
        """The rows of one customer alone, so that no query over them reads more."""

        def only(relation: exp.Select) -> exp.Select:
            rows = exp.select(exp.Star()).from_(relation.subquery("everyone"), copy=False)
            return rows.where(column("customer_key").eq(text(key)), copy=False)

        return Mapped(only(self.customers), only(self.orders), self.features)


def mapped(source: Source, tables: Tables, business: Business) -> Mapped:
    """Read the columns' types from the source and map them.

    Raises FixConfiguration for a column that is not there or that cannot mean what it is mapped to.
    """
    customers = queries.relation(tables.customers.relation, name="tables.customers.from")
    orders = queries.relation(tables.orders.relation, name="tables.orders.from")
    return Mapped(
        customers=_customers(
            tables.customers,
            business,
            _Columns("tables.customers", source.columns(customers), business.timezone),
            customers,
        ),
        orders=_orders(
            tables.orders,
            business,
            _Columns("tables.orders", source.columns(orders), business.timezone),
            orders,
        ),
        features=tuple(f"{FEATURE}{name}" for name in tables.orders.features),
    )


def _customers(
    table: CustomersTable, business: Business, columns: _Columns, relation: exp.Expression
) -> exp.Select:
    identity = {name: columns.text(name, getattr(table, name)) for name in IDENTITY_COLUMNS}
    key = columns.key("key", table.key)
    general = columns.flag("consent", table.consent)
    uses = {
        "ad_user_data": columns.flag("consent_ad_user_data", table.consent_ad_user_data),
        "ad_personalization": columns.flag("consent_ad_personalization", table.consent_ad_personalization),
    }
    configured = {
        "ad_user_data": table.consent_ad_user_data,
        "ad_personalization": table.consent_ad_personalization,
    }
    consents = {
        name: resolved(uses[name] if configured[name] else general, identity["country"], business.consent)
        for name in uses
    }
    standing = exp.Case()
    if table.where is not None:
        read = condition("tables.customers.where", table.where)
        standing = standing.when(exp.not_(is_true(read)), number(2))
    standing = standing.when(is_true(columns.flag("test", table.test)), number(0))
    return (
        exp.select(
            named(key, "customer_key"),
            named(standing.else_(number(1)), "standing"),
            *(named(value, name) for name, value in identity.items()),
            *(named(value, name) for name, value in consents.items()),
            named(columns.number("total_clv", table.total_clv), "total_clv"),
            named(columns.number("residual_clv", table.residual_clv), "residual_clv"),
        )
        .from_(relation.copy())
        .where(is_not_null(key))
    )


def _orders(
    table: OrdersTable, business: Business, columns: _Columns, relation: exp.Expression
) -> exp.Select:
    amount = columns.amount("value", table.value)
    currency: exp.Expression = text(business.currency)
    value = amount.copy()
    if table.currency is not None:
        currency = exp.Upper(this=columns.text("currency", table.currency))
        value = _in_business_currency(amount, currency, business.currency, business.exchange_rates)
    key = columns.key("key", table.key)
    customer = columns.key("customer", table.customer)
    ordered_at = columns.instant("time", table.time)
    query = (
        exp.select(
            named(key, "order_key"),
            named(columns.find("key", table.key), "tie"),
            named(customer, "customer_key"),
            named(ordered_at, "ordered_at"),
            named(columns.day("time", table.time), "ordered_on"),
            named(amount, "amount"),
            named(currency, "currency"),
            named(value, "value"),
            named(columns.instant("click_time", table.click_time), "click_time"),
            *(
                named(columns.text(name, getattr(table, name)), name)
                for name in ("stage", *ATTRIBUTION_COLUMNS, *CLICK_COLUMNS)
            ),
            *(
                named(columns.feature(f"features.{name}", configured), f"{FEATURE}{name}")
                for name, configured in table.features.items()
            ),
        )
        .from_(relation.copy())
        # The time itself, not the instant made of it: that would be worked out twice for each row.
        .where(*(is_not_null(part) for part in (key, customer, columns.find("time", table.time), amount)))
    )
    if table.test is not None:
        query = query.where(exp.not_(is_true(columns.flag("test", table.test))))
    if table.where is not None:
        query = query.where(condition("tables.orders.where", table.where))
    return query


def condition(key: str, where: str) -> exp.Expression:
    """A configured condition, parsed and in parentheses. Raises FixConfiguration for anything else."""
    try:
        parsed = exp.condition(where, dialect=queries.DIALECT)
    except sqlglot.errors.SqlglotError:
        parsed = None
    if parsed is None or parsed.find(exp.Command, exp.DDL, exp.DML):
        raise FixConfiguration(
            key,
            f"{where!r} is not a condition",
            "Write it as one would after WHERE, such as status = 'paid'.",
        )
    return exp.paren(parsed)


def _in_business_currency(
    amount: exp.Expression, currency: exp.Expression, own: str, rates: Mapping[str, Decimal]
) -> exp.Expression:
    """The amount in the business's currency, null where its currency is absent or has no rate."""
    value = exp.Case().when(currency.copy().eq(text(own)), amount.copy())
    for code, rate in rates.items():
        factor = exp.cast(number(rate), "DECIMAL(18, 12)")
        # DuckDB computes a product in the wider factor's width, where amounts times rates overflow.
        wide = exp.cast(amount.copy(), "DECIMAL(38, 4)")
        value = value.when(
            currency.copy().eq(text(code)),
            exp.cast(exp.Mul(this=wide, expression=factor), MONEY_TYPE),
        )
    return value.else_(null(MONEY_TYPE))


class _Columns:
    """The columns of one relation. Each method takes the configuration key and the mapped column's name
    (None: not mapped, which gives a typed null)."""

    def __init__(self, place: str, schema: pa.Schema, timezone: str) -> None:
        self._place = place
        self._types: dict[str, Any] = {field.name: field.type for field in schema}
        self._timezone = text(timezone)

    def find(self, key: str, name: str) -> exp.Column:
        """The column of that name, or the only one that differs from it in upper and lower case alone."""
        if name in self._types:
            return column(name)
        alike = [known for known in self._types if known.lower() == name.lower()]
        if len(alike) == 1:
            return column(alike[0])
        nearest = difflib.get_close_matches(name, self._types, n=1)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else f"It has: {', '.join(sorted(self._types))}."
        raise FixConfiguration(f"{self._place}.{key}", f"the source has no column {name!r}", hint)

    def key(self, key: str, name: str) -> exp.Expression:
        """TEXT, null where empty. A float is refused: engines write the same number differently."""
        found, kind = self._found(key, name)
        if pa.types.is_floating(kind):
            raise self._wrong(key, name, kind, "a key", "Cast it to an integer or to text in `from`.")
        self._refuse_nested(key, name, kind)
        return exp.func("nullif", exp.cast(found, "TEXT"), text(""))

    def text(self, key: str, name: str | None) -> exp.Expression:
        """TEXT without spaces around it, null where empty."""
        if name is None:
            return null("TEXT")
        found, kind = self._found(key, name)
        self._refuse_nested(key, name, kind)
        return exp.func("nullif", exp.Trim(this=exp.cast(found, "TEXT")), text(""))

    def feature(self, key: str, name: str) -> exp.Expression:
        """DOUBLE for a number, else TEXT; a boolean is `true` or `false`."""
        _, kind = self._found(key, name)
        return self.number(key, name) if _is_number(kind) else self.text(key, name)

    def instant(self, key: str, name: str | None) -> exp.Expression:
        """TIMESTAMPTZ. A time without a zone, or a date, is in the business's zone."""
        if name is None:
            return null("TIMESTAMPTZ")
        found, kind = self._found(key, name)
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            return exp.cast(found, "TIMESTAMPTZ")
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return exp.AtTimeZone(this=exp.cast(found, "TIMESTAMP"), zone=self._timezone.copy())
        raise self._wrong(key, name, kind, "a time", "Cast it to a timestamp in `from`.")

    def day(self, key: str, name: str) -> exp.Expression:
        """DATE in the business's zone."""
        found, kind = self._found(key, name)
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            local = exp.AtTimeZone(this=exp.cast(found, "TIMESTAMPTZ"), zone=self._timezone.copy())
            return exp.cast(local, "DATE")
        return exp.cast(found, "DATE")

    def amount(self, key: str, name: str) -> exp.Expression:
        """DECIMAL(18, 4), null where it is not a number or does not fit."""
        found, kind = self._found(key, name)
        if not _is_number(kind):
            raise self._wrong(key, name, kind, "an amount", "Cast it to a number in `from`.")
        fits = exp.LT(this=exp.Abs(this=found), expression=number(_LARGEST_AMOUNT))
        return exp.Case().when(fits, exp.cast(found.copy(), MONEY_TYPE))

    def number(self, key: str, name: str | None) -> exp.Expression:
        """DOUBLE."""
        if name is None:
            return null("DOUBLE")
        found, kind = self._found(key, name)
        if not _is_number(kind):
            raise self._wrong(key, name, kind, "a number", "Cast it to a number in `from`.")
        return exp.cast(found, "DOUBLE")

    def flag(self, key: str, name: str | None) -> exp.Expression:
        """BOOLEAN, null where unknown. Booleans, 1 and 0, and the words for yes and no are understood; any
        other value is unknown."""
        if name is None:
            return null("BOOLEAN")
        found, kind = self._found(key, name)
        if pa.types.is_boolean(kind):
            return found
        if _is_number(kind):
            return _either(found, [number(1)], [number(0)])
        if _is_text(kind):
            word = exp.Lower(this=exp.Trim(this=exp.cast(found, "TEXT")))
            return _either(word, map(text, _YES), map(text, _NO))
        raise self._wrong(key, name, kind, "yes or no", "Use a boolean, 0 and 1, or text such as yes and no.")

    def _found(self, key: str, name: str) -> tuple[exp.Column, Any]:
        found = self.find(key, name)
        return found, self._types[found.name]

    def _refuse_nested(self, key: str, name: str, kind: Any) -> None:
        if pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise self._wrong(key, name, kind, "text", "Take the one field out of it in `from`.")

    def _wrong(self, key: str, name: str, kind: Any, wanted: str, remedy: str) -> FixConfiguration:
        return FixConfiguration(
            f"{self._place}.{key}", f"the column {name!r} is {kind}, which cannot be read as {wanted}", remedy
        )


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _either(
    value: exp.Expression, yes: Iterable[exp.Expression], no: Iterable[exp.Expression]
) -> exp.Expression:
    return (
        exp.Case()
        .when(exp.In(this=value.copy(), expressions=list(yes)), exp.true())
        .when(exp.In(this=value.copy(), expressions=list(no)), exp.false())
        .else_(null("BOOLEAN"))
    )
