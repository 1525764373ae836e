"""What earlier runs left open: batches that never left or whose answer was lost, and pending requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from clvsync.delivery.sending import Clock, Delivered, Progress, Sender
from clvsync.ledger import Batch, BatchState, Ledger, Run
from connectors.errors import FixConfiguration, RetryLater, StopAndCall
from connectors.transport import RetryPolicy, retrying
from connectors.types import Destination, Settlement, SettlementState

LONGEST_POLL_WAIT = timedelta(hours=6)
MOST_ATTEMPTS = 5
"""How often a request that the platform failed, but calls retryable, is sent before its rows are rejected."""


def recover(
    ledger: Ledger,
    run: Run,
    destination: Destination,
    clock: Clock,
    *,
    policy: RetryPolicy | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivered:
    """Send what a run that has ended left planned or sent, with the ids it was written with.

    At the start of a run, before its difference. A batch whose answer was lost longer ago than the
    destination's resend window is put in doubt instead. The counts are of those earlier rows, `read` too.
    """
    sender = Sender(ledger, run, destination, clock, policy=policy, progress=progress, sleep=sleep)
    counts = sender.delivered.counts
    for batch in ledger.unsettled(run.stream_id):
        counts.read += batch.rows
        if _too_late(batch, destination.capabilities.resend_window, clock()):
            ledger.mark_in_doubt(batch, "The answer was lost too long ago to send it again.")
            sender.count_settled(batch)
        else:
            sender.send(batch, ledger.payload(batch))
    return sender.delivered


def poll(
    ledger: Ledger,
    run: Run,
    destination: Destination,
    clock: Clock,
    *,
    policy: RetryPolicy | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivered:
    """Ask what became of pending requests that it is time to ask after.

    Before `recover`, which sends those again that failed and may be. A request that failed in part, without
    the rows being named, is in doubt as a whole, unless its failures pass and all of it may be sent again at
    any time. Where one question finds nobody, after all its retries, the others are left to the next run. The
    counts are of those earlier rows, `read` too.
    """
    policy = policy or RetryPolicy()
    sender = Sender(ledger, run, destination, clock, policy=policy, sleep=sleep)
    counts = sender.delivered.counts
    nobody_there = False
    for batch in ledger.due_polls(run.stream_id, clock()):
        counts.read += batch.rows
        if not nobody_there and not sender.stopped.is_set():
            if batch.request_id is None:
                ledger.mark_in_doubt(batch, "The platform gave no id to ask after.")
            else:
                try:
                    settlement = retrying(policy, sleep=sleep)(destination.settle, batch.request_id)
                except RetryLater:
                    nobody_there = True
                    settlement = Settlement(SettlementState.PENDING)
                except (FixConfiguration, StopAndCall) as error:
                    sender.stop(error)
                    settlement = Settlement(SettlementState.PENDING)
                now = clock()
                judged = _judge(batch, settlement, destination)
                ledger.settle(batch, judged, now, now + _wait(batch, destination, now))
        sender.count_settled(batch)
    return sender.delivered


def _too_late(batch: Batch, window: timedelta | None, now: datetime) -> bool:
    return (
        batch.state is BatchState.SENT
        and window is not None
        and batch.sent_at is not None
        and now - batch.sent_at >= window
    )


def _judge(batch: Batch, settlement: Settlement, destination: Destination) -> Settlement:
    again = settlement.retryable and batch.attempts < MOST_ATTEMPTS
    state = settlement.state
    if state is SettlementState.PARTIAL and (
        sum(settlement.counts.values()) >= batch.rows
        or (again and destination.capabilities.resend_window is None)
    ):
        state = SettlementState.FAILED
    return replace(settlement, state=state, retryable=again)


def _wait(batch: Batch, destination: Destination, now: datetime) -> timedelta:
    """Half as long as it has been pending already, but at least the destination's first wait."""
    age = now - (batch.sent_at or now)
    return max(destination.capabilities.first_poll, min(age / 2, LONGEST_POLL_WAIT))
