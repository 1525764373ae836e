"""Conditions over the scores, such as `residual_clv >= p90 and country = 'DE'` or `vip and not lapsed`.

They are parsed, never pasted: only the columns below, names of segments, comparisons, and / or / not, in,
between, is null and literals are allowed. `p90` stands for the 90th percentile of the column it is compared
with, whose amount the caller gives.

A condition has two forms, so that noise moves nobody in and out: `enter` for who is not a member, and `stay`
for who is, in which every threshold of an amount or a probability is eased by a margin.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from connectors.errors import FixConfiguration

DRIFTING = (
    "total_clv",
    "residual_clv",
    "realised_value",
    "probability_alive",
    "expected_orders",
    "revenue",
)
"""Amounts and probabilities: they move a little without news, so their thresholds have a margin."""
COUNTED = ("orders", "days_since_first_order", "days_since_last_order")
TEXTS = ("country", "channel")
COLUMNS = (*DRIFTING, *COUNTED, *TEXTS)
"""What a condition may speak of, per customer; amounts in the business's currency."""

_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d+)?)$", re.IGNORECASE)
_ABOVE = (exp.GT, exp.GTE)
_BELOW = (exp.LT, exp.LTE)
_COMPARISONS = (*_ABOVE, *_BELOW, exp.EQ, exp.NEQ)
_FLIPPED = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.EQ: exp.EQ,
    exp.NEQ: exp.NEQ,
}
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


@dataclass(frozen=True, slots=True, order=True)
class Threshold:
    """The amount behind a percentile of a column: share 0.9 is p90."""

    column: str
    share: float

    def __str__(self) -> str:
        return f"p{self.share * 100:g} of {self.column}"


