"""What the daemon makes of schedules, past runs and failures. No run is real here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from clvsync.agent.daemon import AGAIN_AFTER, Daemon
from clvsync.config.loading import load
from clvsync.config.sections import Config, GoogleEndpoints, MetaEndpoints
from clvsync.demo.configuration import write_configuration
from clvsync.ledger import RunStatus
from clvsync.sync.business import Business
from clvsync.sync.report import RunReport
from connectors.errors import ConnectorError, FixConfiguration, RetryLater
from tests.fakes import Clock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOGLE, META, AUDIENCE = "google-new-customers", "meta-purchases", "best-customers"
"""Every 4 hours, hourly, and daily at 06:30 in Berlin."""


def reported(
    sync: str,
    started: datetime,
    status: RunStatus = RunStatus.DONE,
    error: ConnectorError | None = None,
) -> RunReport:
    return RunReport("run", sync, "fake/1", str(status), {}, {}, {}, started, None, error=error)


class FakeBusiness:
    """Remembers who was run, and answers as it is told."""

    def __init__(self, *past: RunReport) -> None:
        self._past = {report.sync: report for report in past}
        self.ran: list[str] = []
        self.answer: Callable[[str], RunReport] = lambda name: reported(name, NOW)

    def past_runs(self, name: str, _limit: int) -> list[RunReport]:
        return [self._past[name]] if name in self._past else []

    def run(self, names: list[str], **_: Any) -> list[RunReport]:
        self.ran += names
        return [self.answer(name) for name in names]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    url = "http://127.0.0.1:1"
    google, meta = GoogleEndpoints(ads="localhost:1", data_manager=url), MetaEndpoints(graph=url)
    return load(write_configuration(tmp_path, google=google, meta=meta, certificate=tmp_path / "none.pem"))


@contextmanager
def scheduled(daemon: Daemon, business: FakeBusiness, *, paused: bool = True) -> Iterator[Any]:
    scheduler = daemon.schedule(cast(Business, business))
    scheduler.start(paused=paused)
    try:
        yield scheduler
    finally:
        daemon.shut_down(scheduler)


def due(daemon: Daemon, *past: RunReport) -> dict[str, datetime]:
    """When each sync runs next."""
    with scheduled(daemon, FakeBusiness(*past)) as scheduler:
        return {job.id: job.next_run_time.astimezone(UTC) for job in scheduler.get_jobs()}


def test_what_never_ran_is_due_at_once_by_interval_and_at_its_time_by_the_clock(config: Config) -> None:
    tomorrow = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)
    assert due(Daemon(config, clock=Clock(NOW))) == {GOOGLE: NOW, META: NOW, AUDIENCE: tomorrow}


def test_a_sync_without_a_schedule_has_no_job(config: Config) -> None:
    by_hand = config.model_copy(
        update={"syncs": [config.syncs[0].model_copy(update={"schedule": None}), *config.syncs[1:]]}
    )
    assert set(due(Daemon(by_hand, clock=Clock(NOW)))) == {META, AUDIENCE}


def test_it_goes_on_from_the_last_run(config: Config) -> None:
    found = due(
        Daemon(config, clock=Clock(NOW)),
        reported(GOOGLE, NOW - timedelta(hours=1)),
        reported(META, NOW - timedelta(hours=7)),
        reported(AUDIENCE, NOW - timedelta(hours=7)),
    )
    # The audience's last run was at 06:00 in Berlin: the one of 06:30 was missed.
    assert found == {GOOGLE: NOW + timedelta(hours=3), META: NOW, AUDIENCE: NOW}


@pytest.mark.parametrize("sync", [GOOGLE, AUDIENCE])
@pytest.mark.parametrize(
    ("status", "held", "at_once"),
    [
        (RunStatus.RUNNING, 0, True),
        (RunStatus.FAILED, 0, True),
        (RunStatus.DONE, 7, True),
        (RunStatus.DONE, 0, False),
        (RunStatus.HELD, 7, False),
    ],
)
def test_what_the_last_run_left_undone_is_taken_up_at_once(
    config: Config, sync: str, status: RunStatus, held: int, at_once: bool
) -> None:
    """Its process died, it failed, or it was stopped; but what the brakes hold waits for a person."""
    last = replace(reported(sync, NOW - timedelta(minutes=1), status), counts={"held": held})
    assert (due(Daemon(config, clock=Clock(NOW)), last)[sync] == NOW) is at_once


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (RetryLater("x", "is busy", "Wait.", delay=timedelta(seconds=20)), timedelta(seconds=20)),
        (RetryLater("x", "is down", "Wait."), AGAIN_AFTER),
        (RetryLater("x", "asks for a day", "Wait.", delay=timedelta(days=1)), None),
        (FixConfiguration("x", "is wrong", "Correct it."), None),
        (None, None),
    ],
)
def test_what_failed_for_a_passing_reason_runs_again_soon(
    config: Config, error: ConnectorError | None, wait: timedelta | None
) -> None:
    daemon = Daemon(config, clock=Clock(datetime.now(UTC)))
    now = daemon._clock()
    business = FakeBusiness(reported(META, now - timedelta(hours=1)))
    business.answer = lambda name: reported(name, now, RunStatus.FAILED, error)
    with scheduled(daemon, business) as scheduler:
        regular = now + timedelta(hours=1)
        scheduler.modify_job(META, next_run_time=regular)
        daemon._run(cast(Business, business), scheduler, META)
        assert scheduler.get_job(META).next_run_time == (regular if wait is None else now + wait)


def test_runs_never_overlap_and_a_fault_in_one_does_not_end_the_schedule(config: Config) -> None:
    daemon = Daemon(config)
    business = FakeBusiness()
    under_way, all_ran = threading.Semaphore(1), threading.Event()
    overlapped: list[str] = []

    def answer(name: str) -> RunReport:
        if not under_way.acquire(blocking=False):
            overlapped.append(name)
        threading.Event().wait(0.02)
        under_way.release()
        if len(business.ran) >= 8:
            all_ran.set()
        if len(business.ran) % 2:
            raise ZeroDivisionError
        return reported(name, NOW, error=RetryLater("x", "is busy", "Wait.", delay=timedelta(0)))

    business.answer = answer
    with scheduled(daemon, business, paused=False) as scheduler:
        for name in (GOOGLE, META, AUDIENCE):
            scheduler.reschedule_job(name, trigger="interval", seconds=0.05)
        assert all_ran.wait(10)
    assert not overlapped
    assert {GOOGLE, META, AUDIENCE} == set(business.ran)


def test_once_it_stops_nothing_begins_and_nobody_waits(config: Config) -> None:
    daemon = Daemon(config)
    daemon.stop()
    business = FakeBusiness()
    with scheduled(daemon, business) as scheduler:
        daemon._run(cast(Business, business), scheduler, META)
    assert business.ran == []
    with pytest.raises(RetryLater, match="being stopped"):
        daemon.sleep(60)
