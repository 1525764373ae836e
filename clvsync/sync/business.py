"""One business, opened: configuration, ledger, warehouse and clock. What the commands and the agent call."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clvsync.config.sections import Config, Sync
from clvsync.connections import open_source
from clvsync.ledger import Entry, Ledger
from clvsync.ledger.holder import this_process
from clvsync.sync.report import RunReport
from connectors.errors import FixConfiguration
from connectors.types import Source

if TYPE_CHECKING:
    from clvsync.sync.fitting import FitReport
    from clvsync.sync.preview import Preview
    from clvsync.sync.staging import Progress
    from clvsync.sync.status import SyncStatus

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]
_SQLITE = "sqlite:///"


def utc_now() -> datetime:
    """The clock of the machine."""
    return datetime.now(UTC)


def silent(stage: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    """A run that nobody stops."""
    return False


class Business:
    """Close it when done. `holder` names this process where it leases a sync; `sleep` waits before a request
    is tried again."""

    def __init__(self, config: Config, ledger: Ledger, clock: Clock, sleep: Sleep = time.sleep) -> None:
        self.config = config
        self.ledger = ledger
        self.clock = clock
        self.sleep = sleep
        self.holder = this_process()

    @classmethod
    @contextmanager
    def open(cls, config: Config, clock: Clock = utc_now, sleep: Sleep = time.sleep) -> Iterator[Business]:
        """The ledger is opened, and brought forward, at once; the warehouse when it is first read."""
        if config.state.url.startswith(_SQLITE):
            Path(config.state.url.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = config.state.key.get_secret_value().encode() if config.state.key else None
        with Ledger.open(config.state.url, key, clock) as ledger:
            business = cls(config, ledger, clock, sleep)
            try:
                yield business
            finally:
                if "source" in business.__dict__:
                    business.source.close()

    @cached_property
    def source(self) -> Source:
        """The warehouse."""
        return open_source(self.config)

    @cached_property
    def salt(self) -> str:
        """Keeps fingerprints of content from being looked up in a dictionary."""
        if self.config.state.key is None:
            raise FixConfiguration(
                "state.key",
                "there is none, so that nothing could be kept safely until it is sent",
                "Set CLVSYNC_STATE_KEY in the environment or in .env; `openssl rand -base64 32` makes one.",
            )
        key = self.config.state.key.get_secret_value().encode()
        return hmac.digest(key, b"fingerprints of content", "sha256").hex()

    def sync(self, name: str) -> Sync:
        """The sync of that name. Raises FixConfiguration, naming the nearest."""
        import difflib

        names = [sync.name for sync in self.config.syncs]
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(names)}."
            raise FixConfiguration(f"sync {name}", "the configuration has no such sync", hint)
        return self.config.sync(name)

    def run(
        self,
        names: Sequence[str] | None = None,
        *,
        kind: str = "manual",
        tell: Progress = silent,
        stopping: Callable[[], bool] = never,
    ) -> list[RunReport]:
        """One pass of each named sync (None: all), one after another, over one reading of the orders.

        A sync that fails is reported as failed and does not keep the others from running. `stopping` is asked
        between batches: once it says yes, what has been written is sent and the rest is left to the next run.
        """
        from clvsync.sync.chain import Pass

        wanted = [self.sync(name) for name in names] if names else list(self.config.syncs)
        with Pass.open(self, tell) as one_pass:
            return [one_pass.run(sync, kind=kind, stopping=stopping) for sync in wanted if not stopping()]

    def preview(self, name: str, *, rows: int = 5, tell: Progress = silent) -> Preview:
        """What the next run of a sync would do, without doing it."""
        from clvsync.sync.chain import Pass
        from clvsync.sync.preview import preview

        with Pass.open(self, tell) as one_pass:
            return preview(one_pass, self.sync(name), rows)

    def fit(self, *, tell: Progress = silent) -> FitReport:
        """Fit the models on the orders up to now and make them the ones that score."""
        from clvsync.sync.fitting import fit
        from clvsync.sync.workspace import open_workspace

        with open_workspace(self.config.warehouse.memory) as workspace:
            return fit(self, workspace, tell)

    def status(self) -> list[SyncStatus]:
        """Each sync: its last run and what is under way."""
        from clvsync.sync.status import status

        return status(self)

    def past_runs(self, name: str | None, limit: int) -> list[RunReport]:
        """Past runs, the newest first."""
        if name is not None:
            self.sync(name)
        return [RunReport.from_ledger(run) for run in self.ledger.runs(limit, name)]

    def rejects(self, name: str | None, limit: int) -> list[Entry]:
        """Refused rows, the latest first."""
        if name is not None:
            self.sync(name)
        return self.ledger.rejects(name, limit)

    def release(self, run_id: str) -> None:
        """Let the next run of a held run's sync pass the brakes."""
        from clvsync.ledger import Decision

        self.ledger.decide(run_id, Decision.RELEASE, self.clock())

    def last_start(self, name: str) -> Any:
        """When the sync last started (None: never)."""
        runs = self.ledger.runs(1, name)
        return runs[0].started_at if runs else None
