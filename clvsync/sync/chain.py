"""One pass over the syncs: settle, recover, score, stage, value, plan, brake, deliver, account."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clvsync.clv.scoring import Scorer
from clvsync.connections import open_destination
from clvsync.delivery import deliver, keep_refused, poll, recover
from clvsync.ledger import Busy, Decision, Doubt, Run, RunStatus
from clvsync.plan import OUTCOMES, Counts, Judgement, Limits, Plan, difference, judge
from clvsync.sync import changes, scoring, staging
from clvsync.sync.fitting import current_model
from clvsync.sync.report import RunReport
from clvsync.sync.streams import stream_of
from clvsync.sync.workspace import open_workspace
from clvsync.value.policies import Spread, spread
from connectors.errors import ConnectorError, FateUnknown
from connectors.transport import RetryPolicy, retrying
from connectors.types import Destination

if TYPE_CHECKING:
    from clvsync.config.sections import Sync
    from clvsync.customers.mapping import Mapped
    from clvsync.sync.business import Business

log = logging.getLogger("clvsync.sync")

_NO_STREAM = -1
"""Of a sync that never ran: it has no entries."""


class Fault(ConnectorError):
    """A fault of clvsync itself. Names the kind of error alone: its text may hold what a row held."""

    def __init__(self, sync: str, fault: Exception) -> None:
        super().__init__(
            f"sync {sync}",
            f"the run ended in a fault of clvsync itself ({type(fault).__name__})",
            "The log has the place; report it. What was written is sent by the next run.",
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run is about to do, and whether the brakes let it."""

    plan: Plan
    judgement: Judgement
    spread: Spread | None
    revenue: Decimal
    value: Decimal


