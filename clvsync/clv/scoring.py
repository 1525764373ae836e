"""One scorer from the two configured models: `acquisition` for customers known by their first order alone,
`existing` for those with a repeat purchase.

How scores behave without news. Total CLV is realised value plus what is still expected. An expectation is a
martingale under its model: over many customers it neither rises nor falls by itself. For one customer it
falls a little every day on which nothing is bought, because silence is news too, and rises at once with a
purchase; a refund lowers it by its margin. It never moves because the horizon's window slides: the horizon is
counted from the acquisition, and at its end the total is what was realised. The daily drift of the silent is
what a sync's tolerance (`restate.after`) is for. A refit moves everyone a little and changes `version`.
Residual CLV looks over a window that moves with today, and so moves every day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from clvsync.clv.column import Column, FittedColumn
from clvsync.clv.first_order import FirstOrder, FittedFirstOrder
from clvsync.clv.model import FittedModel, Json, Terms, numbers, version_of
from clvsync.clv.repeat_purchases import FittedRepeatPurchases, RepeatPurchases
from clvsync.config.sections import Clv
from connectors.types import Table

_LOADERS: Mapping[str, Callable[[Mapping[str, Any]], FittedModel]] = {
    Column.name: FittedColumn.from_json,
    FirstOrder.name: FittedFirstOrder.from_json,
    RepeatPurchases.name: FittedRepeatPurchases.from_json,
}


@dataclass(frozen=True, slots=True)
class Scorer:
    """Two fitted models as one; itself a FittedModel."""

    acquisition: FittedModel
    existing: FittedModel
    name: str = "scorer"

    @property
    def terms(self) -> Terms:
        return self.existing.terms

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def score(self, summary: Table, as_of: datetime) -> Table:
        """SCORES of a batch of SUMMARY rows (a Table or RecordBatch), cut at `as_of`, in the same order."""
        if isinstance(summary, pa.RecordBatch):
            summary = pa.Table.from_batches([summary])
        if self.acquisition.name == self.existing.name:
            return self.existing.score(summary, as_of)
        new = numbers(summary, "repeat_days") < 1
        parts = [
            model.score(summary.filter(pa.array(mask)), as_of)
            for model, mask in ((self.acquisition, new), (self.existing, ~new))
        ]
        place = np.argsort(np.concatenate([np.flatnonzero(new), np.flatnonzero(~new)]))
        return pa.concat_tables(parts).take(pa.array(place))

    def score_batches(self, batches: Iterable[Table], as_of: datetime) -> Iterator[Table]:
        """SCORES by batches, as they come: memory does not grow with the number of customers."""
        for batch in batches:
            if batch.num_rows:
                yield self.score(batch, as_of).combine_chunks()

    def to_json(self) -> Json:
        return {"acquisition": self.acquisition.to_json(), "existing": self.existing.to_json()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Scorer:
        def load(role: str) -> FittedModel:
            return _LOADERS[kept[role]["model"]](kept[role])

        return cls(load("acquisition"), load("existing"))


def fit(clv: Clv, summary: Table, terms: Terms) -> Scorer:
    """Fit the two configured models on SUMMARY rows cut at `terms.as_of`. Raises NotEnoughHistory."""
    if clv.existing == Column.name:
        column = Column().fit(summary, terms)
        return Scorer(column, column)
    existing = RepeatPurchases().fit(summary, terms)
    return Scorer(FirstOrder(existing).fit(summary, terms), existing)
