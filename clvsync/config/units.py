"""The small languages of the configuration: durations, shares, percentiles and schedules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week)s?\s*$", re.IGNORECASE)


def parse_duration(text: Any) -> Any:
    """ "365 days" → timedelta. Units: seconds, minutes, hours, days, weeks."""
    if isinstance(text, timedelta):
        return text
    try:
        if match := _DURATION.match(str(text)):
            return float(match[1]) * _UNITS[match[2].lower()]
    except OverflowError:
        pass
    raise ValueError(f"{text!r} is not a duration; write it like '365 days', '4 hours' or '30 minutes'")


def parse_share(text: Any) -> Any:
    """ "10%" or 0.1 → Decimal("0.1")."""
    raw = str(text).strip()
    try:
        if raw.endswith("%"):
            return Decimal(raw[:-1].strip()) / 100
        return Decimal(raw)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a share; write it like '10%' or 0.1") from None


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile of the values at hand: p99 is 0.99."""

    share: float

    def __str__(self) -> str:
        return f"p{self.share * 100:g}"


_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d+)?)$")


def parse_limit(text: Any) -> Any:
    """ "p99" → Percentile(0.99); "250" → Decimal("250")."""
    if isinstance(text, Percentile):
        return text
    match = _PERCENTILE.match(str(text).strip())
    if match:
        return Percentile(float(match[1]) / 100)
    try:
        amount = Decimal(str(text))
        if amount.is_finite() and amount > 0:
            return amount
    except InvalidOperation:
        pass
    raise ValueError(f"{text!r} is neither a percentile like 'p99' nor an amount above 0")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a sync is due: `every` an interval, or by `cron` (five fields, Sunday is 0, business zone)."""

    every: timedelta | None = None
    cron: str | None = None
    text: str = ""

    def __str__(self) -> str:
        return self.text


_EVERY = re.compile(r"^every\s+(?:(\d+)\s*)?(second|minute|hour|day|week)s?$", re.IGNORECASE)
_DAILY_AT = re.compile(r"^daily(?:\s+at\s+(\d{1,2}):(\d{2}))?$", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CRON = (
    (range(60), ()),
    (range(24), ()),
    (range(1, 32), ()),
    (range(1, 13), _MONTHS),
    (range(8), _WEEKDAYS),
)
"""The five fields: their numbers, and the names that may stand for them."""
_CRON_PART = re.compile(r"^(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?$")
_DAILY_HOUR = 6


def parse_schedule(text: Any) -> Any:
    """ "every 4 hours", "hourly", "daily", "daily at 06:30" or a cron line → Schedule."""
    if isinstance(text, Schedule):
        return text
    words = " ".join(str(text).split())
    if words.lower() == "hourly":
        return Schedule(every=timedelta(hours=1), text=words)
    if (match := _EVERY.match(words)) and (times := int(match[1] or 1)):
        return Schedule(every=times * _UNITS[match[2].lower()], text=words)
    if match := _DAILY_AT.match(words):
        hour, minute = int(match[1] or _DAILY_HOUR), int(match[2] or 0)
        if hour > 23 or minute > 59:
            raise ValueError(f"{words!r} names no time of day")
        return Schedule(cron=f"{minute} {hour} * * *", text=words)
    fields = words.split(" ")
    if len(fields) == 5 and all(map(_is_cron, fields, *zip(*_CRON, strict=True))):
        return Schedule(cron=words, text=words)
    raise ValueError(
        f"{text!r} is not a schedule; write 'every 4 hours', 'hourly', 'daily at 06:30' or a cron line"
    )


def _is_cron(field: str, numbers: range, names: tuple[str, ...]) -> bool:
    for part in field.lower().split(","):
        match = _CRON_PART.match(part)
        if match is None:
            return False
        ends = [str(int(end)) if end.isdecimal() else end for end in match.groups()[:2] if end]
        order: list[str] = list(names) if ends and ends[0] in names else [str(number) for number in numbers]
        if any(end not in order for end in ends):
            return False
        if len(ends) == 2 and order.index(ends[0]) > order.index(ends[1]):
            return False
    return True


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "examples": ["365 days"]})
]
Share = Annotated[
    Decimal, BeforeValidator(parse_share), WithJsonSchema({"type": ["string", "number"], "examples": ["10%"]})
]
Limit = Annotated[
    Percentile | Decimal,
    BeforeValidator(parse_limit),
    WithJsonSchema({"type": ["string", "number"], "examples": ["p99", 250]}),
]
ScheduleText = Annotated[
    Schedule,
    BeforeValidator(parse_schedule),
    WithJsonSchema({"type": "string", "examples": ["every 4 hours", "daily at 06:30", "0 6 * * *"]}),
]
