"""From the configuration's schedules to APScheduler's triggers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from clvsync.config.units import Schedule

_MOMENT = timedelta(seconds=1)
"""A run that starts when it is due is not missed because it started on time."""

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def trigger(schedule: Schedule, timezone: str, last_start: datetime | None, now: datetime) -> Any:
    """An APScheduler trigger.

    An interval counts from the last run's start, and is due at once where there was none or it was missed.
    A cron line is read in the business's zone; its weekdays are cron's own (Sunday is 0 or 7), which
    APScheduler would number from Monday, so they are given to it by name.
    """
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    if schedule.every is not None:
        first = now if last_start is None else max(now, last_start + schedule.every)
        seconds = schedule.every.total_seconds()
        return IntervalTrigger(seconds=int(seconds), start_date=first, timezone=ZoneInfo("UTC"))
    minute, hour, day, month, weekday = str(schedule.cron).split(" ")
    return CronTrigger(
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        day_of_week=named_weekdays(weekday),
        timezone=ZoneInfo(timezone),
    )


def missed(due: Any, last_start: datetime | None, now: datetime) -> bool:
    """Whether a trigger was due since the last run began. Before the first run nothing is missed."""
    if last_start is None:
        return False
    first = due.get_next_fire_time(None, last_start + _MOMENT)
    return first is not None and first <= now


def named_weekdays(field: str) -> str:
    """Cron's day-of-week field with names instead of numbers: "1-5" → "mon,tue,wed,thu,fri"."""
    out: list[str] = []
    for part in field.split(","):
        span, _, step = part.partition("/")
        if not any(character.isdigit() for character in span):
            if step and span == "*":
                out += [_DAYS[number] for number in range(0, 7, int(step))]
            else:
                out.append(part.lower())
            continue
        first, _, last = span.partition("-")
        until = int(last) if last else (6 if step else int(first))
        out += [_DAYS[number] for number in range(int(first), until + 1, int(step or 1))]
    return ",".join(dict.fromkeys(out))
