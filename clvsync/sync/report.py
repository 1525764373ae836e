"""What commands are told of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError, FixConfiguration, StopAndCall

if TYPE_CHECKING:
    from clvsync.ledger.records import Run
    from clvsync.value.effect import Spread

COUNTED = (
    "read",
    "accepted",
    "restated",
    "pending",
    "in_doubt",
    "unchanged",
    "held",
    "rejected",
    "skipped",
    "removed",
)
"""Every row that was read is in exactly one of the columns after `read`, but `restated`, which is part of
`accepted` or `pending`. Members who are read from the ledger alone, to be removed, count as read."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run. `value_sent` and `revenue`, of the same rows, by currency; `spread` says how values differ.

    `earlier` counts the rows of earlier runs that this one settled or sent again; they are not in `counts`.
    """

    run_id: str
    sync: str
    destination: str
    status: str
    counts: Mapping[str, int]
    reasons: Mapping[str, int]
    value_sent: Mapping[str, Decimal]
    started_at: datetime
    finished_at: datetime | None
    message: str = ""
    model_version: str | None = None
    earlier: Mapping[str, int] = field(default_factory=dict)
    revenue: Mapping[str, Decimal] = field(default_factory=dict)
    spread: Spread | None = None
    error: ConnectorError | None = None

    @property
    def exit_code(self) -> int:
        """0 all well, 1 rejects or failed, 2 configuration, 3 credentials, 4 held."""
        if isinstance(self.error, FixConfiguration):
            return 2
        if isinstance(self.error, StopAndCall):
            return 3
        if self.status == "held":
            return 4
        return 1 if self.status == "failed" or self.counts.get("rejected") else 0

    def to_json(self) -> dict[str, Any]:
        """The shape of `run --json`."""
        return {
            "run_id": self.run_id,
            "sync": self.sync,
            "destination": self.destination,
            "status": self.status,
            **{name: self.counts.get(name, 0) for name in COUNTED},
            "value_sent": {code: f"{amount:.2f}" for code, amount in self.value_sent.items()},
            "revenue": {code: f"{amount:.2f}" for code, amount in self.revenue.items()},
            "reasons": dict(self.reasons),
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "earlier": dict(self.earlier),
            "message": self.message,
            "model_version": self.model_version,
            "spread": self.spread.to_json() if self.spread else None,
        }

    @classmethod
    def from_ledger(cls, run: Run) -> RunReport:
        """A past run, as the ledger has it."""
        return cls(
            run_id=run.id,
            sync=run.sync,
            destination=run.address,
            status=str(run.status),
            counts={name: int(run.counts.get(name, 0)) for name in COUNTED}
            | {"read": int(run.counts.get("read", 0)) + int(run.counts.get("absent", 0))},
            reasons=dict(run.reasons),
            value_sent=dict(run.value_sent),
            started_at=run.started_at,
            finished_at=run.finished_at,
            message=run.message,
            model_version=run.model_version,
            earlier=dict(run.counts.get("earlier", {})),
        )
