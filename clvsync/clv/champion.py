"""What a trial on the past says: which model did best, and whether the configured ones may be sent with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from clvsync.clv.backtest import Group, Quality
from clvsync.clv.candidates import NAIVE
from clvsync.clv.model import Json

FEWEST = 100
"""Customers of whom anything came, below which nothing is judged."""

CLEARLY = 0.05
"""Gini by which a naive model has to be ahead at the acquisition, and beyond chance, before that is more than
a warning: there all naive ones rank by the size of the first order, and a shop that keeps nothing else of it
can but tie."""

_SURE = 3.0
"""Standard errors that make chance unlikely, though customers count at several cut-offs."""


@dataclass(frozen=True, slots=True)
class Standings:
    """All models over all cut-offs. `by_group`: each model's Quality, the cut-offs taken together.
    `by_cutoff`: the configured models' alone. `left_out`: why a model could not be fitted, by name."""

    configured: str
    window_days: int
    by_group: Mapping[Group, Mapping[str, Quality]]
    by_cutoff: Mapping[date, Mapping[Group, Quality]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def champion(self, group: Group, max_bias: float) -> str | None:
        """The model that ranks best (Gini) of those whose bias keeps within the bound; None where none does.
        Error per customer does not decide: where most bring nothing, it is least for predicting nothing."""
        fit = {
            name: quality.gini
            for name, quality in self.by_group.get(group, {}).items()
            if quality.bias is not None and abs(quality.bias) <= max_bias and quality.gini is not None
        }
        return max(fit, key=lambda name: fit[name]) if fit else None

    def to_json(self) -> Json:
        return {
            "configured": self.configured,
            "window_days": self.window_days,
            "groups": {
                str(group): {name: quality.to_json() for name, quality in models.items()}
                for group, models in self.by_group.items()
            },
            "cutoffs": {
                day.isoformat(): {str(group): quality.to_json() for group, quality in groups.items()}
                for day, groups in self.by_cutoff.items()
            },
            "left_out": dict(self.left_out),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Standings:
        return cls(
            kept["configured"],
            kept["window_days"],
            {
                Group(group): {name: Quality.from_json(quality) for name, quality in models.items()}
                for group, models in kept["groups"].items()
            },
            {
                date.fromisoformat(day): {
                    Group(group): Quality.from_json(quality) for group, quality in groups.items()
                }
                for day, groups in kept["cutoffs"].items()
            },
            dict(kept["left_out"]),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences for a person. `failed`: why the configured models may not be sent with. `warned`: what is
    worth knowing all the same. Neither: they have shown what they have to."""

    failed: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def judge(standings: Standings, max_bias: float) -> Verdict:
    """The configured models fail where the total that they predict is off by more than `max_bias` and than
    chance explains, or where a naive model ranks customers at least as well by Gini and by Spearman alike; in
    both of `all` and `acquired`, in the latter by CLEARLY. Groups with fewer than FEWEST buyers are not
    judged."""
    failed: list[str] = []
    warned: list[str] = []
    for group in (Group.ALL, Group.ACQUIRED):
        models = standings.by_group.get(group, {})
        own = models.get(standings.configured)
        if own is None or own.buyers < FEWEST:
            bought = own.buyers if own else 0
            warned.append(
                f"{_WHO[group]}: {bought:,} brought anything in the trial, and {FEWEST} are needed to judge."
            )
            continue
        if own.bias is None or abs(own.bias) > max_bias:
            chance = _SURE * (own.bias_error or 0.0)
            off = "nothing came" if own.bias is None else f"{own.bias:+.0%} of what came"
            beyond = own.bias is None or abs(own.bias) > chance
            (failed if beyond else warned).append(
                f"{_WHO[group]}: the predicted total was off by {off} (at most {max_bias:.0%} either way; "
                f"chance alone explains {chance:.0%})."
            )
        ahead = [name for name in NAIVE if name in models and _ranks_as_well(models[name], own, 0.0)]
        clearly = [
            name
            for name in ahead
            if _ranks_as_well(models[name], own, max(CLEARLY, _SURE * (models[name].gap_error or 0.0)))
        ]
        decisive = ahead if group is Group.ALL else clearly
        if decisive:
            failed.append(f"{_WHO[group]}: {_ranked(decisive, models, own)}")
        elif ahead:
            more = "Map more of what is known with the first order."
            warned.append(f"{_WHO[group]}: {_ranked(ahead, models, own)} {more}")
    for group, models in standings.by_group.items():
        best = standings.champion(group, max_bias)
        own = models.get(standings.configured)
        if best in (None, standings.configured) or best in NAIVE or own is None or own.buyers < FEWEST:
            continue
        warned.append(f"{_WHO[group]}: {best} ranks better than {standings.configured}.")
    return Verdict(tuple(failed), tuple(warned))


_WHO = {
    Group.ALL: "All customers",
    Group.NEW: "Customers with one order",
    Group.ACQUIRED: "New customers on their first day",
}


def _ranks_as_well(naive: Quality, own: Quality, by: float) -> bool:
    """Whether a naive model's Gini is at least `by` higher, and its Spearman no lower."""
    if own.gini is None or own.spearman is None:
        return True
    if naive.gini is None or naive.spearman is None:
        return False
    return naive.gini >= own.gini + by and naive.spearman >= own.spearman


def _ranked(names: Sequence[str], models: Mapping[str, Quality], own: Quality) -> str:
    best = max(names, key=lambda name: models[name].gini or 0.0)
    told = (f"{quality.gini:.2f}" if quality.gini is not None else "none" for quality in (own, models[best]))
    mine, theirs = told
    return f"the models rank them no better (Gini {mine}) than the naive {best} ({theirs})."
