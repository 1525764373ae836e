"""What a sync's `value` may say, and what a person is told where it does not fit together."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from clvsync.config.loading import ConfigurationInvalid, load
from clvsync.config.units import Percentile
from clvsync.config.value_policy import ValuePolicy
from tests.unit.clvsync.config.test_loading import GOOD

TIERS = [{"value": 5}, {"at_least": "p50", "value": 20}, {"at_least": "p90", "value": 90}]


def test_each_policy_can_be_written() -> None:
    tiers = ValuePolicy.model_validate({"policy": "tiers", "tiers": TIERS})
    assert tiers.tiers is not None
    assert [tier.at_least for tier in tiers.tiers] == [None, Percentile(0.5), Percentile(0.9)]
    stage = ValuePolicy.model_validate(
        {"policy": "stage", "stages": {"lead": {"value": 10}, "won": {"probability": "60%"}}}
    )
    assert stage.stages is not None
    assert stage.stages["won"].probability == Decimal("0.6")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "tiers"}, "the policy `tiers` needs `tiers`"),
        ({"policy": "tiers", "tiers": []}, "the policy `tiers` needs `tiers`"),
        ({"policy": "clv", "tiers": TIERS}, "`tiers` is for the policy `tiers`, and this is `clv`"),
        ({"policy": "stage"}, "the policy `stage` needs `stages`"),
        ({"policy": "scaled", "stages": {"a": {"value": 1}}}, "`stages` is for the policy `stage`"),
        ({"policy": "tiers", "tiers": TIERS[1:]}, "every tier but the first"),
        ({"policy": "tiers", "tiers": [TIERS[0], TIERS[0]]}, "every tier but the first"),
        ({"policy": "tiers", "tiers": [TIERS[0], TIERS[2], TIERS[1]]}, "above that of the tier before"),
        (
            {"policy": "tiers", "tiers": [*TIERS, {"at_least": 500, "value": 100}]},
            "either all as amounts or all as percentiles",
        ),
        ({"policy": "tiers", "tiers": [{"value": 7}, {"at_least": 9, "value": 6}]}, "cannot be worth less"),
        ({"policy": "tiers", "tiers": TIERS, "cap": "p99"}, "the cap has to be an amount"),
        ({"policy": "stage", "stages": {"a": {}}}, "either a value or a probability"),
        ({"policy": "stage", "stages": {"a": {"value": 1, "probability": 0.5}}}, "either a value or"),
        ({"policy": "stage", "stages": {"a": {"probability": "120%"}}}, "less than or equal to 1"),
        ({"policy": "stage", "stages": {"Won": {"value": 1}, "won ": {"value": 2}}}, "upper and lower case"),
        ({"cap": 5, "floor": 6}, "the cap 5 is below the floor 6"),
        ({"round_to": 0}, "greater than 0"),
        ({"round_to": "0.00001"}, "decimal places"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ValuePolicy.model_validate(given)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"currency": "USD"}, "sends USD, but business.exchange_rates has no USD"),
        ({"currency": "CHF", "round_to": "0.005"}, "CHF has no amounts of 0.005"),
        ({"round_to": "0.001"}, "EUR has no amounts of 0.001"),
        ({"policy": "stage", "stages": {"won": {"value": 1}}}, "needs tables.orders.stage"),
    ],
)
def test_what_the_rest_of_the_file_does_not_allow_is_refused(
    value: dict[str, Any], says: str, tmp_path: Path
) -> None:
    tree = yaml.safe_load(GOOD)
    tree["business"]["exchange_rates"] = {"CHF": "1.04"}
    tree["syncs"][0]["value"] = value
    path = tmp_path / "clvsync.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(ConfigurationInvalid, match=says):
        load(path, {"TOKEN": "t"})


def test_a_segment_is_named_by_letters_and_a_rate_is_above_zero(tmp_path: Path) -> None:
    tree = yaml.safe_load(GOOD)
    tree["business"]["exchange_rates"] = {"CHF": 0}
    tree["segments"] = {"Best ones": "residual_clv > 5"}
    path = tmp_path / "clvsync.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(ConfigurationInvalid) as refused:
        load(path, {"TOKEN": "t"})
    assert len(refused.value.problems) == 2
