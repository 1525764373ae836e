"""How much of Meta's quotas is used, read from the headers of its answers.

Page: marketing-api/overview/rate-limiting. One header counts the wait in minutes, another in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

_USE_CASES = "X-Business-Use-Case-Usage"
_AD_ACCOUNT = "X-Ad-Account-Usage"
_APP = "X-App-Usage"
_RESET = "reset_time_duration"
_PERCENT_KEYS = ("call_count", "total_cputime", "total_time", "acc_id_util_pct")


@dataclass(frozen=True, slots=True)
class Usage:
    """`percent` of the fullest quota in an answer, and how long until a full one has room again."""

    percent: float = 0.0
    wait: timedelta = timedelta(0)


def usage_in(headers: Mapping[str, str]) -> Usage | None:
    """What an answer's headers say of the quotas, or None where they say nothing."""
    lowered = {name.lower(): value for name, value in headers.items()}
    found = [
        *(
            _usage(entry, "estimated_time_to_regain_access", timedelta(minutes=1))
            for entries in _document(lowered, _USE_CASES).values()
            for entry in _dicts(entries)
        ),
        *(_usage(entry, _RESET, timedelta(seconds=1)) for entry in _dicts([_document(lowered, _AD_ACCOUNT)])),
        *(_usage(entry, "", timedelta(0)) for entry in _dicts([_document(lowered, _APP)])),
    ]
    if not found:
        return None
    return Usage(max(usage.percent for usage in found), max(usage.wait for usage in found))


def wait_named_in(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that a refusal's headers ask for, or None where they name none."""
    usage = usage_in(headers)
    if usage is not None and usage.wait:
        return usage.wait
    for name, value in headers.items():
        if name.lower() == "retry-after":
            seconds = _number(value)
            return timedelta(seconds=seconds) if seconds else None
    return None


def _usage(entry: Mapping[str, Any], wait_key: str, unit: timedelta) -> Usage:
    percent = max(_number(entry.get(key)) for key in _PERCENT_KEYS)
    # The account's header names its next reset at all times: a wait only once the quota is used up.
    counts = wait_key != _RESET or percent >= 100 or _PERCENT_KEYS[-1] not in entry
    return Usage(percent, _number(entry.get(wait_key)) * unit if counts else timedelta(0))


def _document(headers: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        document = orjson.loads(headers.get(name.lower(), "{}"))
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _dicts(entries: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(entries, list):
        yield from (entry for entry in entries if isinstance(entry, dict) and entry)


def _number(value: object) -> float:
    """A finite number from 0 up; anything else is 0. The upper end is far beyond any real wait."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
    return min(number, 1e6) if number > 0 else 0.0
