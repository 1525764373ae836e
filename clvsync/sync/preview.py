"""What the next run of a sync would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow.compute as pc

from clvsync.config.sections import Sync
from clvsync.connections import open_destination
from clvsync.sync.changes import changes
from clvsync.sync.passes import Pass
from clvsync.sync.planning import plan
from clvsync.sync.streams import Sent, stream_of
from clvsync.value.effect import Effect, Spread, effect
from connectors.types import CONVERSION, MEMBER, Kind


@dataclass(frozen=True, slots=True)
class Preview:
    """`would`: rows by what would be done or is done already; `rows`: some as they would leave, hashed;
    `held`: why the brakes would hold it. `effect` and `spread` are of every row that may go, `value` and
    `revenue` sums over them; `to_send` sums over those that would be sent."""

    sync: str
    destination: str
    read: int
    would: Mapping[str, int]
    reasons: Mapping[str, int]
    value: Mapping[str, Decimal]
    revenue: Mapping[str, Decimal]
    to_send: Mapping[str, Mapping[str, Decimal]]
    spread: Spread | None
    effect: Effect | None
    held: str
    rows: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "sync": self.sync,
            "destination": self.destination,
            "read": self.read,
            "would": dict(self.would),
            "reasons": dict(self.reasons),
            "value": _written(self.value),
            "revenue": _written(self.revenue),
            "to_send": {name: _written(amounts) for name, amounts in self.to_send.items()},
            "effect": self.effect.to_json() if self.effect else None,
            "spread": self.spread.to_json() if self.spread else None,
            "ready_for_value_bidding": self.spread.ready if self.spread else None,
            "held": self.held,
            "rows": list(self.rows),
        }


def _written(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {code: f"{amount:.2f}" for code, amount in amounts.items()}


def preview(one_pass: Pass, sync: Sync, rows: int) -> Preview:
    """The plan of the next run, and its first `rows` rows in wire columns. Nothing is sent."""
    business = one_pass.business
    destination = open_destination(business.config, sync)
    try:
        stream_ids = business.ledger.stream_ids(sync.name)
        stream_id = stream_ids.get((sync.name, destination.address))
        planned = plan(one_pass, sync, destination, stream_id)
        settled, sent = planned.plan.settled, planned.sent
        would = {f"to {verdict}": count for verdict, count in planned.plan.to_do.items()}
        would |= {name: getattr(settled, name) for name in _SETTLED if getattr(settled, name)}
        own = business.config.business.currency
        found = _effect(one_pass, sent)
        return Preview(
            sync=sync.name,
            destination=destination.address,
            read=settled.read,
            would={"read": settled.read, **would},
            reasons=dict(settled.reasons),
            value={sent.currency: found.value} if found else {},
            revenue={own: Decimal(str(found.revenue))} if found and found.revenue is not None else {},
            to_send={"value": {sent.currency: planned.value}, "revenue": {own: planned.revenue}},
            spread=planned.spread,
            effect=found,
            held=" ".join(why for why in (planned.model_held, str(planned.judgement)) if why),
            rows=_first_rows(one_pass, sync, destination, stream_id, rows) if rows else [],
        )
    finally:
        destination.close()


def _effect(one_pass: Pass, sent: Sent) -> Effect | None:
    """Over every row that may go, whether it is to be sent or the platform has it already."""
    found = one_pass.workspace.execute(
        "SELECT worth, value, CAST(order_value AS DOUBLE) AS revenue FROM rows WHERE reason IS NULL"
    ).to_arrow_table()
    worth, revenue = (
        np.asarray(pc.fill_null(found[name], float("nan")), dtype=np.float64) for name in ("worth", "revenue")
    )
    return effect(worth, found["value"], revenue, sent.rate)


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
