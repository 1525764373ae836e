"""One written batch on its way: sent, retried, split where it is refused, and its answer recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from clvsync.ledger import Batch, BatchState, EntryState, Ledger, OutOfTurn, Refusal, Run
from clvsync.plan import Counts
from connectors.errors import (
    BatchRefused,
    ConnectorError,
    FateUnknown,
    FixConfiguration,
    RetryLater,
    StopAndCall,
)
from connectors.transport import RetryPolicy, retrying
from connectors.types import Action, Destination, Receipt, Table

Clock = Callable[[], datetime]
Progress = Callable[[Counts], None]

UNANSWERED_BATCHES = 3
"""Batches in a row whose answers were lost, each after all its retries, before a delivery stops: the
platform is not there, and more rows of unknown fate help nobody."""

REFUSALS_IN_A_ROW = 50
"""Rows refused one by one with none taken between them, before a delivery stops: it is not the rows."""

_OUTCOMES = {
    EntryState.ACCEPTED: "accepted",
    EntryState.PENDING: "pending",
    EntryState.IN_DOUBT: "in_doubt",
    EntryState.REJECTED: "rejected",
    EntryState.REMOVED: "removed",
}


@dataclass(slots=True)
class Delivered:
    """What became of the rows that were handed over, and what stopped the delivery, if anything did."""

    counts: Counts = field(default_factory=Counts)
    error: ConnectorError | None = None


class _Lost(Exception):
    """The answer was lost and the resend window is over."""


class Sender:
    """Sends batches of one run to one destination, from any number of threads.

    `stopped` is set by the first error that every batch would meet; what has not left by then stays planned
    for the next run.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: Run,
        destination: Destination,
        clock: Clock,
        *,
        policy: RetryPolicy | None = None,
        progress: Progress | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ledger = ledger
        self.run = run
        self.destination = destination
        self.clock = clock
        self._policy = policy or RetryPolicy()
        self._progress = progress
        self._sleep = sleep
        self._lock = threading.Lock()
        self._unanswered = 0
        self._refusals = 0
        self.stopped = threading.Event()
        self.delivered = Delivered()

    def send(self, batch: Batch, payload: Table) -> None:
        """See a written batch through to whatever becomes of it, and count its rows."""
        waiting = [(batch, payload)]
        while waiting:
            batch, payload = waiting.pop()
            if not self.stopped.is_set():
                waiting += reversed(self._send_one(batch, payload))
            self.count_settled(batch)

    def stop(self, error: ConnectorError) -> None:
        with self._lock:
            self.delivered.error = self.delivered.error or error
        self.stopped.set()

    def count(self, outcome: str, rows: int, reason: str | None = None) -> None:
        with self._lock:
            self.delivered.counts.count(outcome, rows, reason)

    def _send_one(self, batch: Batch, payload: Table) -> list[tuple[Batch, Table]]:
        """Send one request; the smaller batches that it was split into, where it was refused."""
        attempt = _Attempt(self, batch, payload)
        try:
            receipt: Receipt = retrying(self._policy, sleep=self._sleep)(attempt)
        except BatchRefused as refusal:
            return self._split(batch, payload, refusal)
        except _Lost:
            self.ledger.mark_in_doubt(batch)
            self._note_unanswered(attempt.lost)
        except OutOfTurn as error:
            self.stop(error)
        except (RetryLater, FixConfiguration, StopAndCall) as error:
            if attempt.lost is None:
                self.ledger.mark_unsent(batch)
                self.stop(error)
            elif isinstance(error, RetryLater):
                # It stays sent, and the next run sends it again under the same ids.
                self._note_unanswered(attempt.lost)
            else:
                self.stop(error)
        else:
            self._record(batch, payload, receipt)
        return []

    def _record(self, batch: Batch, payload: Table, receipt: Receipt) -> None:
        next_poll_at = None
        if not receipt.settled:
            next_poll_at = self.clock() + self.destination.capabilities.first_poll
        self.ledger.record(batch, receipt, payload["key"].to_pylist(), next_poll_at)
        with self._lock:
            self._unanswered = self._refusals = 0

    def _split(self, batch: Batch, payload: Table, refusal: BatchRefused) -> list[tuple[Batch, Table]]:
        keys: list[str] = payload["key"].to_pylist()
        refused: dict[str, Refusal] = {
            keys[each.index]: Refusal(each.reason, each.words)
            for each in refusal.rejections
            if 0 <= each.index < len(keys)
        }
        if not refused and len(keys) == 1:
            refused = {keys[0]: Refusal(refusal.reason, refusal.problem)}
        rest: Sequence[Table]
        if not refused:
            middle = len(keys) // 2
            rest = [payload.slice(0, middle), payload.slice(middle)]
        elif len(refused) < len(keys):
            rest = [payload.take([index for index, key in enumerate(keys) if key not in refused])]
        else:
            rest = []
        parts = self.ledger.record_refusal(batch, refused, rest, refusal.problem)
        with self._lock:
            self._refusals += len(refused)
            hopeless = self._refusals >= REFUSALS_IN_A_ROW
        if hopeless and not refusal.rejections:
            self.stop(refusal)
        return list(zip(parts, rest, strict=True))

    def _note_unanswered(self, error: FateUnknown | None) -> None:
        with self._lock:
            self._unanswered += 1
            silent = self._unanswered >= UNANSWERED_BATCHES
        if silent and error is not None:
            self.stop(error)

    def count_settled(self, batch: Batch) -> None:
        """Count the rows that a batch carries now, by what the ledger says of them."""
        tallies = self.ledger.tally(batch)
        with self._lock:
            counts = self.delivered.counts
            for tally in tallies:
                if tally.state is EntryState.PLANNED:
                    counts.count("held", tally.rows, "not_sent")
                elif tally.state is EntryState.SENT:
                    counts.count("in_doubt", tally.rows, "answer_lost")
                else:
                    counts.count(_OUTCOMES[tally.state], tally.rows, tally.reason)
                if (
                    tally.state in (EntryState.ACCEPTED, EntryState.PENDING)
                    and batch.action is not Action.REMOVE
                ):
                    if batch.action is Action.RESTATE:
                        counts.restated += tally.rows
                    if tally.currency and tally.value is not None:
                        counts.sent({tally.currency: tally.value})
            if self._progress is not None:
                self._progress(counts)


class _Attempt:
    """Called once for every attempt at one request. `lost` is the last error that left its fate open."""

    def __init__(self, sender: Sender, batch: Batch, payload: Table) -> None:
        self._sender = sender
        self._batch = batch
        self._payload = payload
        self._first_sent_at = batch.sent_at
        self.lost: FateUnknown | None = None
        if batch.state is BatchState.SENT:
            self.lost = FateUnknown(
                f"Batch {batch.id}", "the process that sent it ended", "It is sent again under the same ids."
            )

    def __call__(self) -> Receipt:
        sender = self._sender
        sender.ledger.mark_sent(self._batch, sender.run)
        if self._first_sent_at is None:
            self._first_sent_at = sender.clock()
        try:
            return sender.destination.send(self._payload, self._batch.action)
        except FateUnknown as error:
            self.lost = error
            window = sender.destination.capabilities.resend_window
            if window is not None and sender.clock() - self._first_sent_at >= window:
                raise _Lost from error
            raise
