"""How far a model may be from the one before it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.clv import scoring
from clvsync.clv.jump import Reading, jumps, parameters_of
from tests.shop import clv
from tests.unit.clvsync.clv.summaries import simulated, terms

BEFORE = Reading("before", 40.0, {"purchases a week": 0.05, "value of a purchase": 60.0})
AMOUNTS = st.floats(1e-6, 1e9)


def test_what_moved_too_far_is_told_with_both_sides() -> None:
    now = Reading("now", 60.0, {"purchases a week": 0.09, "value of a purchase": 61.0})
    found = jumps(BEFORE, now, mean_score=0.3, parameters=0.5)
    assert found == (
        "The mean total CLV went from 40 (version before) to 60 (at most 30% is taken without asking).",
        "The purchases a week went from 0.05 (version before) to 0.09 (at most 50% is taken without asking).",
    )
    assert jumps(BEFORE, now, mean_score=0.51, parameters=0.81) == ()


@pytest.mark.parametrize("now", [None, 52.0, 40.0 / 1.3 + 1e-6])
def test_what_moved_within_the_bound_is_no_jump(now: float | None) -> None:
    assert jumps(BEFORE, replace(BEFORE, mean_score=now), mean_score=0.3 + 1e-9, parameters=0.5) == ()


@given(AMOUNTS, AMOUNTS, st.floats(0.01, 10))
def test_there_and_back_is_equally_far(one: float, other: float, bound: float) -> None:
    there = jumps(Reading("a", one, {}), Reading("b", other, {}), mean_score=bound, parameters=1)
    back = jumps(Reading("b", other, {}), Reading("a", one, {}), mean_score=bound, parameters=1)
    assert bool(there) == bool(back)
    assert not jumps(Reading("a", one, {}), Reading("b", one, {}), mean_score=bound, parameters=1)


@given(AMOUNTS)
def test_nothing_is_infinitely_far_from_something(amount: float) -> None:
    for pair in ((0.0, amount), (amount, 0.0), (-amount, amount)):
        was, now = (Reading("v", None, {"base": value}) for value in pair)
        assert jumps(was, now, mean_score=1, parameters=1e6)
    nothing = Reading("v", 0.0, {})
    assert not jumps(nothing, nothing, mean_score=0.01, parameters=0.01)


def test_readings_are_of_the_business_and_settle_with_the_data() -> None:
    """Two halves of the same people say nearly the same, though raw parameters may differ."""
    table = simulated(6_000)
    one, other = (
        parameters_of(scoring.fit(clv(), half, terms()).to_json())
        for half in (table.slice(0, 3_000), table.slice(3_000))
    )
    assert set(one) == {
        "purchases a week",
        "chance of leaving",
        "value of a purchase",
        "share kept",
        "margin after the first order",
    }
    assert one["purchases a week"] == pytest.approx(0.4 / 6.0, rel=0.15)
    assert one["chance of leaving"] == pytest.approx(0.8 / 3.3, rel=0.25)
    assert one["value of a purchase"] == pytest.approx(6 * 15 / 3, rel=0.15)
    assert jumps(Reading("a", None, one), Reading("b", None, other), mean_score=1, parameters=0.5) == ()
    assert parameters_of({}) == {}


def test_it_survives_the_ledger() -> None:
    assert Reading.from_json(BEFORE.to_json()) == BEFORE
