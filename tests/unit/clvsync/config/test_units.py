from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from clvsync.config.units import Duration, Limit, Schedule, ScheduleText
from clvsync.sync.triggers import trigger

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "0 6 * * *",
        "00 06 * * 05",
        "*/15 8-18 * * 1-5",
        "0 6,18 1-31/2 * *",
        "0 6 * * mon-fri",
        "30 5 1 jan,JUL 7",
        "0 0 * * 0,6",
        "0 0 * * */2",
    ],
)
def test_a_cron_line_that_is_read_can_be_scheduled(text: str) -> None:
    schedule: Schedule = TypeAdapter(ScheduleText).validate_python(text)
    assert trigger(schedule, "Europe/Berlin", None, NOW).get_next_fire_time(None, NOW) is not None


@pytest.mark.parametrize(
    "text",
    [
        "60 6 * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "*/0 * * * *",
        "1-5-7 * * * *",
        "0 18-8 * * *",
        "0 0 * * fri-mon",
        "0 0 * * 1-fri",
        "a b c d e",
        "0 jan * * *",
        "every 0 hours",
    ],
)
def test_what_can_never_be_due_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="schedule"):
        TypeAdapter(ScheduleText).validate_python(text)


@pytest.mark.parametrize("text", ["-5", "0", "NaN", "inf"])
def test_a_limit_is_positive(text: str) -> None:
    with pytest.raises(ValidationError, match="an amount"):
        TypeAdapter(Limit).validate_python(text)


def test_a_duration_beyond_all_time_is_refused() -> None:
    with pytest.raises(ValidationError, match="duration"):
        TypeAdapter(Duration).validate_python("99999999999999 days")
