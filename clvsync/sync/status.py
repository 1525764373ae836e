"""Each sync: its last run and what is under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clvsync.sync.opened import Opened


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """`pending`, `in_doubt` and `rejected` are rows of the last run; `unsettled_batches` are requests that
    wait to be sent, or that it is time to ask after."""

    sync: str
    schedule: str
    last_run: datetime | None
    status: str
    message: str
    unsettled_batches: int
    pending: int
    in_doubt: int
    rejected: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def status(business: Opened) -> list[SyncStatus]:
    """One line a sync, in the order of the configuration."""
    return [_one(business, sync.name, str(sync.schedule or "by hand")) for sync in business.config.syncs]


def _one(business: Opened, name: str, schedule: str) -> SyncStatus:
    ledger, now = business.ledger, business.clock()
    runs = ledger.runs(1, name)
    waiting = sum(len(ledger.unsettled(stream)) for stream in ledger.stream_ids(name).values())
    waiting += sum(len(ledger.due_polls(stream, now)) for stream in ledger.stream_ids(name).values())
    if not runs:
        return SyncStatus(name, schedule, None, "never ran", "", waiting, 0, 0, 0)
    last = runs[0]
    counts = last.counts
    return SyncStatus(
        name,
        schedule,
        last.started_at,
        str(last.status),
        last.message,
        waiting,
        int(counts.get("pending", 0)),
        int(counts.get("in_doubt", 0)),
        int(counts.get("rejected", 0)),
    )
