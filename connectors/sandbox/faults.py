"""Failures on request: which request of which platform fails next, and how."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """How a request fails. Each platform answers THROTTLE, SERVER_ERROR and BAD_TOKEN in its own words."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    HTML_ERROR = "html_error"
    """A 502 whose body is a gateway's HTML page."""
    TIMEOUT_AFTER_ACCEPT = "timeout_after_accept"
    """The request is carried out and kept; its answer never arrives."""
    TIMEOUT_BEFORE_ACCEPT = "timeout_before_accept"
    """Nothing is carried out, and no answer arrives."""
    PARTIAL_FAILURE = "partial_failure"
    """Some rows of the request fail, where the platform can say so."""
    BAD_TOKEN = "bad_token"  # noqa: S105
    SLOW = "slow"
    """The answer comes `delay_seconds` late."""


class Platform(StrEnum):
    """Whose servers a request was meant for."""

    GOOGLE_DATA_MANAGER = "google_data_manager"
    GOOGLE_ADS = "google_ads"
    META = "meta"
    OAUTH = "oauth"


ANY_PLATFORM = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure to come.

    It strikes requests of `platform` ("*": any) whose path holds `path`, lets the first `skip` of them
    through, then strikes each with `probability` until it has struck `times` times (None: for ever).
    `delay_seconds` is the wait that a throttled answer names, or how late a slow one comes;
    `hold_seconds` how long a lost answer is held back before the connection is dropped.
    """

    kind: FaultKind
    platform: str = ANY_PLATFORM
    path: str = ""
    times: int | None = 1
    probability: float = 1.0
    skip: int = 0
    delay_seconds: float | None = None
    hold_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.platform != ANY_PLATFORM and self.platform not in list(Platform):
            known = ", ".join([*Platform, ANY_PLATFORM])
            raise ValueError(f"fault: {self.platform!r} is no platform; use one of {known}")
        if not 0 <= self.probability <= 1:
            raise ValueError("fault: the probability must lie between 0 and 1")

    def strikes(self, platform: str, path: str) -> bool:
        """True where this fault is meant for a request of `platform` to `path`."""
        return self.platform in (ANY_PLATFORM, platform) and self.path in path


class Faults:
    """The failures still to come, first added first struck. Safe to use from several threads."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def list(self) -> tuple[Fault, ...]:
        """What is still to come; `times` and `skip` are what is left of them."""
        with self._lock:
            return tuple(self._waiting)

    def next(self, platform: str, path: str) -> Fault | None:
        """The fault that strikes this request, counted down, or None."""
        with self._lock:
            for position, fault in enumerate(self._waiting):
                if not fault.strikes(platform, path):
                    continue
                if fault.skip > 0:
                    self._waiting[position] = replace(fault, skip=fault.skip - 1)
                    continue
                if self._random.random() >= fault.probability:
                    continue
                self._count_down(position, fault)
                return fault
        return None

    def _count_down(self, position: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times <= 1:
            del self._waiting[position]
        else:
            self._waiting[position] = replace(fault, times=fault.times - 1)
