"""What the commands and the agent ask of a business."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

from clvsync.ledger import Decision, Entry
from clvsync.sync.chain import run_sync
from clvsync.sync.checking import check_everything
from clvsync.sync.explaining import Story, explain_key
from clvsync.sync.fitting import FitReport, fit
from clvsync.sync.models import Version, accept, refuse_release, rollback, versions
from clvsync.sync.opened import Opened
from clvsync.sync.passes import Pass, silent
from clvsync.sync.preview import Preview, preview
from clvsync.sync.report import RunReport
from clvsync.sync.segmenting import Export, Segment, export, segments
from clvsync.sync.staging import Progress
from clvsync.sync.status import SyncStatus, status
from clvsync.sync.validating import ValidationReport, try_on_the_past
from connectors.types import Finding


def never() -> bool:
    """A run that nobody stops."""
    return False


class Business(Opened):
    """An opened business and everything that can be asked of it."""

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
        wanted = [self.sync(name) for name in names] if names else list(self.config.syncs)
        with Pass.open(self, tell) as one_pass:
            return [
                run_sync(one_pass, sync, kind=kind, stopping=stopping) for sync in wanted if not stopping()
            ]

    def preview(self, name: str, *, rows: int = 5, tell: Progress = silent) -> Preview:
        """What the next run of a sync would do, without doing it."""
        with Pass.open(self, tell) as one_pass:
            return preview(one_pass, self.sync(name), rows)

    def fit(self, *, tell: Progress = silent) -> FitReport:
        """Fit the models on the orders up to now and make them the ones that score."""
        with Pass.open(self, tell) as one_pass:
            return fit(one_pass)

    def validate(
        self,
        cutoffs: Sequence[date] | None = None,
        window: timedelta | None = None,
        *,
        tell: Progress = silent,
    ) -> ValidationReport:
        """Try the configured models, challengers and naive ones on the past."""
        with Pass.open(self, tell) as one_pass:
            return try_on_the_past(one_pass, cutoffs, window)

    def models(self, limit: int) -> list[Version]:
        """Fitted versions of the scoring model, the newest first."""
        return versions(self, limit)

    def accept(self, version: str, because: str) -> Version:
        """Let a version score and be sent with, whatever its trial on the past said."""
        return accept(self, version, because)

    def rollback(self, version: str | None = None) -> Version:
        """Let an earlier version score again: the one before, or the one named."""
        return rollback(self, version)

    def status(self) -> list[SyncStatus]:
        """Each sync: its last run and what is under way."""
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
        """Let the next run of a held run's sync pass the brakes. FixConfiguration for one that the model
        held."""
        refuse_release(self, run_id)
        self.ledger.decide(run_id, Decision.RELEASE, self.clock())

    def check(self) -> Sequence[Finding]:
        """Everything that has to be right before a row is sent."""
        return check_everything(self)

    def segments(self, *, tell: Progress = silent) -> list[Segment]:
        """Every segment, over everyone who is scored."""
        with Pass.open(self, tell) as one_pass:
            return segments(one_pass)

    def export_segment(self, name: str, path: Path, *, tell: Progress = silent) -> Export:
        """Write keys and scores of a segment's members to a .csv or .parquet file."""
        with Pass.open(self, tell) as one_pass:
            return export(one_pass, name, path)

    def explain(self, key: str) -> Story:
        """One customer, by the customer's or an order's key."""
        return explain_key(self, key)
