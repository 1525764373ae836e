"""How every connector talks over a network: time-outs, where plain text is allowed, retries and pacing."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import tenacity

from connectors.errors import FixConfiguration, RetryLater

CONNECT_TIMEOUT = timedelta(seconds=10)
READ_TIMEOUT = timedelta(seconds=60)


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses, the only places where plain text is allowed."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def base_url(name: str, url: str) -> str:
    """`url` without a trailing slash, or FixConfiguration where it is neither https nor on loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise FixConfiguration(name, f"{url!r} is not a web address", "Write it as https://host[:port].")
    if parts.scheme == "http" and not is_loopback(host):
        raise FixConfiguration(
            name, f"{url!r} would send data in plain text", "Use https; http is allowed on loopback alone."
        )
    if parts.username or parts.password:
        raise FixConfiguration(name, "the address holds a user or password", "Take them out of the address.")
    return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to keep trying. A wait that the platform names beyond `longest_wait` is not sat out: the
    error is raised with its delay, and the run is taken up later."""

    attempts: int = 5
    first_wait: timedelta = timedelta(seconds=1)
    longest_wait: timedelta = timedelta(seconds=60)


def retrying(policy: RetryPolicy, *, sleep: Callable[[float], None] = time.sleep) -> tenacity.Retrying:
    """Retries RetryLater (and so FateUnknown), waiting as long as the platform asked or, where it named no
    delay, exponentially with jitter. The last error is raised as it is."""
    backoff = tenacity.wait_exponential_jitter(
        initial=policy.first_wait.total_seconds(),
        max=policy.longest_wait.total_seconds(),
        jitter=policy.first_wait.total_seconds(),
    )

    def wait(state: tenacity.RetryCallState) -> float:
        delay = _named_delay(state)
        return delay.total_seconds() if delay is not None else backoff(state)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RetryLater),
        wait=wait,
        stop=tenacity.stop_after_attempt(policy.attempts) | _StopWhenTooLong(policy.longest_wait),
        sleep=sleep,
        reraise=True,
    )


def _named_delay(state: tenacity.RetryCallState) -> timedelta | None:
    error = state.outcome.exception() if state.outcome else None
    return error.delay if isinstance(error, RetryLater) else None


class _StopWhenTooLong(tenacity.stop.stop_base):
    def __init__(self, longest_wait: timedelta) -> None:
        self._longest_wait = longest_wait

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        delay = _named_delay(retry_state)
        return delay is not None and delay > self._longest_wait


class Pacer:
    """Spreads requests so that no minute holds more than `per_minute`, across threads."""

    def __init__(
        self,
        per_minute: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = 60.0 / per_minute
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when the next request may leave."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._interval
        if start > now:
            self._sleep(start - now)
