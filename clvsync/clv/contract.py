"""The model `contract`: what a lead is worth at each stage on the way to a contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clvsync.clv.subscription import Survival, clv


@dataclass(frozen=True, slots=True)
class Stage:
    """Of `reached` leads whose outcome is decided and who reached the stage, `won` became customers."""

    name: str
    reached: int
    won: int


def win_probabilities(stages: tuple[Stage, ...]) -> Mapping[str, float]:
    """P(win | stage) of each stage, from the first to the last.

    A stage's share is shrunk towards that of the stage before it, which has more leads: (won + s · P(before))
    ÷ (reached + s), with s = SHRINKAGE leads; the first stage stands by itself. Raises ValueError where
    counts cannot be: more won than reached, or a first stage that nobody reached.
    """
    if not stages or stages[0].reached <= 0 or any(not 0 <= each.won <= each.reached for each in stages):
        raise ValueError("stages need 0 ≤ won ≤ reached, and a first stage that leads have reached")
    found: dict[str, float] = {}
    before = stages[0].won / stages[0].reached
    for stage in stages:
        before = (stage.won + SHRINKAGE * before) / (stage.reached + SHRINKAGE)
        found[stage.name] = before
    return found


SHRINKAGE = 20.0
"""Leads' worth of belief in the stage before."""


def project_value(revenue: float, margin: float) -> float:
    """Margin of one project, paid when it is won."""
    return revenue * margin


def retained_value(
    monthly_revenue: float, margin: float, survival: Survival, horizon_months: int, monthly_rate: float
) -> float:
    """Margin of a contract paid monthly, over the months retained within the horizon, discounted to the win.

    The first month is paid at the win; the rest follow the survival.
    """
    if horizon_months <= 0:
        return 0.0
    later = clv(survival, monthly_revenue * margin, np.zeros(1), horizon_months - 1, monthly_rate)
    return monthly_revenue * margin + float(later[0])


def stage_values(probabilities: Mapping[str, float], value: float) -> Mapping[str, float]:
    """CLV of a lead at each stage: P(win | stage) × value of a customer."""
    return {name: probability * value for name, probability in probabilities.items()}


def allowable_costs(values: Mapping[str, float], wanted_ratio: float) -> Mapping[str, float]:
    """What a lead at each stage may cost: its CLV ÷ the wanted LTV:CAC."""
    if wanted_ratio <= 0:
        raise ValueError("the wanted LTV:CAC has to be above zero")
    return {name: value / wanted_ratio for name, value in values.items()}
