"""Who did best, and who may be sent with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.clv.backtest import Group, Quality
from clvsync.clv.champion import CLEARLY, FEWEST, Standings, judge

OURS, RIVAL = "first_order + bgnbd", "bgnbd"
GOOD = Quality(
    customers=1_000,
    buyers=400,
    predicted=1_000.0,
    actual=1_000.0,
    bias=0.0,
    bias_error=0.03,
    mean_absolute_error=1.0,
    spearman=0.4,
    gini=0.6,
    gap_error=0.01,
    top_fifth=0.6,
    tenths=((1_000, 1.0, 1.0),),
)
NAIVE = replace(GOOD, bias=2.0, spearman=0.2, gini=0.4)


def standings(own: Quality = GOOD, *, group: Group = Group.ALL, **others: Any) -> Standings:
    """Ours, a challenger and a naive one in every group, changed in one."""
    usual = {OURS: GOOD, RIVAL: replace(GOOD, gini=0.5), "historical": NAIVE, "average": NAIVE}
    by_group = {each: dict(usual) for each in Group}
    by_group[group] |= {OURS: own, **others}
    return Standings(OURS, 90, by_group, {date(2026, 1, 1): {group: own}})


def test_a_good_model_has_nothing_against_it() -> None:
    verdict = judge(standings(), 0.25)
    assert (verdict.failed, verdict.warned) == ((), ())


@pytest.mark.parametrize("group", [Group.ALL, Group.ACQUIRED])
@pytest.mark.parametrize(("bias", "fails"), [(0.25, False), (-0.25, False), (0.26, True), (-0.26, True)])
def test_bias_beyond_the_bound_fails(group: Group, bias: float, fails: bool) -> None:
    verdict = judge(standings(replace(GOOD, bias=bias), group=group), 0.25)
    assert bool(verdict.failed) is fails
    if fails:
        assert f"{bias:+.0%} of what came (at most 25% either way" in verdict.failed[0]


def test_nothing_that_came_has_no_bias_and_fails() -> None:
    assert "nothing came" in judge(standings(replace(GOOD, bias=None)), 0.25).failed[0]


@pytest.mark.parametrize(
    ("gini", "spearman", "fails"),
    [
        (0.6, 0.4, True),  # as good by both
        (0.7, 0.5, True),
        (0.7, 0.39, False),  # better by one alone
        (0.59, 0.5, False),
        (None, None, False),  # one value for all ranks nobody
    ],
)
def test_who_ranks_no_better_than_a_naive_model_fails(
    gini: float | None, spearman: float | None, fails: bool
) -> None:
    verdict = judge(standings(historical=replace(NAIVE, gini=gini, spearman=spearman)), 0.25)
    assert bool(verdict.failed) is fails
    if fails:
        assert f"(Gini 0.60) than the naive historical ({gini:.2f})" in verdict.failed[0]


def test_one_value_for_all_ranks_no_better_than_anyone() -> None:
    assert judge(standings(replace(GOOD, gini=0.0, spearman=None)), 0.25).failed


@pytest.mark.parametrize(("ahead", "fails"), [(0.0, False), (CLEARLY / 2, False), (CLEARLY + 1e-9, True)])
def test_at_the_acquisition_a_naive_model_has_to_be_clearly_ahead(ahead: float, fails: bool) -> None:
    naive = replace(NAIVE, gini=0.6 + ahead, spearman=0.4)
    verdict = judge(standings(group=Group.ACQUIRED, historical=naive), 0.25)
    assert bool(verdict.failed) is fails
    assert bool(verdict.warned) is not fails


def test_too_few_are_not_judged_and_that_is_said() -> None:
    few = replace(GOOD, buyers=FEWEST - 1, bias=9.0, gini=0.0)
    verdict = judge(standings(few), 0.25)
    assert verdict.failed == ()
    assert "99 brought anything" in verdict.warned[0]
    nobody = replace(standings(), by_group={Group.ALL: {OURS: GOOD}})
    assert judge(nobody, 0.25).failed == ()
    assert "0 brought anything" in judge(nobody, 0.25).warned[0]


@pytest.mark.parametrize(("error", "fails"), [(0.02, True), (0.04, False)])
def test_what_chance_may_explain_is_no_failure_at_the_acquisition(error: float, fails: bool) -> None:
    naive = replace(NAIVE, gini=0.7, spearman=0.5, gap_error=error)
    assert bool(judge(standings(group=Group.ACQUIRED, historical=naive), 0.25).failed) is fails


@pytest.mark.parametrize(("error", "fails"), [(0.09, True), (0.11, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_what_chance_may_explain_is_no_bias(error: float, fails: bool, sign: int) -> None:
    verdict = judge(standings(replace(GOOD, bias=sign * 0.3, bias_error=error)), 0.25)
    assert bool(verdict.failed) is fails
    assert f"chance alone explains {3 * error:.0%}" in (*verdict.failed, *verdict.warned)[0]


def test_a_better_challenger_is_named() -> None:
    verdict = judge(standings(group=Group.NEW, bgnbd=replace(GOOD, gini=0.61)), 0.25)
    assert verdict.failed == ()
    assert verdict.warned == (f"Customers with one order: bgnbd ranks better than {OURS}.",)


qualities = st.builds(
    lambda bias, gini: replace(GOOD, bias=bias, gini=gini),
    st.none() | st.floats(-1, 5),
    st.none() | st.floats(-1, 1),
)


@given(st.dictionaries(st.sampled_from("abcd"), qualities, max_size=4), st.floats(0.01, 2))
def test_the_champion_ranks_best_of_those_within_the_bound(models: dict[str, Quality], bound: float) -> None:
    found = Standings("a", 90, {Group.ALL: models}, {}).champion(Group.ALL, bound)
    fit = [each for each in models.values() if each.bias is not None and abs(each.bias) <= bound]
    ginis = [each.gini for each in fit if each.gini is not None]
    if not ginis:
        assert found is None
    else:
        assert found is not None
        assert models[found].gini == max(ginis)
        assert models[found] in fit


@given(st.dictionaries(st.sampled_from([OURS, RIVAL, "average"]), qualities, min_size=1))
def test_standings_survive_the_ledger(models: dict[str, Quality]) -> None:
    kept = Standings(
        OURS, 90, {Group.NEW: models}, {date(2026, 2, 3): {Group.ALL: GOOD}}, {"contract": "no stages"}
    )
    assert Standings.from_json(kept.to_json()) == kept