class Pass:
    """Shares the warehouse, the workspace and the scores between the syncs that it runs."""

    def __init__(self, business: Business, workspace: Any, tell: staging.Progress) -> None:
        self.business = business
        self.workspace = workspace
        self.tell = tell
        self.now = business.clock()

    @classmethod
    @contextmanager
    def open(cls, business: Business, tell: staging.Progress) -> Iterator[Pass]:
        """With a workspace that is gone at the end."""
        with open_workspace(business.config.warehouse.memory) as workspace:
            yield cls(business, workspace, tell)

    @cached_property
    def mapped(self) -> Mapped:
        """The configured tables in canonical columns."""
        from clvsync.customers.mapping import mapped

        return mapped(self.business.source, self.business.config.tables, self.business.config.business)

    @cached_property
    def model(self) -> Scorer:
        """The model that scores; the workspace has the table `scores` from then on."""
        scoring.summarise(self)
        model = current_model(self)
        scoring.score(self, model)
        return model

    def run(self, sync: Sync, *, kind: str, stopping: Callable[[], bool]) -> RunReport:
        """One run. An error ends it as failed; the report says why and what to do."""
        business = self.business
        destination = open_destination(business.config, sync)
        started = business.clock()
        run: Run | None = None
        try:
            with business.ledger.lease(sync.name, business.holder):
                model, error = self._scored()
                version = model.version if model else None
                run = business.ledger.start_run(
                    sync.name, destination.address, kind, started, model_version=version
                )
                if error is not None:
                    raise error
                return self._run(run, sync, destination, stopping)
        except Busy as error:
            log.warning("%s", error)
            return self._unstarted(sync, destination, error)
        except ConnectorError as error:
            log.error("%s: %s", sync.name, error)
            if run is None:
                return self._unstarted(sync, destination, error)
            return self._finish(run, RunStatus.FAILED, Counts(), message=str(error), error=error)
        except Exception as fault:
            told = Fault(sync.name, fault)
            log.error("%s\n%s", told, "".join(traceback.format_tb(fault.__traceback__)))
            if run is None:
                return self._unstarted(sync, destination, told)
            return self._finish(run, RunStatus.FAILED, Counts(), message=str(told), error=told)
        finally:
            destination.close()

    def plan(self, sync: Sync, destination: Destination, stream_id: int | None) -> Planned:
        """Stage the sync's rows, value them, and judge them against the ledger and its history."""
        business, config = self.business, self.business.config
        stream = stream_of(self, sync, destination)
        staging.read(
            self.workspace, business.source, stream.query(self, in_clear=False, keys=None), self.tell
        )
        staging.value(
            self.workspace,
            stream.stage,
            destination,
            valuer=stream.valuer(self),
            currency=config.business.currency,
            salt=business.salt,
            now=self.now,
            tell=self.tell,
        )
        ledger = business.ledger
        reader = ledger.entries_reader(_NO_STREAM if stream_id is None else stream_id)
        found = difference(self.workspace, reader, stream.rules, self.now)
        judgement = Judgement()
        if config.brakes.enabled and stream_id is not None:
            judgement = judge(
                self.workspace,
                found,
                ledger.entries_reader(stream_id),
                self.now,
                zone=config.business.timezone,
                limits=Limits(times=config.brakes.times),
            )
        wanted = self.workspace.execute("SELECT value FROM rows WHERE reason IS NULL").to_arrow_table()
        value, revenue = self.workspace.execute(
            """
            SELECT coalesce(sum(plan.value), 0), coalesce(sum(rows.order_value), 0)
            FROM plan JOIN rows ON plan.key = rows.key AND plan.event_id = rows.event_id
            WHERE plan.action IS NOT NULL AND NOT plan.absent
            """
        ).fetchone()
        return Planned(found, judgement, spread(wanted["value"]), Decimal(revenue), Decimal(value))

    def _scored(self) -> tuple[Scorer | None, ConnectorError | None]:
        try:
            return self.model, None
        except ConnectorError as error:
            return None, error

    def _run(self, run: Run, sync: Sync, destination: Destination, stopping: Callable[[], bool]) -> RunReport:
        business, ledger = self.business, self.business.ledger
        retrying(RetryPolicy(), sleep=business.sleep)(destination.prepare)
        earlier: Counter[str] = Counter()
        for reopen in (poll, recover):
            reopened = reopen(ledger, run, destination, business.clock, sleep=business.sleep)
            earlier.update({name: getattr(reopened.counts, name) for name in OUTCOMES})
            if reopened.error is not None:
                raise reopened.error
        planned = self.plan(sync, destination, run.stream_id)
        if planned.judgement.held and not self._released(run):
            why = f"{planned.judgement} Nothing was sent. If this is right: clvsync release {run.id}"
            held = planned.plan.held("held_by_brake")
            return self._finish(run, RunStatus.HELD, held, planned, earlier=earlier, message=why)
        self._keep_refused(run)
        stream = stream_of(self, sync, destination)
        delivered = deliver(
            ledger,
            run,
            destination,
            changes.changes(self, stream, run.stream_id, stopping),
            business.clock,
            progress=lambda counts: self.tell(
                f"sending {sync.name}", counts.outcomes, planned.plan.rows_to_do
            ),
            sleep=business.sleep,
        )
        counts = planned.plan.outcome(delivered.counts)
        error = delivered.error or _unanswered(run, delivered.counts)
        status = RunStatus.DONE if error is None else RunStatus.FAILED
        message = str(error) if error else ""
        return self._finish(run, status, counts, planned, earlier=earlier, message=message, error=error)

    def _keep_refused(self, run: Run) -> None:
        """Rows refused by eligibility, as far as the ledger does not hold them for the same reason."""
        found = self.workspace.execute(
            """
            SELECT key, event_id, fingerprint, value, currency, event_time, updated_at, reason FROM plan
            WHERE verdict = 'rejected' AND key <> '' AND NOT absent
                AND reason IS DISTINCT FROM ledger_reason
            """
        ).to_arrow_table()
        if found.num_rows:
            keep_refused(self.business.ledger, run, found, found["reason"].to_pylist())

    def _released(self, run: Run) -> bool:
        """Whether a person has released the stream's last run, which the brakes held."""
        earlier = [
            past for past in self.business.ledger.runs(20, run.sync) if past.stream_id == run.stream_id
        ]
        last = next((past for past in earlier if past.id != run.id), None)
        return last is not None and last.decision == Decision.RELEASE

    def _finish(
        self,
        run: Run,
        status: RunStatus,
        counts: Counts,
        planned: Planned | None = None,
        *,
        earlier: Mapping[str, int] | None = None,
        message: str = "",
        error: ConnectorError | None = None,
    ) -> RunReport:
        ended = replace(
            run,
            status=status,
            finished_at=self.business.clock(),
            counts=counts.as_dict() | {"earlier": {k: v for k, v in (earlier or {}).items() if v}},
            value_sent=counts.value_sent,
            reasons=counts.reasons,
            message=message,
        )
        self.business.ledger.finish_run(
            run,
            status,
            self.business.clock(),
            counts=ended.counts,
            value_sent=ended.value_sent,
            reasons=ended.reasons,
            message=message,
        )
        log.info("%s: %s, %s", run.sync, status, {k: v for k, v in counts.as_dict().items() if v})
        report = replace(RunReport.from_ledger(ended), error=error)
        if planned is None:
            return report
        currency = self.business.config.business.currency
        revenue = {currency: planned.revenue} if planned.revenue else {}
        return replace(report, spread=planned.spread, revenue=revenue)

    def _unstarted(self, sync: Sync, destination: Destination, error: ConnectorError) -> RunReport:
        now = self.business.clock()
        return RunReport(
            run_id="",
            sync=sync.name,
            destination=destination.address,
            status="failed",
            counts={},
            reasons={},
            value_sent={},
            started_at=now,
            finished_at=now,
            message=str(error),
            error=error,
        )


def _unanswered(run: Run, delivered: Counts) -> ConnectorError | None:
    """A run whose answers stayed out is no run that went well, even where sending again will settle it."""
    rows = delivered.reasons.get(Doubt.ANSWER_LOST)
    if not rows:
        return None
    return FateUnknown(
        run.address,
        f"{rows:,} rows were sent and no answer came",
        "The next run sends them again under the same ids, as long as the platform tells them apart; "
        "check the network if it lasts.",
    )
