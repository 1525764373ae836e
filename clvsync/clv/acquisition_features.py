"""What is known of a customer with the first order, and nothing that came after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.clv.model import Floats, Json, numbers
from clvsync.customers.mapping import FEATURE
from connectors.types import Table

_LABELS = ("channel", "country", "device", "campaign_id")
_AMOUNTS = ("first_order_value",)
_CALENDAR = {"month": pc.month, "weekday": pc.day_of_week, "hour": pc.hour}
"""Of the first order, in the business's zone; Monday is 0."""
_MOST_LEVELS = 200
"""scikit-learn takes at most 255 levels of a feature; the rarer ones count as unknown."""
_FEWEST_OF_A_LEVEL = 20


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of numbers, or of labels where `levels` are given. A label that is none of them is unknown."""

    name: str
    levels: tuple[str, ...] | None = None

    def read(self, summary: Table, timezone: str) -> Floats:
        """Numbers, or places of labels among the levels; NaN where unknown, also where the column is missing
        or of another kind than it was when the model was fitted."""
        unknown = np.full(summary.num_rows, np.nan)
        if self.name in _CALENDAR:
            at = pc.cast(summary["first_order_at"], pa.timestamp("us", tz=timezone))
            return numbers(pa.table({"of": _CALENDAR[self.name](pc.local_timestamp(at))}), "of")
        if self.name not in summary.column_names:
            return unknown
        kind = summary.schema.field(self.name).type
        is_label = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if self.levels is None:
            return unknown if is_label else numbers(summary, self.name)
        if not is_label or not self.levels:
            return unknown
        places = pc.index_in(pc.cast(summary[self.name], pa.string()), pa.array(self.levels, pa.string()))
        return numbers(pa.table({"of": places}), "of")

    def to_json(self) -> Json:
        return {"name": self.name, "levels": None if self.levels is None else list(self.levels)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Feature:
        return cls(kept["name"], None if kept["levels"] is None else tuple(kept["levels"]))


def features_of(summary: Table) -> tuple[Feature, ...]:
    """The features of SUMMARY rows to learn from: labels first, with the levels that are not rare."""
    found = [_labelled(summary, name) for name in _LABELS]
    amounts = [Feature(name) for name in (*_AMOUNTS, *_CALENDAR)]
    amounts = [each for each in amounts if each.name in _CALENDAR or _is_known(summary, each.name)]
    for field in summary.schema:
        if field.name.startswith(FEATURE):
            if not _is_known(summary, field.name):
                continue
            if pa.types.is_floating(field.type):
                amounts.append(Feature(field.name))
            else:
                found.append(_labelled(summary, field.name))
    return (*(feature for feature in found if feature.levels), *amounts)


def read_all(features: Sequence[Feature], summary: Table, timezone: str) -> Floats:
    """One column a feature, one row a customer."""
    columns = [feature.read(summary, timezone) for feature in features]
    return np.stack(columns, axis=1) if columns else np.zeros((summary.num_rows, 0))


def _is_known(summary: Table, name: str) -> bool:
    return bool(summary[name].null_count < summary.num_rows)


def _labelled(summary: Table, name: str) -> Feature:
    counts = pc.value_counts(pc.drop_null(pc.cast(summary[name], pa.string())))
    rows = [(int(row["counts"]), str(row["values"])) for row in counts.to_pylist()]
    often = sorted((-count, level) for count, level in rows if count >= _FEWEST_OF_A_LEVEL)
    return Feature(name, tuple(level for _, level in often[:_MOST_LEVELS]))
