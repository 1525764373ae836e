"""Whether a newly fitted model is far from the one before it, by what it gives and by what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clvsync.clv.model import Json


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model says, in numbers that mean the same from fit to fit. `mean_score`: the mean total CLV of
    the customers there were, None without one. `parameters`: see parameters_of."""

    version: str
    mean_score: float | None
    parameters: Mapping[str, float]

    def to_json(self) -> Json:
        return {
            "version": self.version,
            "mean_score": self.mean_score,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Reading:
        return cls(kept["version"], kept["mean_score"], dict(kept["parameters"]))


def parameters_of(kept: Mapping[str, Any]) -> dict[str, float]:
    """What the parameters of a kept scorer say of the business.

    Not the parameters themselves: those of BG/NBD and Gamma-Gamma trade off against each other, so that two
    fits may agree on everything but them.
    """
    found: dict[str, float] = {}
    for role in ("acquisition", "existing"):
        model = kept.get(role, {})
        if (purchases := model.get("bgnbd")) is not None:
            found["purchases a week"] = purchases["r"] / purchases["alpha"]
            found["chance of leaving"] = purchases["a"] / (purchases["a"] + purchases["b"])
        if (spend := model.get("gamma_gamma")) is not None:
            found["value of a purchase"] = spend["p"] * spend["v"] / (spend["q"] - 1.0)
        if "share_kept" in model:
            found["share kept"] = model["share_kept"]
        if "base" in model:
            found["margin after the first order"] = model["base"]
    return found


def jumps(before: Reading, now: Reading, *, mean_score: float, parameters: float) -> tuple[str, ...]:
    """Sentences on what has moved by more than the given shares. A change is counted from the smaller of the
    two, so that halving is as far as doubling; what only one of the two has is no change."""
    found = []
    if before.mean_score is not None and now.mean_score is not None:
        pairs = {"mean total CLV": (before.mean_score, now.mean_score, mean_score)}
    else:
        pairs = {}
    for name in before.parameters.keys() & now.parameters.keys():
        pairs[name] = (before.parameters[name], now.parameters[name], parameters)
    for name, (was, is_now, limit) in sorted(pairs.items()):
        if _moved(was, is_now) > limit:
            found.append(
                f"The {name} went from {was:,.4g} (version {before.version}) to {is_now:,.4g} "
                f"(at most {limit:.0%} is taken without asking)."
            )
    return tuple(found)


def _moved(was: float, is_now: float) -> float:
    low, high = sorted((abs(was), abs(is_now)))
    if was * is_now > 0:
        return high / low - 1.0
    return 0.0 if was == is_now else float("inf")
