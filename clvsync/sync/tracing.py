"""One customer's rows of one sync, worked out step by step for one moment, with nobody else read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clvsync.config.sections import ConversionsSync, Sync
from clvsync.config.value_policy import ValuePolicy
from clvsync.ledger import Entry, EntryState
from clvsync.sync import scoring, staging
from clvsync.sync.frozen import constants
from clvsync.sync.passes import Pass
from clvsync.sync.streams import AS_IT_IS, Stream, stream_of
from clvsync.value.policies import Constants, step_size, steps, values
from connectors.types import Destination

if TYPE_CHECKING:
    from clvsync.clv.model import Terms
    from clvsync.clv.scoring import Scorer


@dataclass(frozen=True, slots=True)
class TracedStep:
    """A step of the policy, what it worked with, and the amount after it."""

    name: str
    by: float | None
    amount: float | None

    def to_json(self) -> dict[str, Any]:
        return {"step": self.name, "by": self.by, "amount": self.amount}


@dataclass(frozen=True, slots=True)
class Trace:
    """How one row comes to its value. `worth` is the CLV or margin that the policy starts from, in the
    business's currency; `reason`: why the row may not go."""

    key: str
    event_id: str
    worth: float | None
    steps: Sequence[TracedStep]
    value: Decimal | None
    currency: str
    reason: str | None
    stage: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "event_id": self.event_id,
            "worth": self.worth,
            "stage": self.stage,
            "steps": [step.to_json() for step in self.steps],
            "value": self.value,
            "currency": self.currency,
            "reason": self.reason,
        }


def score_alone(one_pass: Pass, model: Scorer) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """The summary and the scores of the pass's customer, None without an order; its tables are there then."""
    scoring.summarise(one_pass)
    scoring.score(one_pass, model)
    one_pass.scorer = model
    return _only(one_pass, "summary"), _only(one_pass, "scores")


def _only(one_pass: Pass, table: str) -> Mapping[str, Any] | None:
    rows: list[dict[str, Any]] = one_pass.workspace.execute(f"FROM {table}").to_arrow_table().to_pylist()
    return rows[0] if rows else None


def trace(
    one_pass: Pass,
    sync: Sync,
    destination: Destination,
    kept: Constants | None = None,
    *,
    belongs: bool = False,
) -> list[Trace]:
    """The customer's rows of a sync, after `score_alone`; `kept` are the policy's constants (None: those of
    today). `belongs`: it is known that the rows are of the sync's, whatever its condition says today.

    Raises NotFrozen where nothing has been taken from everyone yet.
    """
    business, workspace = one_pass.business, one_pass.workspace
    stream = stream_of(one_pass, sync, destination)
    if belongs:
        stream = replace(stream, stage=replace(stream.stage, chosen="true", stays=None))
    if stream.stage.stays is not None:
        held = business.ledger.entry(one_pass.customer or "", sync.name)
        inside = [entry.key for entry in held if entry.address == destination.address and _holds(entry)]
        workspace.register("inside", pa.table({"key": pa.array(inside, pa.string())}))
        workspace.execute("CREATE OR REPLACE TABLE members AS FROM inside")
    staging.read(workspace, business.source, stream.query(one_pass, in_clear=False, keys=None), one_pass.tell)
    policy, frozen = ValuePolicy(), AS_IT_IS
    if isinstance(sync, ConversionsSync):
        policy, frozen = sync.value, kept or constants(one_pass, sync)

    def valuer(worth: Any, stages: Any) -> Any:
        return values(policy, frozen, worth, stream.sent.currency, rate=stream.sent.rate, stages=stages)

    staging.value(
        workspace,
        stream.stage,
        destination,
        valuer=valuer,
        currency=stream.sent.currency,
        salt=business.salt,
        now=one_pass.now,
        tell=one_pass.tell,
    )
    stages = "staged.stage" if isinstance(sync, ConversionsSync) else "NULL"
    rows = workspace.execute(
        f"""
        SELECT rows.*, {stages} AS stage FROM rows JOIN staged
            ON rows.key = {stream.stage.key} AND rows.event_id = {stream.stage.event_id}
        ORDER BY rows.event_time, rows.event_id
        """
    ).to_arrow_table()
    return [_traced(row, stream, policy, frozen) for row in rows.to_pylist()]


def _holds(entry: Entry) -> bool:
    """Whether the platform holds the row, or may: as `staging.read_members` has it."""
    gone = entry.state in (EntryState.REJECTED, EntryState.REMOVED)
    return not gone or entry.accepted_value is not None


def _traced(row: Mapping[str, Any], stream: Stream, policy: ValuePolicy, frozen: Constants) -> Trace:
    worth = np.array([np.nan if row["worth"] is None else row["worth"]])
    stages = pa.array([row["stage"]], pa.string())
    found = [
        TracedStep(step.name, step.by, _known(step.amounts[0]))
        for step in steps(policy, frozen, worth, rate=stream.sent.rate, stages=stages)
    ]
    value = None if row["value"] is None else float(row["value"])
    found.append(TracedStep("rounded", float(step_size(policy, stream.sent.currency)), value))
    return Trace(
        key=row["key"],
        event_id=row["event_id"],
        worth=_known(worth[0]),
        steps=found,
        value=row["value"],
        currency=row["currency"],
        reason=row["reason"],
        stage=row["stage"],
    )


def _known(amount: Any) -> float | None:
    return float(amount) if np.isfinite(amount) else None


def orders_of(one_pass: Pass, terms: Terms) -> list[dict[str, Any]]:
    """The customer's orders until the pass's moment, the first one first: order_key, day, amount, currency,
    `value` in the business's currency, `age` in days since the acquisition, and `realised`: the margin that
    the order counts in the realised value, 0 where it is outside the horizon or has no value."""
    from sqlglot import exp

    from clvsync.customers.expressions import column, instant

    query = exp.select(
        *(column(name) for name in ("order_key", "ordered_at", "ordered_on", "amount", "currency", "value"))
    ).from_(one_pass.mapped.orders.subquery("history"))
    query = query.where(exp.LTE(this=column("ordered_at"), expression=instant(one_pass.now)))
    with one_pass.business.source.stream(query) as batches:
        rows = (
            batches.read_all().sort_by([("ordered_at", "ascending"), ("order_key", "ascending")]).to_pylist()
        )
    first = next((row["ordered_on"] for row in rows if row["amount"] > 0), None)
    return [_counted(row, first, terms) for row in rows]


def _counted(row: dict[str, Any], first: Any, terms: Terms) -> dict[str, Any]:
    age = None if first is None else (row["ordered_on"] - first).days
    realised = 0.0
    if age is not None and 0 <= age <= terms.horizon_days and row["value"] is not None:
        realised = float(row["value"]) * terms.margin * float(np.exp(-terms.daily_rate * age))
    return {
        "order": row["order_key"],
        "day": row["ordered_on"],
        "amount": row["amount"],
        "currency": row["currency"],
        "value": row["value"],
        "days_since_acquisition": age,
        "realised": realised,
    }
