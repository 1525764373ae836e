"""Time-outs, plain text, retries and pacing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.errors import ConnectorError, FateUnknown, FixConfiguration, RetryLater
from connectors.transport import Pacer, RetryPolicy, base_url, retrying


class Calls:
    """Fails with the given errors, one a call, then answers."""

    def __init__(self, *errors: ConnectorError) -> None:
        self.errors = list(errors)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def later(seconds: float | None = None) -> RetryLater:
    delay = None if seconds is None else timedelta(seconds=seconds)
    return RetryLater("platform", "is busy", "Wait.", delay=delay)


def test_a_named_delay_is_waited_for_exactly() -> None:
    waits: list[float] = []
    call = Calls(later(7), later(11))
    assert retrying(RetryPolicy(), sleep=waits.append)(call) == "answer"
    assert waits == [7, 11]


def test_without_a_named_delay_waits_grow_and_stay_bounded() -> None:
    waits: list[float] = []
    policy = RetryPolicy(attempts=9, first_wait=timedelta(seconds=1), longest_wait=timedelta(seconds=20))
    retrying(policy, sleep=waits.append)(Calls(*[later() for _ in range(8)]))
    assert len(waits) == 8
    assert waits[4] > waits[0]
    assert all(1 <= wait <= 20 for wait in waits)


def test_a_delay_beyond_the_longest_wait_is_handed_on_at_once() -> None:
    waits: list[float] = []
    call = Calls(later(3600))
    with pytest.raises(RetryLater) as raised:
        retrying(RetryPolicy(), sleep=waits.append)(call)
    assert raised.value.delay == timedelta(hours=1)
    assert (call.made, waits) == (1, [])


def test_after_the_last_attempt_the_error_itself_is_raised() -> None:
    call = Calls(*[FateUnknown("platform", "no answer", "Run again.") for _ in range(9)])
    with pytest.raises(FateUnknown):
        retrying(RetryPolicy(attempts=3), sleep=lambda _: None)(call)
    assert call.made == 3


def test_what_a_person_has_to_mend_is_not_tried_again() -> None:
    call = Calls(FixConfiguration("account", "is closed", "Open it."))
    with pytest.raises(FixConfiguration):
        retrying(RetryPolicy(), sleep=lambda _: None)(call)
    assert call.made == 1


@pytest.mark.parametrize("url", ["https://graph.example.com/", "http://127.0.0.1:80", "http://[::1]:8080"])
def test_addresses_that_may_be_used(url: str) -> None:
    assert base_url("graph", url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["http://graph.example.com", "ftp://localhost", "localhost:80", "https://user:word@example.com", ""],
)
def test_addresses_that_may_not(url: str) -> None:
    with pytest.raises(FixConfiguration) as refused:
        base_url("graph", url)
    assert "user:word" not in str(refused.value)


def test_the_pacer_spreads_requests_over_the_minute() -> None:
    now = 0.0
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds

    pacer = Pacer(120, clock=lambda: now, sleep=sleep)
    for _ in range(4):
        pacer.wait()
    assert waited == pytest.approx([0.5, 0.5, 0.5])


def test_a_message_names_the_thing_the_problem_and_the_remedy() -> None:
    error = RetryLater("Meta dataset 1", "is busy", "Wait a minute.", code="4")
    assert str(error) == "Meta dataset 1: is busy (4). Wait a minute."
