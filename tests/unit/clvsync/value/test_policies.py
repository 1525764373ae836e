"""Value policies: the arithmetic, the order of its steps, and money that stays exact."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.config.value_policy import ValuePolicy
from clvsync.value.policies import Constants, freeze, step_size, steps, values

WORTH = np.array([10.0, 20.0, 30.0, 40.0])
REVENUE = np.array([50.0, 50.0, 50.0, 50.0])


def test_clv_is_sent_times_the_factor() -> None:
    policy = ValuePolicy(policy="clv", factor=Decimal("0.5"))
    sent = values(policy, freeze(policy, WORTH, REVENUE), WORTH, "EUR")
    assert sent.to_pylist() == [Decimal("5.0000"), Decimal("10.0000"), Decimal("15.0000"), Decimal("20.0000")]


def test_scaled_keeps_the_sum_that_the_platform_is_used_to() -> None:
    policy = ValuePolicy(policy="scaled")
    constants = freeze(policy, WORTH, REVENUE)
    assert constants.scale == pytest.approx(2.0)
    assert sum(values(policy, constants, WORTH, "EUR").to_pylist()) == Decimal(200)


def test_cap_and_floor_hold_and_the_cap_is_frozen_in_sent_units() -> None:
    policy = ValuePolicy(policy="scaled", cap="p50", floor=Decimal(30))  # type: ignore[arg-type]
    constants = freeze(policy, WORTH, REVENUE)
    assert constants.cap == pytest.approx(50.0)
    assert values(policy, constants, np.array([1.0, 20.0, 9_999.0]), "EUR").to_pylist() == [
        Decimal("30.0000"),
        Decimal("40.0000"),
        Decimal("50.0000"),
    ]


def test_unknown_worth_stays_unknown() -> None:
    policy = ValuePolicy(floor=Decimal(5))
    assert values(policy, Constants(1.0, None, 0), np.array([np.nan, 7.0]), "EUR").to_pylist() == [
        None,
        Decimal("7.0000"),
    ]


@pytest.mark.parametrize(("code", "sent"), [("JPY", "1235"), ("EUR", "1234.57"), ("KWD", "1234.568")])
def test_rounded_once_to_the_minor_units_of_the_currency(code: str, sent: str) -> None:
    out = values(ValuePolicy(), Constants(1.0, None, 0), np.array([1234.5678]), code)
    assert out.to_pylist() == [Decimal(sent).quantize(Decimal("0.0001"))]


@given(
    worth=st.lists(st.floats(0, 1e9), min_size=1, max_size=50),
    floor=st.decimals(0, 1000, places=2),
    cap=st.decimals(1000, 100_000, places=2),
)
def test_values_stay_between_floor_and_cap_and_never_change_the_order(
    worth: list[float], floor: Decimal, cap: Decimal
) -> None:
    policy = ValuePolicy(floor=floor, cap=cap)
    column = np.sort(np.array(worth))
    sent = values(policy, freeze(policy, column, column), column, "EUR").to_pylist()
    assert all(floor <= value <= cap for value in sent)
    assert sent == sorted(sent)


# --- Tiers, stages, currencies, coarse rounding ------------------------------------------------------------

PLAIN = Constants(1.0, None, 0)


def tiers(*bands: tuple[object, object], **others: object) -> ValuePolicy:
    given = [{"at_least": at_least or None, "value": value} for at_least, value in bands]
    return ValuePolicy.model_validate({"policy": "tiers", "tiers": given, **others})


def test_a_tier_begins_at_its_threshold_in_money() -> None:
    policy = tiers((0, 5), (50, 20), ("100.5", 90))
    worth = np.array([0.0, 49.99, 50.0, 100.49, 100.5, 1e6, np.nan])
    sent = values(policy, freeze(policy, WORTH, REVENUE), worth, "EUR").to_pylist()
    assert sent == [Decimal(value) if value is not None else None for value in (5, 5, 20, 20, 90, 90, None)]


def test_tiers_by_percentile_are_frozen_from_the_cohort_and_kept_through_json() -> None:
    policy = tiers((0, 1), ("p50", 2), ("p90", 3))
    cohort = np.arange(101.0)
    constants = freeze(policy, cohort, cohort)
    assert constants.thresholds == (0.0, 50.0, 90.0)
    kept = Constants.from_json(constants.to_json())
    assert kept == constants
    # Others than the cohort, all of them worth much: by its thresholds, not by their own.
    assert values(policy, kept, np.array([91.0, 95.0, 200.0]), "EUR").to_pylist() == [Decimal(3)] * 3


def test_without_a_cohort_everyone_is_in_the_lowest_tier() -> None:
    policy = tiers((0, 1), ("p50", 2))
    nobody = np.array([])
    assert values(policy, freeze(policy, nobody, nobody), np.array([7.0]), "EUR").to_pylist() == [Decimal(1)]


def stages(**others: object) -> ValuePolicy:
    given = {"Lead": {"value": "12.50"}, "qualified": {"probability": "20%"}, "lost": {"value": 0}}
    return ValuePolicy.model_validate({"policy": "stage", "stages": given, **others})


def test_a_stage_is_worth_its_amount_or_its_probability_of_the_clv() -> None:
    at = pa.array(["lead", "Qualified", "QUALIFIED", "lost", "negotiating", None, "LEAD", "qualified"])
    worth = np.array([1_000.0, 1_000.0, 55.55, 1_000.0, 1_000.0, 1_000.0, np.nan, np.nan])
    sent = values(stages(), PLAIN, worth, "EUR", stages=at).to_pylist()
    expected = ("12.50", "200", "11.11", "0", None, None, "12.50", None)
    assert sent == [None if value is None else Decimal(value) for value in expected]
    chunked = values(stages(), PLAIN, worth, "EUR", stages=pa.chunked_array([at.slice(0, 3), at.slice(3)]))
    assert chunked.to_pylist() == sent


def test_rows_without_any_stage_have_no_value() -> None:
    assert values(stages(), PLAIN, np.array([3.0]), "EUR").to_pylist() == [None]


def test_converted_once_and_rounded_in_the_currency_sent() -> None:
    # 1 USD is worth 0.92 EUR: 100 EUR are 108.695… USD; 1 JPY is worth 0.0058 EUR.
    worth = np.array([100.0])
    assert values(ValuePolicy(), PLAIN, worth, "USD", rate=Decimal("0.92")).to_pylist() == [Decimal("108.70")]
    assert values(ValuePolicy(), PLAIN, worth, "JPY", rate=Decimal("0.0058")).to_pylist() == [Decimal(17241)]


def test_limits_are_in_the_business_own_currency_and_hold_after_rounding() -> None:
    policy = ValuePolicy(floor=Decimal(10), cap=Decimal(20), round_to=Decimal(4))
    constants = freeze(policy, WORTH, REVENUE)
    worth = np.array([0.0, 10.0, 14.0, 19.9, 1e9])
    # 10 to 20 EUR are 20 to 40 of a currency worth half: multiples of 4 from 20 to 40.
    sent = values(policy, constants, worth, "USD", rate=Decimal("0.5")).to_pylist()
    assert sent == [Decimal(each) for each in (20, 20, 28, 40, 40)]
    # In EUR itself the multiples within are 12, 16 and 20.
    assert values(policy, constants, worth, "EUR").to_pylist() == [
        Decimal(each) for each in (12, 12, 16, 20, 20)
    ]


def test_what_is_no_amount_is_unknown() -> None:
    worth = np.array([np.inf, -np.inf, np.nan, 1e300, 1e14, 9.9e13])
    sent = values(ValuePolicy(), PLAIN, worth, "EUR").to_pylist()
    assert sent[:5] == [None] * 5
    assert sent[5] == Decimal(99_000_000_000_000)


def test_a_policy_of_before_tiers_is_read_as_it_was_kept() -> None:
    assert Constants.from_json({"scale": 2, "cap": None, "customers": 3}) == Constants(2.0, None, 3, ())


POLICIES = st.one_of(
    st.builds(
        lambda policy, factor, floor, width, percentile, round_to: ValuePolicy.model_validate(
            {
                "policy": policy,
                "factor": factor,
                "floor": floor,
                "cap": percentile or floor + width,
                "round_to": round_to,
            }
        ),
        st.sampled_from(["clv", "scaled"]),
        st.decimals("0.01", 50, places=2),
        st.decimals(0, 500, places=2),
        st.decimals(1, 10_000, places=2),
        st.sampled_from([None, None, "p50", "p99"]),
        st.sampled_from([None, "0.05", "1", "2.50", "25"]),
    ),
    st.builds(
        lambda steps_up, values_up, floor, percentiles: tiers(
            (0, values_up[0]),
            *(
                (f"p{at}" if percentiles else at, sum(values_up[: place + 2]))
                for place, at in enumerate(sorted(steps_up))
            ),
            floor=floor,
        ),
        st.sets(st.integers(1, 99), min_size=3, max_size=3),
        st.lists(st.decimals(0, 100, places=2), min_size=4, max_size=4),
        st.decimals(0, 50, places=2),
        st.booleans(),
    ),
)


@given(
    policy=POLICIES,
    cohort=st.lists(st.floats(0, 1e6), max_size=30),
    worth=st.lists(st.floats(0, 1e9) | st.just(np.nan), min_size=1, max_size=30),
    sent_in=st.sampled_from([("EUR", "1"), ("USD", "0.92"), ("JPY", "0.0058"), ("KWD", "3.01")]),
)
def test_any_policy_is_monotone_within_its_limits_exact_and_never_nan(
    policy: ValuePolicy, cohort: list[float], worth: list[float], sent_in: tuple[str, str]
) -> None:
    code, rate = sent_in[0], Decimal(sent_in[1])
    of_cohort = np.array(cohort)
    constants = freeze(policy, of_cohort, of_cohort * 3)
    column = np.sort(np.array(worth))
    sent = values(policy, constants, column, code, rate=rate).to_pylist()
    assert [value is None for value in sent] == np.isnan(column).tolist()
    known = [value for value in sent if value is not None]
    assert known == sorted(known)
    size = step_size(policy, code)
    assert all(value % size == 0 for value in known)
    floor = policy.floor / rate
    assert all(value >= floor for value in known)
    if constants.cap is not None:
        # Where no multiple lies between the two, the floor holds.
        cap = max(Decimal(str(round(constants.cap, 4))) / rate, floor + size)
        assert all(value <= cap for value in known)
    *_, last = steps(policy, constants, column, rate=rate)
    for value, exact in zip(known, last.amounts[~np.isnan(column)].tolist(), strict=True):
        below_cap = constants.cap is None or Decimal(exact) <= Decimal(constants.cap) / rate - size
        if below_cap and floor + size <= Decimal(exact):
            assert abs(Decimal(exact) - value) <= size / 2 * Decimal("1.000001")


def test_the_steps_are_those_of_the_value() -> None:
    policy = ValuePolicy(policy="scaled", factor=Decimal("0.5"), cap=Decimal(40), floor=Decimal(3))
    constants = freeze(policy, WORTH, REVENUE)
    worth = np.array([10.0, 1.0, 100.0])
    told = list(steps(policy, constants, worth, rate=Decimal("0.8")))
    assert [step.name for step in told] == ["scale", "factor", "cap", "floor", "currency"]
    assert [step.by for step in told] == [2.0, 0.5, 40.0, 3.0, 0.8]
    assert told[-1].amounts.tolist() == [12.5, 3.75, 50.0]
    sent = values(policy, constants, worth, "USD", rate=Decimal("0.8"))
    assert sent.to_pylist() == [Decimal("12.50"), Decimal("3.75"), Decimal("50.00")]
