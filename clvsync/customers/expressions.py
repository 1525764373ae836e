"""The few kinds of expression that the queries are made of; names are quoted, values are literals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from sqlglot import exp

MONEY_TYPE = "DECIMAL(18, 4)"
"""connectors.types.MONEY as engines write it."""


def column(name: str, table: str | None = None) -> exp.Column:
    qualifier = exp.to_identifier(table, quoted=True) if table else None
    quoted: exp.Column = exp.Column(this=exp.to_identifier(name, quoted=True), table=qualifier)
    return quoted


def table(name: str) -> exp.Table:
    quoted: exp.Table = exp.Table(this=exp.to_identifier(name, quoted=True))
    return quoted


def named(expression: exp.Expression, name: str) -> exp.Expression:
    alias: exp.Expression = exp.alias_(expression, name, quoted=True)
    return alias


def text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def number(value: int | float | Decimal) -> exp.Expression:
    """Exact for integers and decimals; a float is written with all its digits, as DOUBLE."""
    if isinstance(value, float):
        return exp.cast(text(repr(value)), "DOUBLE")
    return exp.Literal.number(format(value, "f") if isinstance(value, Decimal) else value)


def instant(value: datetime) -> exp.Expression:
    return exp.cast(text(value.astimezone(UTC).isoformat()), "TIMESTAMPTZ")


def null(kind: str) -> exp.Expression:
    return exp.cast(exp.null(), kind)


def double(value: exp.Expression) -> exp.Expression:
    return exp.cast(value.copy(), "DOUBLE")


def money(value: exp.Expression) -> exp.Expression:
    return exp.cast(value.copy(), MONEY_TYPE)


def is_null(value: exp.Expression) -> exp.Expression:
    return exp.Is(this=value.copy(), expression=exp.null())


def is_not_null(value: exp.Expression) -> exp.Expression:
    return exp.not_(is_null(value))


def is_true(flag: exp.Expression) -> exp.Expression:
    """False where the flag is unknown."""
    return exp.func("coalesce", flag.copy(), exp.false())


def is_one_of(value: exp.Expression, choices: Iterable[str]) -> exp.Expression:
    return exp.In(this=value.copy(), expressions=[text(choice) for choice in choices])


def is_among(value: exp.Expression, keys: Iterable[str]) -> exp.Expression:
    """As `is_one_of`, by a join: engines compare a row with each of many literals in turn."""
    rows = [exp.Tuple(expressions=[text(key)]) for key in keys]
    alias = exp.TableAlias(
        this=exp.to_identifier("wanted", quoted=True), columns=[exp.to_identifier("key", quoted=True)]
    )
    listed = exp.select(column("key", "wanted")).from_(exp.Values(expressions=rows, alias=alias))
    return exp.In(this=value.copy(), query=listed.subquery())


def when(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    """The value where the condition holds, else null."""
    return exp.Case().when(condition.copy(), value.copy())


def days_between(first: exp.Expression, last: exp.Expression) -> exp.Expression:
    """Whole days from one DATE to another."""
    return exp.func("date_diff", text("day"), first, last, dialect="duckdb")


def row_number(partition: Iterable[exp.Expression], order: Iterable[exp.Expression]) -> exp.Expression:
    return exp.Window(
        this=exp.RowNumber(),
        partition_by=[each.copy() for each in partition],
        order=exp.Order(expressions=[each.copy() for each in order]),
    )


def over(aggregate: exp.Expression, partition: Iterable[exp.Expression]) -> exp.Expression:
    return exp.Window(this=aggregate, partition_by=[each.copy() for each in partition])


def descending(value: exp.Expression) -> exp.Expression:
    return exp.Ordered(this=value.copy(), desc=True, nulls_first=False)


def ascending(value: exp.Expression) -> exp.Expression:
    return exp.Ordered(this=value.copy(), desc=False, nulls_first=False)