Amounts = Mapping[Threshold, float | None]
"""The amount of each threshold; None where there is nobody to take it from, and so nobody reaches it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Who belongs. `text` is as it was written; make it with `parse`."""

    text: str
    tree: exp.Expression

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The percentiles whose amounts it needs."""
        return tuple(sorted({_threshold_of(node) for node in self.tree.find_all(exp.Parameter)}))

    def enter(self, amounts: Amounts) -> str:
        """DuckDB SQL over the table `scores`: who comes in."""
        return _sql(_filled(self.tree, amounts))

    def stay(self, amounts: Amounts, margin: float) -> str:
        """The same for who is in: thresholds of DRIFTING columns eased by `margin` times their amount."""
        return _sql(_eased(_filled(self.tree, amounts), margin, easier=True))


def parse(place: str, text: str | None, segments: Mapping[str, str]) -> Condition:
    """The condition `text` (None: everyone), in which the names of `segments` stand for their conditions.

    Raises FixConfiguration, naming `place`, for anything that is not a condition over COLUMNS.
    """
    if text is None:
        return Condition("everyone", exp.true())
    return Condition(text, _Builder(place, text, segments).build(text, ()))


class _Builder:
    def __init__(self, place: str, written: str, segments: Mapping[str, str]) -> None:
        self._place = place
        self._written = written
        self._segments = segments

    def build(self, text: str, within: tuple[str, ...]) -> exp.Expression:
        """The tree with columns on the left of comparisons, no `between`, and percentiles as parameters."""
        try:
            parsed = sqlglot.parse_one(text, dialect="duckdb")
        except sqlglot.errors.SqlglotError:
            raise self._wrong("it is not a condition") from None
        for node in parsed.walk():
            if not isinstance(node, _ALLOWED):
                raise self._not_allowed(node)
        return self._truth(parsed, within)

    def _truth(self, node: exp.Expression, within: tuple[str, ...]) -> exp.Expression:
        if isinstance(node, exp.And | exp.Or):
            left, right = self._truth(node.left, within), self._truth(node.right, within)
            return exp.paren(type(node)(this=left, expression=right))
        if isinstance(node, exp.Not):
            return exp.not_(exp.paren(self._truth(node.this, within)))
        if isinstance(node, exp.Paren):
            return self._truth(node.this, within)
        if isinstance(node, exp.Between):
            low = self._comparison(exp.GTE, node.this, node.args["low"])
            return exp.paren(
                exp.And(this=low, expression=self._comparison(exp.LTE, node.this, node.args["high"]))
            )
        if isinstance(node, _COMPARISONS):
            return self._comparison(type(node), node.left, node.right)
        if isinstance(node, exp.In) and node.expressions:
            column = self._column(node.this)
            return exp.In(this=column, expressions=[self._alike(column, each) for each in node.expressions])
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return exp.Is(this=self._column(node.this), expression=exp.null())
        if isinstance(node, exp.Boolean):
            return node.copy()
        if isinstance(node, exp.Column):
            return self._segment(node, within)
        raise self._not_allowed(node)

    def _segment(self, node: exp.Column, within: tuple[str, ...]) -> exp.Expression:
        name = node.sql(dialect="duckdb").lower()
        if name in COLUMNS:
            raise self._wrong(f"{name!r} has to be compared with something")
        if name not in self._segments:
            raise self._unknown(name, (*COLUMNS, *self._segments))
        if name in within:
            raise self._wrong(f"the segment {name!r} is made of itself")
        # Who is not known to be in a segment is not in it: `not lapsed` holds for them.
        inside = self.build(self._segments[name], (*within, name))
        return exp.Coalesce(this=inside, expressions=[exp.false()])

    def _comparison(
        self, kind: type[exp.Binary], left: exp.Expression, right: exp.Expression
    ) -> exp.Expression:
        if not _is_column(left) and _is_column(right):
            left, right, kind = right, left, _FLIPPED[kind]
        for side in (left, right):
            if _percentile(side) is not None and not (side is right and _is_column(left)):
                raise self._wrong(f"{side.name!r} has to be compared with a column")
        column = self._column(left)
        share = _percentile(right)
        if share is None:
            return kind(this=column, expression=self._alike(column, right))
        if column.name in TEXTS:
            raise self._wrong(f"{column.name!r} has no percentiles")
        named = exp.Parameter(this=exp.Var(this=f"{column.name}/{share!r}"))
        return kind(this=column, expression=named)

    def _column(self, node: exp.Expression) -> exp.Column:
        if not isinstance(node, exp.Column):
            raise self._wrong(f"{node.sql(dialect='duckdb')!r} stands where a column has to")
        name = node.sql(dialect="duckdb").lower()
        if name not in COLUMNS:
            raise self._unknown(name, COLUMNS)
        return exp.column(exp.to_identifier(name, quoted=True))

    def _alike(self, column: exp.Column, node: exp.Expression) -> exp.Expression:
        """What a column is compared with: another one, or a literal, of its own kind."""
        if isinstance(node, exp.Column):
            other = self._column(node)
            if (other.name in TEXTS) == (column.name in TEXTS):
                return other
        literal = node.this if isinstance(node, exp.Neg) else node
        if isinstance(literal, exp.Literal) and literal.is_string == (column.name in TEXTS):
            return node.copy()
        kind = "a text such as 'DE'" if column.name in TEXTS else "a number"
        raise self._wrong(f"{column.name!r} has to be compared with {kind}")

    def _unknown(self, name: str, known: tuple[str, ...]) -> FixConfiguration:
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
        return self._wrong(f"there is no column {name!r}; {hint}")

    def _not_allowed(self, node: exp.Expression) -> FixConfiguration:
        return self._wrong(f"{node.sql(dialect='duckdb')!r} is not allowed in it")

    def _wrong(self, problem: str) -> FixConfiguration:
        return FixConfiguration(
            self._place,
            f"the condition {self._written!r} cannot be used: {problem}",
            "Correct the condition.",
        )


def _is_column(node: exp.Expression) -> bool:
    return isinstance(node, exp.Column) and _percentile(node) is None


def _percentile(node: exp.Expression) -> float | None:
    match = _PERCENTILE.match(node.sql(dialect="duckdb")) if isinstance(node, exp.Column) else None
    return float(match[1]) / 100 if match else None


def _threshold_of(node: exp.Parameter) -> Threshold:
    column, _, share = node.name.partition("/")
    return Threshold(column, float(share))


def _filled(tree: exp.Expression, amounts: Amounts) -> exp.Expression:
    def fill(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Parameter):
            return node
        amount = amounts[_threshold_of(node)]
        return exp.null() if amount is None else _number(amount)

    filled: exp.Expression = tree.transform(fill)
    return filled


def _eased(node: exp.Expression, margin: float, *, easier: bool) -> exp.Expression:
    """The tree with thresholds moved so that it holds for more (`easier`) or, under a `not`, for fewer."""
    if isinstance(node, exp.And | exp.Or):
        return type(node)(
            this=_eased(node.left, margin, easier=easier),
            expression=_eased(node.right, margin, easier=easier),
        )
    if isinstance(node, exp.Paren | exp.Coalesce):
        eased = node.copy()
        eased.set("this", _eased(node.this, margin, easier=easier))
        return eased
    if isinstance(node, exp.Not):
        return exp.not_(_eased(node.this, margin, easier=not easier))
    if not isinstance(node, _ABOVE + _BELOW) or node.this.name not in DRIFTING:
        return node.copy()
    threshold = node.expression
    band = exp.Mul(this=_number(margin), expression=exp.Abs(this=threshold.copy()))
    lower = isinstance(node, _ABOVE) == easier
    moved = (exp.Sub if lower else exp.Add)(this=threshold.copy(), expression=band)
    return type(node)(this=node.this.copy(), expression=exp.paren(moved))


def _number(value: float) -> exp.Expression:
    return exp.cast(exp.Literal.string(repr(float(value))), "DOUBLE")


def _sql(tree: exp.Expression) -> str:
    written: str = tree.sql(dialect="duckdb")
    return written
