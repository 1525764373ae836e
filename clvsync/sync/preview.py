"""What the next run of a sync would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from clvsync.config.sections import Sync
from clvsync.connections import open_destination
from clvsync.sync.changes import changes
from clvsync.sync.passes import Pass
from clvsync.sync.planning import plan
from clvsync.sync.streams import stream_of
from clvsync.value.effect import Spread
from connectors.types import CONVERSION, MEMBER, Kind


@dataclass(frozen=True, slots=True)
class Preview:
    """`would`: rows by what would be done or is done already; `rows`: some as they would leave, hashed;
    `value` and `revenue` are the sums over the rows that would be sent; `held`: why the brakes would hold it.
    """

    sync: str
    destination: str
    read: int
    would: Mapping[str, int]
    reasons: Mapping[str, int]
    value: Mapping[str, Decimal]
    revenue: Mapping[str, Decimal]
    spread: Spread | None
    held: str
    rows: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "sync": self.sync,
            "destination": self.destination,
            "read": self.read,
            "would": dict(self.would),
            "reasons": dict(self.reasons),
            "value": {code: f"{amount:.2f}" for code, amount in self.value.items()},
            "revenue": {code: f"{amount:.2f}" for code, amount in self.revenue.items()},
            "ready_for_value_bidding": self.spread.ready if self.spread else None,
            "held": self.held,
            "rows": list(self.rows),
        }


def preview(one_pass: Pass, sync: Sync, rows: int) -> Preview:
    """The plan of the next run, and its first `rows` rows in wire columns. Nothing is written or sent."""
    business = one_pass.business
    destination = open_destination(business.config, sync)
    try:
        stream_ids = business.ledger.stream_ids(sync.name)
        stream_id = stream_ids.get((sync.name, destination.address))
        planned = plan(one_pass, sync, destination, stream_id)
        settled = planned.plan.settled
        would = {f"to {verdict}": count for verdict, count in planned.plan.to_do.items()}
        would |= {name: getattr(settled, name) for name in _SETTLED if getattr(settled, name)}
        currency = business.config.business.currency
        return Preview(
            sync=sync.name,
            destination=destination.address,
            read=settled.read,
            would={"read": settled.read, **would},
            reasons=dict(settled.reasons),
            value={currency: planned.value},
            revenue={currency: planned.revenue},
            spread=planned.spread,
            held=str(planned.judgement) if planned.judgement.held else "",
            rows=_first_rows(one_pass, sync, destination, stream_id, rows) if rows else [],
        )
    finally:
        destination.close()


_SETTLED = ("unchanged", "pending", "in_doubt", "rejected", "skipped")


def _first_rows(
    one_pass: Pass, sync: Sync, destination: Any, stream_id: int | None, rows: int
) -> list[dict[str, Any]]:
    stream = stream_of(one_pass, sync, destination)
    columns = (CONVERSION if destination.kind is Kind.CONVERSIONS else MEMBER).names
    for table in changes(one_pass, stream, -1 if stream_id is None else stream_id, lambda: False):
        shaped = destination.shape(table.select(columns).slice(0, rows), one_pass.now)
        found: list[dict[str, Any]] = shaped.table.to_pylist()
        return found
    return []
