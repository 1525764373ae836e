"""When a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clvsync.config.units import Schedule, parse_schedule
from clvsync.sync.triggers import missed, named_weekdays, trigger

MONDAY = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


def due(schedule: Schedule, now: datetime, last: datetime | None = None) -> datetime:
    moment: datetime = trigger(schedule, "Europe/Berlin", last, now).get_next_fire_time(None, now)
    return moment.astimezone(UTC)


def test_an_interval_is_due_at_once_when_it_never_ran_or_was_missed() -> None:
    every = parse_schedule("every 4 hours")
    assert due(every, MONDAY) == MONDAY
    assert due(every, MONDAY, MONDAY - timedelta(days=2)) == MONDAY


def test_an_interval_counts_from_the_last_start() -> None:
    last = MONDAY - timedelta(hours=1)
    assert due(parse_schedule("every 4 hours"), MONDAY, last) == last + timedelta(hours=4)


def test_daily_is_read_in_the_zone_of_the_business() -> None:
    assert due(parse_schedule("daily at 06:30"), MONDAY) == datetime(2026, 11, 23, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 6 * * 1", datetime(2026, 11, 23, 5, 0, tzinfo=UTC)),
        ("0 6 * * 0", datetime(2026, 11, 29, 5, 0, tzinfo=UTC)),
        ("0 6 * * 7", datetime(2026, 11, 29, 5, 0, tzinfo=UTC)),
        ("0 6 * * 2-3", datetime(2026, 11, 24, 5, 0, tzinfo=UTC)),
    ],
)
def test_weekdays_are_those_of_cron(line: str, expected: datetime) -> None:
    assert due(parse_schedule(line), MONDAY) == expected


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("*", "*"),
        ("mon-fri", "mon-fri"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("*/2", "sun,tue,thu,sat"),
        ("5-7", "fri,sat,sun"),
        ("0,6", "sun,sat"),
        ("1-5/2", "mon,wed,fri"),
    ],
)
def test_weekdays_by_name(field: str, names: str) -> None:
    assert named_weekdays(field) == names


@pytest.mark.parametrize("written", ["every 4 hours", "daily at 06:30"])
def test_what_was_due_while_nobody_was_there_is_missed(written: str) -> None:
    schedule, monday_half_past_six = parse_schedule(written), datetime(2026, 11, 23, 5, 30, tzinfo=UTC)

    def is_missed(last: datetime | None, now: datetime) -> bool:
        return missed(trigger(schedule, "Europe/Berlin", last, now), last, now)

    assert is_missed(monday_half_past_six - timedelta(hours=5), monday_half_past_six + timedelta(minutes=1))
    assert not is_missed(monday_half_past_six, monday_half_past_six + timedelta(minutes=1))
    assert not is_missed(monday_half_past_six, monday_half_past_six + timedelta(hours=3))
    assert is_missed(monday_half_past_six, monday_half_past_six + timedelta(days=1, minutes=1))
    assert not is_missed(None, monday_half_past_six)
