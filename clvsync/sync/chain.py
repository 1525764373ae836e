"""One run: settle, recover, score, plan, brake, deliver, account."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from clvsync.config.sections import ConversionsSync, Sync
from clvsync.connections import open_destination
from clvsync.delivery import deliver, keep_refused, poll, recover
from clvsync.ledger import Busy, Decision, Doubt, Run, RunStatus
from clvsync.plan import OUTCOMES, Counts
from clvsync.sync.changes import changes
from clvsync.sync.fitting import scored
from clvsync.sync.models import HELD_BY_MODEL
from clvsync.sync.passes import Pass
from clvsync.sync.planning import Planned, plan
from clvsync.sync.report import RunReport
from clvsync.sync.streams import stream_of
from connectors.errors import ConnectorError, FateUnknown, FixConfiguration
from connectors.transport import RetryPolicy, retrying
from connectors.types import Destination

log = logging.getLogger("clvsync.sync")

_RUNS_LOOKED_BACK = 100


class Fault(ConnectorError):
    """A fault of clvsync itself. Names the kind of error alone: its text may hold what a row held."""

    def __init__(self, sync: str, fault: Exception) -> None:
        super().__init__(
            f"sync {sync}",
            f"the run ended in a fault of clvsync itself ({type(fault).__name__})",
            "The log has the place; report it. What was written is sent by the next run.",
        )


def run_sync(one_pass: Pass, sync: Sync, *, kind: str, stopping: Callable[[], bool]) -> RunReport:
    """One run of a sync. An error ends it as failed; the report says why and what to do."""
    try:
        destination = open_destination(one_pass.business.config, sync)
    except ConnectorError as error:
        log.error("%s: %s", sync.name, error)
        return _unstarted(one_pass, sync, sync.to, error)
    try:
        return _leased(one_pass, sync, destination, kind, stopping)
    finally:
        destination.close()


def _leased(
    one_pass: Pass, sync: Sync, destination: Destination, kind: str, stopping: Callable[[], bool]
) -> RunReport:
    business = one_pass.business
    started = business.clock()
    run: Run | None = None
    try:
        with business.ledger.lease(sync.name, business.holder):
            version, error = _scored(one_pass)
            run = business.ledger.start_run(
                sync.name,
                destination.address,
                kind,
                started,
                model_version=version,
                carries=sync.carries if isinstance(sync, ConversionsSync) else "members",
            )
            if error is not None:
                raise error
            return _run(one_pass, run, sync, destination, stopping)
    except Busy as error:
        log.warning("%s", error)
        return _unstarted(one_pass, sync, destination.address, error)
    except ConnectorError as error:
        log.error("%s: %s", sync.name, error)
        if run is None:
            return _unstarted(one_pass, sync, destination.address, error)
        return _finish(one_pass, run, RunStatus.FAILED, Counts(), message=str(error), error=error)
    except Exception as fault:
        told = Fault(sync.name, fault)
        log.error("%s\n%s", told, "".join(traceback.format_tb(fault.__traceback__)))
        if run is None:
            return _unstarted(one_pass, sync, destination.address, told)
        return _finish(one_pass, run, RunStatus.FAILED, Counts(), message=str(told), error=told)


def _run(
    one_pass: Pass, run: Run, sync: Sync, destination: Destination, stopping: Callable[[], bool]
) -> RunReport:
    business, ledger = one_pass.business, one_pass.business.ledger
    _refuse_second_owner(one_pass, run)
    retrying(RetryPolicy(), sleep=business.sleep)(destination.prepare)
    earlier: Counter[str] = Counter()
    lost: ConnectorError | None = None
    for reopen in (poll, recover):
        reopened = reopen(ledger, run, destination, business.clock, sleep=business.sleep)
        earlier.update({name: getattr(reopened.counts, name) for name in OUTCOMES})
        if reopened.error is not None:
            raise reopened.error
        lost = lost or _unanswered(run, reopened.counts)
    planned = plan(one_pass, sync, destination, run.stream_id)
    if planned.model_held:
        held, why = planned.plan.held(HELD_BY_MODEL), planned.model_held
        return _finish(one_pass, run, RunStatus.HELD, held, planned, earlier=earlier, message=why)
    if planned.judgement.held and not _released(one_pass, run):
        why = f"{planned.judgement} Nothing was sent. If this is right: clvsync release {run.id}"
        held = planned.plan.held("held_by_brake")
        return _finish(one_pass, run, RunStatus.HELD, held, planned, earlier=earlier, message=why)
    _keep_refused(one_pass, run)
    stream = stream_of(one_pass, sync, destination)
    delivered = deliver(
        ledger,
        run,
        destination,
        changes(one_pass, stream, run.stream_id, stopping),
        business.clock,
        progress=lambda counts: one_pass.tell(
            f"sending {sync.name}", counts.outcomes, planned.plan.rows_to_do
        ),
        sleep=business.sleep,
    )
    counts = planned.plan.outcome(delivered.counts)
    error = delivered.error or lost or _unanswered(run, delivered.counts)
    status = RunStatus.DONE if error is None else RunStatus.FAILED
    message = str(error) if error else ""
    return _finish(one_pass, run, status, counts, planned, earlier=earlier, message=message, error=error)


def _refuse_second_owner(one_pass: Pass, run: Run) -> None:
    """What another sync has sent to this address is remembered under its name alone: it would all go again,
    and of who has left since nobody would be taken out."""
    others = [sync for sync in one_pass.business.ledger.owners(run.address) if sync != run.sync]
    if others:
        raise FixConfiguration(
            f"sync {run.sync}",
            f"{run.address} is where the sync {others[0]} sends to, or did under that name",
            f"Call it {others[0]} again, or send it elsewhere: a conversion action, event or audience of its "
            "own.",
        )


def _keep_refused(one_pass: Pass, run: Run) -> None:
    """Rows refused by eligibility, as far as the ledger does not hold them for the same reason."""
    found = one_pass.workspace.execute(
        """
        SELECT key, event_id, fingerprint, value, currency, event_time, updated_at, reason FROM plan
        WHERE verdict = 'rejected' AND key <> '' AND NOT absent
            AND reason IS DISTINCT FROM ledger_reason
        """
    ).to_arrow_table()
    if found.num_rows:
        keep_refused(one_pass.business.ledger, run, found, found["reason"].to_pylist())


def _released(one_pass: Pass, run: Run) -> bool:
    """Whether a person has released what the brakes hold: the newest run of this stream that was held, with
    none since that passed them."""
    for past in one_pass.business.ledger.runs(_RUNS_LOOKED_BACK, run.sync):
        if past.stream_id != run.stream_id or past.id == run.id or past.status == RunStatus.FAILED:
            continue
        return past.status == RunStatus.HELD and past.decision == Decision.RELEASE
    return False


def _finish(
    one_pass: Pass,
    run: Run,
    status: RunStatus,
    counts: Counts,
    planned: Planned | None = None,
    *,
    earlier: Mapping[str, int] | None = None,
    message: str = "",
    error: ConnectorError | None = None,
) -> RunReport:
    now = one_pass.business.clock()
    ended = replace(
        run,
        status=status,
        finished_at=now,
        counts=counts.as_dict() | {"earlier": {k: v for k, v in (earlier or {}).items() if v}},
        value_sent=counts.value_sent,
        reasons=counts.reasons,
        message=message,
    )
    one_pass.business.ledger.finish_run(
        run,
        status,
        now,
        counts=ended.counts,
        value_sent=ended.value_sent,
        reasons=ended.reasons,
        message=message,
    )
    told = logging.WARNING if status is RunStatus.HELD else logging.INFO
    counted = {name: count for name, count in counts.as_dict().items() if count}
    log.log(told, "%s: %s, %s %s", run.sync, status, counted, message)
    report = replace(RunReport.from_ledger(ended), error=error)
    if planned is None:
        return report
    currency = one_pass.business.config.business.currency
    revenue = {currency: planned.revenue} if planned.revenue else {}
    return replace(report, spread=planned.spread, revenue=revenue)


def _unstarted(one_pass: Pass, sync: Sync, address: str, error: ConnectorError) -> RunReport:
    now = one_pass.business.clock()
    return RunReport(
        run_id="",
        sync=sync.name,
        destination=address,
        status="failed",
        counts={},
        reasons={},
        value_sent={},
        started_at=now,
        finished_at=now,
        message=str(error),
        error=error,
    )


def _scored(one_pass: Pass) -> tuple[str | None, ConnectorError | None]:
    """The version of the model that scores, or why there is none: a run says so under its own name."""
    try:
        return scored(one_pass).version, None
    except ConnectorError as error:
        return None, error


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
