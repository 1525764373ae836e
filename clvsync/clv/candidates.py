"""Who is tried on the past: the configured models, challengers, and naive ones that all have to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

import numpy as np

from clvsync.clv import scoring
from clvsync.clv.column import Column
from clvsync.clv.historical import Average, Historical
from clvsync.clv.model import (
    FittedModel,
    Json,
    NotEnoughHistory,
    Terms,
    ages,
    known,
    numbers,
    realised,
    scores,
    version_of,
)
from clvsync.config.sections import Clv
from connectors.errors import ConnectorError
from connectors.types import Table

_FOR_EVER = 100.0
"""Years that `average` carries on for: nobody who is counted has left by then."""


class FirstOrderValue:
    """A customer is worth a multiple of the first day's margin, the same multiple for everyone: what bidding
    on the value of first orders supposes."""

    name = "first_order_value"

    def fit(self, summary: Table, terms: Terms) -> FittedFirstOrderValue:
        """The multiple is that of the customers whose horizon has passed, of all where none has."""
        first_day = np.maximum(known(numbers(summary, "first_day_margin")), 0.0)
        matured = ages(summary, terms.as_of, terms) >= terms.horizon_days
        counted = matured if (first_day * matured).any() else np.ones_like(matured)
        if not (first_day * counted).any():
            raise NotEnoughHistory("clv", "no first order has a margin", "Map an order history with values.")
        multiple = (realised(summary) * counted).sum() / (first_day * counted).sum()
        return FittedFirstOrderValue(terms, max(float(multiple) - 1.0, 0.0))


@dataclass(frozen=True, slots=True)
class FittedFirstOrderValue:
    """`more`: margin after the first day for each unit of the first day's, within the horizon."""

    terms: Terms
    more: float
    name: str = field(default=FirstOrderValue.name)

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def score(self, summary: Table, as_of: datetime) -> Table:  # noqa: ARG002
        after = self.more * np.maximum(known(numbers(summary, "first_day_margin")), 0.0)
        return scores(summary, remainder=after, residual=after, basis=self.name)

    def to_json(self) -> Json:
        return {"model": self.name, "terms": self.terms.to_json(), "more": self.more}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FittedFirstOrderValue:
        return cls(Terms.from_json(kept["terms"]), kept["more"])


NAIVE = (Average.name, Historical.name, FirstOrderValue.name)


def configured(clv: Clv) -> str:
    """The name under which the configured models are tried together."""
    return _called(clv.acquisition, clv.existing)


def can_be_tried(clv: Clv) -> bool:
    """Of the model `column` the source has today's values alone."""
    return Column.name not in (clv.acquisition, clv.existing)


def fit_all(clv: Clv, summary: Table, terms: Terms) -> tuple[dict[str, FittedModel], dict[str, str]]:
    """Every candidate by name, fitted on SUMMARY rows cut at the terms' `as_of`: the configured models, every
    other pair that the configuration would take, the model for existing customers alone, and the naive ones.
    And why those that could not be fitted were left out."""
    fitted: dict[str, FittedModel] = {}
    left_out: dict[str, str] = {}
    for acquisition, existing in dict.fromkeys([(clv.acquisition, clv.existing), *_pairs()]):
        chosen = clv.model_copy(update={"acquisition": acquisition, "existing": existing})
        if not can_be_tried(chosen):
            continue
        name = _called(acquisition, existing)
        try:
            scorer = scoring.fit(chosen, summary, terms)
        except ConnectorError as error:
            left_out[name] = error.problem
            continue
        fitted |= {name: scorer, scorer.existing.name: fitted.get(scorer.existing.name, scorer.existing)}
    for naive in (Average(_FOR_EVER), Historical(), FirstOrderValue()):
        try:
            fitted.setdefault(naive.name, naive.fit(summary, terms))
        except NotEnoughHistory as error:
            left_out[naive.name] = error.problem
    return fitted, left_out


def _pairs() -> list[tuple[str, str]]:
    first, second = (get_args(Clv.model_fields[role].annotation) for role in ("acquisition", "existing"))
    return [(acquisition, existing) for acquisition in first for existing in second]


def _called(acquisition: str, existing: str) -> str:
    return acquisition if acquisition == existing else f"{acquisition} + {existing}"
