"""The daemon: one schedule per sync, one run at a time, a clean stop on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from clvsync.agent.triggers import trigger
from clvsync.sync.business import Business
from clvsync.sync.opened import Clock, utc_now
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from clvsync.config.sections import Config

log = logging.getLogger("clvsync.agent")


class Daemon:
    """Runs the scheduled syncs of one configuration until it is told to stop.

    Runs follow one another, so that two syncs never share the memory that one may take. A run that comes due
    while another is under way waits; several of the same sync that were missed are one.
    """

    def __init__(self, config: Config, *, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._stopping = threading.Event()

    def run_until_stopped(self) -> None:
        """Blocks until SIGTERM or SIGINT, then finishes the batch in hand. Raises ConnectorError where the
        state cannot be opened."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        with Business.open(self._config, self._clock) as business:
            scheduler = self._schedule(business)
            scheduler.start()
            for job in scheduler.get_jobs():
                log.info("%s: next run at %s", job.id, _zoned(job.next_run_time, self._config))
            self._stopping.wait()
            log.info("stopping: the batch in hand is finished, the rest is left to the next run")
            scheduler.shutdown(wait=True)
        log.info("stopped")

    def stop(self) -> None:
        """Ask for the end; `run_until_stopped` returns once the batch in hand is recorded."""
        self._stopping.set()

    def _schedule(self, business: Business) -> Any:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)},
            # A run that is late is still wanted, once, however late it is.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=ZoneInfo("UTC"),
        )
        for sync in self._config.syncs:
            if sync.schedule is None:
                log.info("%s: has no schedule and is run by hand alone", sync.name)
                continue
            due = trigger(
                sync.schedule,
                self._config.business.timezone,
                business.last_start(sync.name),
                self._clock(),
            )
            scheduler.add_job(self._run, due, id=sync.name, args=[business, sync.name])
        return scheduler

    def _run(self, business: Business, name: str) -> None:
        if self._stopping.is_set():
            return
        try:
            business.run([name], kind="scheduled", stopping=self._stopping.is_set)
        except ConnectorError as error:
            log.error("%s: %s", name, error)
        except Exception:
            # A fault of our own in one run must not end the schedule of the others.
            log.exception("%s: the run ended in a fault of clvsync itself", name)


def _zoned(moment: datetime | None, config: Config) -> str:
    if moment is None:
        return "never"
    return moment.astimezone(ZoneInfo(config.business.timezone)).isoformat(timespec="seconds")
