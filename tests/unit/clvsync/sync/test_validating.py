"""Which days of the past are taken."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.sync.validating import SHORTEST_WINDOW, History, usual_cutoffs, usual_window

FIRST = date(2024, 1, 1)
YEAR = timedelta(days=365)


def history(days: int) -> History:
    return History(FIRST, FIRST + timedelta(days=days))


@given(st.integers(0, 4000), st.integers(1, 1000), st.integers(1, 12))
def test_every_window_has_passed_and_has_as_long_a_past(days: int, horizon: int, most: int) -> None:
    known = history(days)
    window = usual_window(timedelta(days=horizon), known)
    assert window <= timedelta(days=horizon)
    assert window <= known.length / 3
    found = usual_cutoffs(known, window, most)
    assert found == sorted(set(found))
    assert len(found) <= most
    for day in found:
        assert day + window <= known.last
        assert known.first + window <= day
    assert bool(found) == (window >= SHORTEST_WINDOW)
    if found:
        assert found[-1] == known.last - window
        assert {later - earlier for earlier, later in pairwise(found)} <= {timedelta(days=window.days // 2)}


@pytest.mark.parametrize(
    ("days", "window", "cutoffs"),
    [(730, 243, 3), (1_095, 365, 3), (3_650, 365, 3), (83, 27, 0), (84, 28, 3), (0, 0, 0)],
)
def test_by_default_three_half_a_window_apart(days: int, window: int, cutoffs: int) -> None:
    known = history(days)
    assert usual_window(YEAR, known).days == window
    assert len(usual_cutoffs(known, usual_window(YEAR, known), 3)) == cutoffs


def test_a_configured_window_may_leave_room_for_fewer() -> None:
    assert usual_cutoffs(history(700), YEAR, 3) == []
    assert usual_cutoffs(history(800), YEAR, 3) == [FIRST + timedelta(days=800) - YEAR]
