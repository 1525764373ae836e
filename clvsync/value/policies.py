"""Value policies: clv, scaled, tiers and stage; factor, cap, floor, conversion and rounding.

What depends on a whole cohort (the scale, percentiles) is taken once, from one stated cohort, and kept as
`Constants`: were it taken anew on every run, everyone's value would move a little every day without news.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.config.units import Percentile
from clvsync.config.value_policy import Tier, ValuePolicy
from connectors import currency
from connectors.types import MONEY, Array

Amounts = npt.NDArray[np.float64]

_UNITS = 10_000
"""MONEY counts in ten-thousandths."""
_LARGEST = 1e14
"""MONEY holds 14 digits before the point; what is larger is no amount."""


@dataclass(frozen=True, slots=True)
class Constants:
    """What a policy takes from one frozen cohort. `cap` None: none; `customers`: the cohort's size;
    `thresholds`: where each tier begins, in CLV."""

    scale: float
    cap: float | None
    customers: int
    thresholds: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"thresholds": list(self.thresholds)}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Constants:
        return cls(
            scale=float(kept["scale"]),
            cap=kept["cap"],
            customers=int(kept["customers"]),
            thresholds=tuple(kept.get("thresholds", ())),
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a policy: its name, what it works with (a factor, a limit, a rate; None where that differs
    by row), and the amounts after it, in the business's currency until the step `currency`."""

    name: str
    by: float | None
    amounts: Amounts


def freeze(policy: ValuePolicy, worth: Amounts, order_value: Amounts) -> Constants:
    """The constants of `policy` from one cohort's worth (CLV or margin) and revenue at the conversion.

    `scaled`: scale k = Σ order_value ÷ Σ worth, so that the sum stays what the platform is used to and only
    the differences change. Without any worth in the cohort, k is 1, and there is no percentile.
    """
    known = worth[np.isfinite(worth)]
    scale = 1.0
    if policy.policy == "scaled":
        total = float(known.sum())
        scale = float(np.nansum(order_value)) / total if total > 0 else 1.0
    cap: float | None = None
    if isinstance(policy.cap, Percentile):
        if known.size:
            cap = float(np.quantile(known, policy.cap.share)) * scale * float(policy.factor)
    elif policy.cap is not None:
        cap = float(policy.cap)
    return Constants(scale, cap, int(worth.size), _thresholds(policy.tiers or (), known))


def _thresholds(tiers: Sequence[Tier], known: Amounts) -> tuple[float, ...]:
    found: list[float] = []
    for tier in tiers:
        if not isinstance(tier.at_least, Percentile):
            found.append(float(tier.at_least or 0))
        elif known.size:
            found.append(float(np.quantile(known, tier.at_least.share)))
    return tuple(found)


def step_size(policy: ValuePolicy, code: str) -> Decimal:
    """What amounts in currency `code` are multiples of."""
    return policy.round_to or Decimal(1).scaleb(-currency.decimals(code))


def steps(
    policy: ValuePolicy,
    constants: Constants,
    worth: Amounts,
    *,
    rate: Decimal = Decimal(1),
    stages: Array | None = None,
) -> Iterator[Step]:
    """The policy step by step, from worth to amounts that are rounded no more than floats are; NaN where
    nothing is known. `rate` and `stages` as in `values`."""
    amounts = np.where(np.isfinite(worth), worth, np.nan)
    if policy.policy == "scaled":
        amounts = amounts * constants.scale
        yield Step("scale", constants.scale, amounts)
    elif policy.policy == "tiers":
        amounts = _by_tier(policy.tiers or (), constants, amounts)
        yield Step("tier", None, amounts)
    elif policy.policy == "stage":
        amounts = _by_stage(policy, amounts, stages)
        yield Step("stage", None, amounts)
    if policy.factor != 1:
        amounts = amounts * float(policy.factor)
        yield Step("factor", float(policy.factor), amounts)
    if constants.cap is not None:
        amounts = np.minimum(amounts, constants.cap)
        yield Step("cap", constants.cap, amounts)
    amounts = np.maximum(amounts, float(policy.floor))
    yield Step("floor", float(policy.floor), amounts)
    if rate != 1:
        amounts = amounts / float(rate)
        yield Step("currency", float(rate), amounts)


def values(
    policy: ValuePolicy,
    constants: Constants,
    worth: Amounts,
    code: str,
    *,
    rate: Decimal = Decimal(1),
    stages: Array | None = None,
) -> Array:
    """Values to send, MONEY, in currency `code`, one unit of which is worth `rate` of the business's own.

    The last of `steps`, rounded half to even to multiples of `step_size`, which never takes a value above the
    cap or below the floor (where no multiple lies between them, the floor holds). `stages`, for the policy
    `stage`, is how far each lead has come. Null where nothing is known, or where it is more than MONEY holds.
    """
    *_, last = steps(policy, constants, worth, rate=rate, stages=stages)
    size = step_size(policy, code)
    with np.errstate(invalid="ignore"):
        counts = np.rint(last.amounts / float(size))
        if constants.cap is not None:
            counts = np.minimum(counts, _whole(Decimal(str(round(constants.cap, 4))) / rate / size, up=False))
        counts = np.maximum(counts, _whole(policy.floor / rate / size, up=True))
        unknown = ~(np.abs(last.amounts) < _LARGEST)
    units = np.where(unknown, 0.0, counts).astype(np.int64) * int(size * _UNITS)
    return _money(units, unknown)


def _whole(steps_to_limit: Decimal, *, up: bool) -> float:
    rounding = "ROUND_CEILING" if up else "ROUND_FLOOR"
    return float(steps_to_limit.to_integral_value(rounding))


def _money(units: npt.NDArray[np.int64], unknown: npt.NDArray[np.bool_]) -> Array:
    """MONEY from ten-thousandths, exactly."""
    whole = pc.cast(pa.array(units, mask=unknown), pa.decimal128(19, 0))
    unit = pa.scalar(Decimal(1) / _UNITS, pa.decimal128(5, 4))
    return pc.cast(pc.multiply(whole, unit), MONEY)


def _by_tier(tiers: Sequence[Tier], constants: Constants, worth: Amounts) -> Amounts:
    """The value of the highest tier whose threshold is reached; below the first, the first."""
    reached = np.searchsorted(np.asarray(constants.thresholds), worth, side="right") - 1
    table = np.array([float(tier.value) for tier in tiers])
    found: Amounts = np.where(np.isnan(worth), np.nan, table[np.maximum(reached, 0)])
    return found


def _by_stage(policy: ValuePolicy, worth: Amounts, stages: Array | None) -> Amounts:
    """The stage's amount, or its probability × worth; NaN for a stage that the policy does not name."""
    if stages is None:
        return np.full_like(worth, np.nan)
    if isinstance(stages, pa.ChunkedArray):
        stages = stages.combine_chunks()
    coded = pc.dictionary_encode(pc.utf8_lower(stages))
    known = {name.strip().lower(): stage for name, stage in (policy.stages or {}).items()}
    fixed, share = [np.nan], [np.nan]
    for name in coded.dictionary.to_pylist():
        stage = known.get(name)
        fixed.append(float(stage.value) if stage and stage.value is not None else np.nan)
        share.append(float(stage.probability) if stage and stage.probability is not None else np.nan)
    at = np.asarray(pc.fill_null(pc.cast(coded.indices, pa.int64()), -1)) + 1
    of_stage = np.array(fixed)[at]
    found: Amounts = np.where(np.isnan(of_stage), np.array(share)[at] * worth, of_stage)
    return found
