"""Value policies: factor, scale, floor and cap.

What depends on a whole cohort (the scale, a percentile cap) is taken once, from one stated cohort, and kept
as `Constants`: were it taken anew on every run, everyone's value would move a little every day without news.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.config.sections import ValuePolicy
from clvsync.config.units import Percentile
from connectors import currency
from connectors.types import MONEY, Array

Amounts = npt.NDArray[np.float64]

DISTINCT_VALUES_NEEDED = 5
SPREAD_NEEDED = 3.0
"""Meta, Conversions API guide "Predicted lifetime value" (July 2026): at least five distinct positive values,
the highest at least three times the lowest."""


@dataclass(frozen=True, slots=True)
class Constants:
    """What a policy takes from one frozen cohort. `cap` None: none; `customers`: the cohort's size."""

    scale: float
    cap: float | None
    customers: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Constants:
        return cls(scale=float(kept["scale"]), cap=kept["cap"], customers=int(kept["customers"]))


def freeze(policy: ValuePolicy, worth: Amounts, order_value: Amounts) -> Constants:
    """The constants of `policy` from one cohort's worth (CLV or margin) and revenue at the conversion.

    `scaled`: scale k = Σ order_value ÷ Σ worth, so that the sum stays what the platform is used to and only
    the differences change. Without any worth in the cohort, k is 1.
    """
    scale = 1.0
    if policy.policy == "scaled":
        total = float(np.nansum(worth))
        scale = float(np.nansum(order_value)) / total if total > 0 else 1.0
    cap: float | None = None
    if isinstance(policy.cap, Percentile):
        known = worth[~np.isnan(worth)]
        if known.size:
            cap = float(np.quantile(known, policy.cap.share)) * scale * float(policy.factor)
    elif policy.cap is not None:
        cap = float(policy.cap)
    return Constants(scale=scale, cap=cap, customers=int(worth.size))


def values(policy: ValuePolicy, constants: Constants, worth: Amounts, code: str) -> Array:
    """Values to send, MONEY, rounded half to even to the minor units of currency `code`.

    worth × scale × factor, then at most the cap, then at least the floor; null where the worth is unknown.
    """
    amounts = worth * constants.scale * float(policy.factor)
    if constants.cap is not None:
        amounts = np.minimum(amounts, constants.cap)
    amounts = np.maximum(amounts, float(policy.floor))
    rounded = pc.round(
        pa.array(amounts, from_pandas=True), ndigits=currency.decimals(code), round_mode="half_to_even"
    )
    return pc.cast(rounded, MONEY, safe=False)


@dataclass(frozen=True, slots=True)
class Spread:
    """How values differ. `ready` is Meta's requirement for predicted lifetime value."""

    rows: int
    total: Decimal
    distinct: int
    lowest: Decimal
    median: Decimal
    highest: Decimal
    tenth_ratio: float | None
    """Mean of the top tenth ÷ mean of the bottom tenth."""

    @property
    def ready(self) -> bool:
        return (
            self.distinct >= DISTINCT_VALUES_NEEDED
            and self.lowest > 0
            and float(self.highest) >= SPREAD_NEEDED * float(self.lowest)
        )


def spread(sent: Array) -> Spread | None:
    """How a column of values (MONEY) differs; None where there is none."""
    ordered = np.sort(np.asarray(pc.cast(pc.drop_null(sent), pa.float64())))
    if not ordered.size:
        return None
    tenth = max(ordered.size // 10, 1)
    bottom = float(ordered[:tenth].mean())
    return Spread(
        rows=int(ordered.size),
        total=pc.sum(sent).as_py(),
        distinct=int(pc.count_distinct(sent).as_py()),
        lowest=pc.min(sent).as_py(),
        median=Decimal(str(round(float(np.median(ordered)), 4))),
        highest=pc.max(sent).as_py(),
        tenth_ratio=float(ordered[-tenth:].mean()) / bottom if bottom > 0 else None,
    )
