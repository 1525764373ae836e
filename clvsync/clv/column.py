"""The model `column`: CLV as the source has it, computed by the business's own model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from clvsync.clv.model import SCORES, Json, Terms, numbers, realised, version_of
from connectors.types import Table


class Column:
    name = "column"

    def fit(self, summary: Table, terms: Terms) -> FittedColumn:  # noqa: ARG002
        """Nothing to learn."""
        return FittedColumn(terms)


@dataclass(frozen=True, slots=True)
class FittedColumn:
    """Total and residual CLV are taken as they are, whatever horizon they were computed for; negative ones
    count as nothing and absent ones stay unknown (null). Realised value is the order summary's."""

    terms: Terms
    name: str = Column.name

    @property
    def version(self) -> str:
        return version_of(self.to_json())

    def score(self, summary: Table, as_of: datetime) -> Table:  # noqa: ARG002
        rows = summary.num_rows
        clv = {name: np.maximum(numbers(summary, name), 0.0) for name in ("total_clv", "residual_clv")}
        clv = {name: np.where(np.isfinite(values), values, np.nan) for name, values in clv.items()}
        return pa.table(
            [
                summary["customer_key"],
                pa.array(clv["total_clv"], from_pandas=True),
                pa.array(clv["residual_clv"], from_pandas=True),
                pa.array(realised(summary)),
                pa.nulls(rows, pa.float64()),
                pa.nulls(rows, pa.float64()),
                pa.repeat(self.name, rows),
            ],
            schema=SCORES,
        )

    def to_json(self) -> Json:
        return {"model": self.name, "terms": self.terms.to_json()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FittedColumn:
        return cls(Terms.from_json(kept["terms"]))
