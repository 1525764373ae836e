"""The daemon: one schedule per sync, one run at a time, a clean stop on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
import traceback
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from clvsync.ledger import RunStatus
from clvsync.sync.business import Business
from clvsync.sync.opened import Clock, utc_now
from clvsync.sync.triggers import missed, trigger
from connectors.errors import RetryLater

if TYPE_CHECKING:
    from clvsync.config.sections import Config
    from clvsync.sync.report import RunReport

log = logging.getLogger("clvsync.agent")

AGAIN_AFTER = timedelta(minutes=10)
"""When a run that failed for a passing reason is tried again, where neither the reason nor the schedule says
sooner."""


class Daemon:
    """Runs the scheduled syncs of one configuration until it is told to stop.

    Runs follow one another, so that two syncs never share the memory that one may take. A run that comes due
    while another is under way waits; several of the same sync that were missed are one.
    """

    def __init__(self, config: Config, *, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._stopping = threading.Event()
        self._at_work = threading.Lock()

    def run_until_stopped(self) -> None:
        """Blocks until SIGTERM or SIGINT, then finishes the batch in hand. Raises ConnectorError where the
        state cannot be opened."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        with Business.open(self._config, self._clock, self.sleep) as business:
            scheduler = self.schedule(business)
            scheduler.start()
            for job in scheduler.get_jobs():
                log.info("%s: next run at %s", job.id, _zoned(job.next_run_time, self._config))
            self._stopping.wait()
            log.info("stopping: the batch in hand is finished, the rest is left to the next run")
            self.shut_down(scheduler)
        log.info("stopped")

    def stop(self) -> None:
        """Ask for the end; `run_until_stopped` returns once the batch in hand is recorded."""
        self._stopping.set()

    def sleep(self, seconds: float) -> None:
        """Wait before a request is tried again. Raises RetryLater once the daemon has to stop."""
        if self._stopping.wait(seconds):
            raise RetryLater("The run", "the agent is being stopped", "The next run goes on from here.")

    def schedule(self, business: Business) -> Any:
        """An APScheduler scheduler, not started, with a job for each sync, under its name.

        A sync is due at once where a run of its schedule was missed, or the last one left something undone.
        """
        from apscheduler.events import EVENT_JOB_MAX_INSTANCES
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            # A run that is late is still wanted, once, however late it is.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=ZoneInfo("UTC"),
        )
        # APScheduler words this for its own developers, as a warning.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        scheduler.add_listener(
            lambda event: log.info("%s: came due while its last run was not over, left out", event.job_id),
            EVENT_JOB_MAX_INSTANCES,
        )
        for sync in self._config.syncs:
            if sync.schedule is None:
                log.info("%s: has no schedule and is run by hand alone", sync.name)
                continue
            now = self._clock()
            last = next(iter(business.past_runs(sync.name, 1)), None)
            started = last.started_at if last else None
            due = trigger(sync.schedule, self._config.business.timezone, started, now)
            at_once = _left_undone(last) or missed(due, started, now)
            first = now if at_once else due.get_next_fire_time(None, now)
            work = [business, scheduler, sync.name]
            scheduler.add_job(self._run, due, id=sync.name, args=work, next_run_time=first)
        return scheduler

    def shut_down(self, scheduler: Any) -> None:
        """Return once the run in hand is over; no other begins."""
        self.stop()
        # APScheduler's own waiting holds the lock that a run needs to bring its next one forward.
        with self._at_work:
            scheduler.shutdown(wait=False)

    def _run(self, business: Business, scheduler: Any, name: str) -> None:
        with self._at_work:
            if self._stopping.is_set():
                return
            try:
                reports = business.run([name], kind="scheduled", stopping=self._stopping.is_set)
            except Exception as fault:
                # A fault of our own in one run must not end the schedule of the others. Its kind and place
                # alone are told: its text may hold what a row held.
                place = "".join(traceback.format_tb(fault.__traceback__))
                log.error(
                    "%s: the run ended in a fault of clvsync itself (%s)\n%s",
                    name,
                    type(fault).__name__,
                    place,
                )
                return
            for report in reports:
                self._try_again(scheduler, report)

    def _try_again(self, scheduler: Any, report: RunReport) -> None:
        """Bring the next run forward where the reason why this one failed will pass."""
        if not isinstance(report.error, RetryLater):
            return
        again = self._clock() + (report.error.delay or AGAIN_AFTER)
        job = scheduler.get_job(report.sync)
        if again < job.next_run_time:
            log.info("%s: again at %s", report.sync, _zoned(again, self._config))
            scheduler.modify_job(report.sync, next_run_time=again)


def _left_undone(last: RunReport | None) -> bool:
    """Whether the last run died, failed, or was stopped before the end. What the brakes hold waits for a
    person."""
    if last is None or last.status == RunStatus.HELD:
        return False
    return last.status != RunStatus.DONE or bool(last.counts.get("held"))


def _zoned(moment: datetime | None, config: Config) -> str:
    if moment is None:
        return "never"
    return moment.astimezone(ZoneInfo(config.business.timezone)).isoformat(timespec="seconds")
