from __future__ import annotations

import pytest

from clvsync.clv.contract import (
    SHRINKAGE,
    Stage,
    allowable_costs,
    project_value,
    retained_value,
    stage_values,
    win_probabilities,
)
from clvsync.clv.subscription import ConstantChurn

STAGES = (Stage("lead", 1000, 50), Stage("qualified", 300, 48), Stage("offer", 2, 2))


def test_later_stages_win_more_often_and_thin_ones_are_shrunk() -> None:
    found = win_probabilities(STAGES)
    assert found["lead"] == pytest.approx(0.05)
    qualified = (48 + SHRINKAGE * 0.05) / (300 + SHRINKAGE)
    assert found["qualified"] == pytest.approx(qualified)
    assert found["offer"] == pytest.approx((2 + SHRINKAGE * qualified) / (2 + SHRINKAGE))
    assert found["offer"] < 0.3


def test_a_contract_is_worth_its_retained_months_within_the_horizon() -> None:
    assert retained_value(100, 0.5, ConstantChurn(0.1), 3, 0.0) == pytest.approx(50 * (1 + 0.9 + 0.81))
    assert retained_value(100, 0.5, ConstantChurn(0.1), 0, 0.0) == 0
    discounted = retained_value(100, 0.5, ConstantChurn(0.0), 2, 0.01)
    assert discounted == pytest.approx(50 * (1 + 1 / 1.01))


def test_what_a_lead_may_cost() -> None:
    values = stage_values(win_probabilities(STAGES), project_value(20_000, 0.3))
    assert values["lead"] == pytest.approx(0.05 * 6000)
    assert allowable_costs(values, 2.0)["lead"] == pytest.approx(150)
    with pytest.raises(ValueError, match="above zero"):
        allowable_costs(values, 0)


@pytest.mark.parametrize("stages", [(), (Stage("lead", 0, 0),), (Stage("lead", 5, 6),)])
def test_counts_that_cannot_be_are_refused(stages: tuple[Stage, ...]) -> None:
    with pytest.raises(ValueError, match="won ≤ reached"):
        win_probabilities(stages)
