"""The condition of an audience, such as `residual_clv >= p90 and country = 'DE'`.

It is parsed, never pasted: only the columns below, comparisons, and / or / not, in, between, is null and
literals are allowed, and `p90` stands for the 90th percentile of the column it is compared with.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import sqlglot
from sqlglot import exp

from connectors.errors import FixConfiguration

COLUMNS = (
    "total_clv",
    "residual_clv",
    "realised_value",
    "probability_alive",
    "orders",
    "revenue",
    "days_since_first_order",
    "days_since_last_order",
    "country",
    "channel",
)
"""What a condition may speak of, per customer; amounts in the business's currency."""

_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d+)?)$", re.IGNORECASE)
_COMPARISONS = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ)
_ALLOWED = (
    *_COMPARISONS,
    exp.And,
    exp.Or,
    exp.Not,
    exp.Paren,
    exp.In,
    exp.Between,
    exp.Is,
    exp.Null,
    exp.Neg,
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
)


def condition(sync: str, where: str | None, scores: str) -> exp.Expression:
    """The condition as an expression over the table `scores`, which has COLUMNS. None: everyone.

    Raises FixConfiguration, naming the sync, for anything that is not a condition over COLUMNS.
    """
    if where is None:
        return exp.true()
    try:
        parsed = sqlglot.parse_one(where, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        raise _wrong(sync, where, "it is not a condition") from None
    for node in parsed.walk():
        if not isinstance(node, _ALLOWED):
            raise _wrong(sync, where, f"{node.sql(dialect='duckdb')!r} is not allowed in it")
    for column in list(parsed.find_all(exp.Column)):
        name = column.sql(dialect="duckdb")
        if name.lower() in COLUMNS:
            column.set("this", exp.to_identifier(name.lower(), quoted=True))
        elif match := _PERCENTILE.match(name):
            column.replace(_percentile(sync, where, column, float(match[1]) / 100, scores))
        else:
            nearest = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(COLUMNS)}"
            raise _wrong(sync, where, f"there is no column {name!r}; {hint}")
    return parsed


def _percentile(sync: str, where: str, at: exp.Column, share: float, scores: str) -> exp.Expression:
    comparison = at.parent
    other: Any = None
    if isinstance(comparison, _COMPARISONS):
        other = comparison.right if comparison.left is at else comparison.left
    if not isinstance(other, exp.Column) or other.name.lower() not in COLUMNS:
        raise _wrong(sync, where, f"{at.name!r} has to be compared with a column")
    quantile = exp.func(
        "quantile_cont",
        exp.column(exp.to_identifier(other.name.lower(), quoted=True)),
        exp.Literal.number(share),
    )
    return exp.select(quantile).from_(exp.to_identifier(scores, quoted=True)).subquery()


def _wrong(sync: str, where: str, problem: str) -> FixConfiguration:
    return FixConfiguration(
        f"sync {sync}", f"the condition {where!r} cannot be used: {problem}", "Correct `where`."
    )
