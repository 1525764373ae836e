"""What a condition may say, and that noise moves nobody in and out."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.segments.conditions import Amounts, Condition, Threshold, parse
from clvsync.segments.definitions import BUILT_IN, definitions
from connectors.errors import FixConfiguration

MARGIN = 0.1


@pytest.fixture
def scores() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create table scores as select i as customer_key, i::double as residual_clv, 2.0 * i as total_clv,"
        " case when i > 50 then i / 100.0 end as probability_alive, i as days_since_last_order,"
        " i % 4 as orders, case when i % 2 = 0 then 'DE' end as country from range(1, 101) t(i)"
    )
    return connection


def amounts_in(scores: duckdb.DuckDBPyConnection, condition: Condition) -> Amounts:
    found = {}
    for each in condition.thresholds:
        row = scores.execute(f"select quantile_cont({each.column}, {each.share}) from scores").fetchone()
        assert row is not None
        found[each] = float(row[0])
    return found


def members(scores: duckdb.DuckDBPyConnection, where: str | None, **segments: str) -> int:
    condition = parse("sync best", where, definitions(segments))
    chosen = condition.enter(amounts_in(scores, condition))
    row = scores.execute(f"select count(*) from scores where {chosen}").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("where", "count"),
    [
        (None, 100),
        ("residual_clv >= p90", 10),
        ("p90 <= residual_clv", 10),
        ("p90 < residual_clv and 3 > orders", 7),
        ("residual_clv >= p99.5", 1),
        ("residual_clv between p50 and p90", 40),
        ("RESIDUAL_CLV > 50 and country = 'DE'", 25),
        ("country is null or orders in (0, 1)", 75),
        ("not (total_clv between 20 and 200)", 9),
        ("residual_clv > 95 or residual_clv < 6 and country = 'DE'", 7),
        ("(residual_clv > 95 or residual_clv < 6) and country = 'DE'", 5),
        ("one_time", 25),
        ("one_time and not low_value", 20),
        ("total_clv > residual_clv", 100),
        ("true", 100),
    ],
)
def test_condition_chooses_members(scores: duckdb.DuckDBPyConnection, where: str | None, count: int) -> None:
    assert members(scores, where) == count


def test_a_segment_is_a_set_so_who_is_not_known_to_be_in_it_is_not(
    scores: duckdb.DuckDBPyConnection,
) -> None:
    """Fifty have no probability alive; none of them was away for a year."""
    assert members(scores, "lapsed") == 0
    assert members(scores, "not lapsed") == 100


def test_segments_are_made_of_segments_and_a_configured_name_replaces_ours(
    scores: duckdb.DuckDBPyConnection,
) -> None:
    assert (
        members(scores, "german_best", best="residual_clv > 90", german_best="best and country = 'DE'") == 5
    )
    assert members(scores, "one_time", one_time="orders = 0") == 25
    assert members(scores, "vip", vip="residual_clv = 7") == 1


def test_each_segment_of_ours_can_be_used() -> None:
    for name in BUILT_IN:
        condition = parse("sync best", f"{name} or not {name}", BUILT_IN)
        assert condition.enter(dict.fromkeys(condition.thresholds, 1.0))


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("residul_clv > 3", "did you mean 'residual_clv'"),
        ("1 = 1; drop table scores", "not allowed"),
        ("(select 1) > 2", "not allowed"),
        ("read_csv('x') is null", "not allowed"),
        ("total_clv in (select 1)", "not allowed"),
        ("p90 > 2", "has to be compared with a column"),
        ("p90 > p80", "has to be compared with a column"),
        ("country >= p90", "has no percentiles"),
        ("country = 5", "has to be compared with a text"),
        ("total_clv > 'much'", "has to be compared with a number"),
        ("total_clv = country", "has to be compared with a number"),
        ("total_clv", "has to be compared with something"),
        ("futur_vip", "did you mean 'future_vip'"),
        ("round_trip", "is made of itself"),
        ("residual_clv >=", "not a condition"),
        ("", "not a condition"),
    ],
)
def test_anything_else_is_refused_with_the_place_named(where: str, says: str) -> None:
    segments = definitions({"round_trip": "there", "there": "not round_trip"})
    with pytest.raises(FixConfiguration, match=says) as refused:
        parse("sync best", where, segments)
    assert "sync best" in str(refused.value)


def test_a_percentile_of_nobody_is_reached_by_nobody(scores: duckdb.DuckDBPyConnection) -> None:
    condition = parse("sync best", "residual_clv >= p90", {})
    chosen = condition.enter({Threshold("residual_clv", 0.9): None})
    assert scores.execute(f"select count(*) from scores where {chosen}").fetchone() == (0,)


# --- Hysteresis ------------------------------------------------------------------------------------------


def history(condition: Condition, amounts: Amounts, column: str, course: list[float]) -> list[bool]:
    """Who is in, run after run, of one customer whose `column` takes this course."""
    with duckdb.connect() as connection:
        other = ", ".join(
            f"0.0 as {name}" for name in ("total_clv", "residual_clv", "realised_value") if name != column
        )
        connection.register("course", {"run": np.arange(len(course)), column: np.array(course)})
        enter, stay = condition.enter(amounts), condition.stay(amounts, MARGIN)
        found = connection.execute(
            f"select coalesce({enter}, false), coalesce({stay}, false)"
            f" from (select *, {other} from course) order by run"
        ).fetchall()
    inside, seen = False, []
    for comes, stays in found:
        inside = stays if inside else comes
        seen.append(inside)
    return seen


CONDITIONS = (
    ("residual_clv >= p90", "residual_clv"),
    ("residual_clv < p90", "residual_clv"),
    ("not (residual_clv < p90)", "residual_clv"),
    ("p90 > residual_clv or total_clv > 5", "residual_clv"),
    ("not (not residual_clv > p90 or total_clv > 5)", "residual_clv"),
)


@given(
    case=st.sampled_from(CONDITIONS),
    threshold=st.floats(1, 10_000),
    level=st.floats(0.5, 1.5),
    noise=st.lists(st.floats(-0.499, 0.499), min_size=2, max_size=40),
)
def test_noise_below_the_margin_never_moves_anyone_back(
    case: tuple[str, str], threshold: float, level: float, noise: list[float]
) -> None:
    """Whatever the level, noise whose whole width is below the margin lets one come in at most, never out."""
    where, column = case
    condition = parse("sync best", where, {})
    amounts = dict.fromkeys(condition.thresholds, threshold)
    course = [threshold * (level + MARGIN * step) for step in noise]
    seen = history(condition, amounts, column, course)
    assert seen == sorted(seen)


@given(threshold=st.floats(1, 10_000), fall=st.floats(0.11, 1.0))
def test_a_real_fall_takes_a_member_out_and_a_real_rise_brings_one_in(threshold: float, fall: float) -> None:
    condition = parse("sync best", "residual_clv >= p90", {})
    amounts = dict.fromkeys(condition.thresholds, threshold)
    course = [threshold * 0.99, threshold * 1.01, threshold * 0.92, threshold * (1 - fall), threshold * 0.99]
    assert history(condition, amounts, "residual_clv", course) == [False, True, True, False, False]


def test_counts_and_days_have_no_margin() -> None:
    for where in ("orders >= 20", "days_since_last_order <= 30", "country = 'DE'", "total_clv = 10"):
        condition = parse("sync best", where, {})
        assert condition.stay({}, MARGIN) == condition.enter({})


def test_without_a_margin_members_stay_by_what_brings_them_in(scores: duckdb.DuckDBPyConnection) -> None:
    condition = parse("sync best", "residual_clv > 50", {})
    stays = condition.stay({}, 0.0)
    assert scores.execute(f"select count(*) from scores where {stays}").fetchone() == (50,)
    eased = condition.stay({}, MARGIN)
    assert scores.execute(f"select count(*) from scores where {eased}").fetchone() == (55,)
