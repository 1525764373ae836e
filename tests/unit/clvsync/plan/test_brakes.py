from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from clvsync.ledger import ENTRIES
from clvsync.plan import Judgement, Limits, Rules, Tolerance, difference, judge
from connectors.types import Capabilities

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def workspace() -> Iterator[Any]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def entries(days: dict[date, int], value: int = 100, hour: int = 9) -> pa.Table:
    rows = [
        {
            "key": f"{day}-{index}",
            "state": "accepted",
            "fingerprint": 1,
            "value": value * 10_000,
            "currency": "EUR",
            "present": 1,
            "event_time": int(datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp())
            * 1_000_000,
            "updated_at": int((NOW - timedelta(days=1)).timestamp()) * 1_000_000,
            "reason": "",
        }
        for day, count in days.items()
        for index in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=ENTRIES)


def history(days: int = 60, count: int = 50) -> dict[date, int]:
    """Weekends sell half as much, and no two days are alike."""
    return {
        day: (count if day.isoweekday() < 6 else count // 2) + day.toordinal() % 5
        for day in (YESTERDAY - timedelta(days=back) for back in range(1, days))
    }


def judged(
    workspace: Any,
    known: pa.Table,
    new: dict[date, int],
    *,
    value: Decimal = Decimal(100),
    restated: Decimal | None = None,
    removes: bool = False,
    zone: str = "UTC",
    hour: int = 9,
) -> Judgement:
    """What the brakes say of `new` events by day, and of all known ones at the value `restated`."""
    workspace.execute(
        "CREATE OR REPLACE TABLE rows(key VARCHAR, event_id VARCHAR, fingerprint BIGINT, value DECIMAL(18,4),"
        " currency VARCHAR, event_time TIMESTAMPTZ, updated_at TIMESTAMPTZ, reason VARCHAR)"
    )
    for day, count in new.items():
        workspace.execute(
            "INSERT INTO rows SELECT 'new-' || $day || '-' || i, 'e-' || $day || '-' || i, 1, $value, 'EUR',"
            " $at, $now, NULL FROM range($count) AS t(i)",
            {
                "day": str(day),
                "value": value,
                "at": datetime(day.year, day.month, day.day, hour, tzinfo=UTC),
                "now": NOW,
                "count": count,
            },
        )
    if restated is not None:
        workspace.register("known", known)
        workspace.execute(
            "INSERT INTO rows SELECT key, key, 1, $value, 'EUR', make_timestamptz(event_time), $now, NULL"
            " FROM known",
            {"value": restated, "now": NOW},
        )
    capabilities = Capabilities(100, restates=True, removes=removes)
    plan = difference(
        workspace, known.to_reader(), Rules.of(capabilities, Tolerance(relative=Decimal("0.1"))), NOW
    )
    return judge(workspace, plan, known.to_reader(), NOW, zone=zone)


def test_a_usual_day_passes(workspace: Any) -> None:
    known = entries(history())
    assert not judged(workspace, known, {YESTERDAY: 55, TODAY: 30}).held
    assert not judged(workspace, known, {YESTERDAY: 90}).held, "a good day is no bad day"


def test_a_first_run_is_never_held(workspace: Any) -> None:
    assert not judged(workspace, entries({}), {YESTERDAY: 100_000}).held


def test_a_short_history_judges_nothing(workspace: Any) -> None:
    assert not judged(workspace, entries(history(days=10)), {YESTERDAY: 5_000}).held


@pytest.mark.parametrize("day", [TODAY, YESTERDAY, TODAY - timedelta(days=9)])
def test_a_day_with_far_too_many_events_is_held(workspace: Any, day: date) -> None:
    known = history()
    known.pop(day, None)
    judgement = judged(workspace, entries(known), {day: 400})
    assert judgement.held
    assert f"{day} would have 400 events where" in str(judgement)


def test_what_was_given_already_counts_towards_its_day(workspace: Any) -> None:
    known = history() | {YESTERDAY: 180}
    assert judged(workspace, entries(known), {YESTERDAY: 60}).held
    assert not judged(workspace, entries(known), {TODAY: 60}).held


def test_far_too_few_are_held_once_their_day_is_over(workspace: Any) -> None:
    assert "where 5" in str(judged(workspace, entries(history()), {YESTERDAY: 3}))
    assert not judged(workspace, entries(history()), {TODAY: 3}).held


def test_catching_up_after_an_outage_is_no_alarm(workspace: Any) -> None:
    known = history()
    missed = {day: known.pop(day) for day in list(known)[:5]}
    assert not judged(workspace, entries(known), missed).held


def test_values_ten_times_too_high_are_held(workspace: Any) -> None:
    judgement = judged(workspace, entries(history()), {YESTERDAY: 50}, value=Decimal(1000))
    assert "would have a value of 50,000.00 EUR" in str(judgement)
    assert "events" not in str(judgement)


def test_values_that_all_move_at_once_are_held(workspace: Any) -> None:
    known = entries(history())
    assert not judged(workspace, known, {}, restated=Decimal(150)).held
    assert "values already sent would go from" in str(judged(workspace, known, {}, restated=Decimal(1000)))
    assert judged(workspace, known, {}, restated=Decimal(10)).held


def test_an_emptied_source_does_not_empty_the_audience(workspace: Any) -> None:
    known = entries({YESTERDAY: 100})
    judgement = judged(workspace, known, {}, removes=True)
    assert str(judgement) == "100 of 100 members would be removed (at most 30% at once)."


def test_days_are_the_businesss_own(workspace: Any) -> None:
    """23:30 in Berlin on one day is 22:30 UTC; 00:30 is the next day."""
    known = entries(history())
    late = judged(workspace, known, {YESTERDAY - timedelta(days=1): 400}, hour=23, zone="Europe/Berlin")
    assert str(late).startswith(f"{YESTERDAY} would have")


def test_small_numbers_tell_nothing(workspace: Any) -> None:
    known = entries({YESTERDAY - timedelta(days=back): 1 for back in range(1, 40)})
    assert not judged(workspace, known, {YESTERDAY: 8}).held
    assert judged(workspace, known, {YESTERDAY: 40}).held


def test_limits_can_be_set(workspace: Any) -> None:
    known = entries(history())
    judged(workspace, known, {YESTERDAY: 160})
    plan = difference(workspace, known.to_reader(), Rules(), NOW)
    assert not judge(workspace, plan, known.to_reader(), NOW).held
    assert judge(workspace, plan, known.to_reader(), NOW, limits=Limits(times=2)).held
