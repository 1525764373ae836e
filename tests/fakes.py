"""A destination inside this process, as strict and as unkind as the real ones."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors.errors import BatchRefused, ConnectorError, FateUnknown
from connectors.types import (
    CONVERSION,
    Action,
    Array,
    Capabilities,
    Finding,
    Kind,
    Reason,
    Receipt,
    Rejection,
    Settlement,
    SettlementState,
    Shaped,
    Table,
)


class Clock:
    """Time that only moves when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, step: timedelta) -> None:
        self.now += step


@dataclass
class FakeDestination:
    """Keeps one row per event id, as Google does, and counts how often each was taken.

    `faults` are met in turn by the requests: an error to raise before anything is taken, or `LOSE` to take
    the rows and lose the answer. `bad` event ids sink their whole request, which names them where
    `names_bad`; `rejected` ones are refused alone; `unshapable` keys never get so far.
    """

    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(rows_per_request=10, restates=True)
    )
    kind: Kind = Kind.CONVERSIONS
    address: str = "fake/1"
    faults: list[ConnectorError | str] = field(default_factory=list)
    bad: set[str] = field(default_factory=set)
    names_bad: bool = False
    rejected: set[str] = field(default_factory=set)
    unshapable: dict[str, str] = field(default_factory=dict)
    unplaced: int = 0
    settlements: dict[str, Settlement] = field(default_factory=dict)
    before_send: Callable[[Table, Action], None] | None = None
    values: dict[str, Decimal | None] = field(default_factory=dict)
    taken: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[Action, list[str]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    LOSE = "lose"

    def prepare(self) -> None: ...

    def eligibility(self, rows: Table, now: datetime) -> Array:
        return pa.nulls(len(rows), pa.string())

    def shape(self, rows: Table, now: datetime) -> Shaped:
        keys = rows["key"].to_pylist()
        kept = [index for index, key in enumerate(keys) if key not in self.unshapable]
        wire = rows.take(kept)
        columns = {"key": wire["key"], "event_id": wire["key"], "value": wire["value"]}
        if self.kind is Kind.CONVERSIONS:
            columns |= {"event_id": wire["event_id"], "click": wire["gclid"]}
        return Shaped(
            pa.table(columns),
            tuple(
                Rejection(index, self.unshapable[key], "cannot be shaped")
                for index, key in enumerate(keys)
                if key in self.unshapable
            ),
        )

    def send(self, shaped: Table, action: Action) -> Receipt:
        if self.before_send is not None:
            self.before_send(shaped, action)
        with self._lock:
            return self._send(shaped, action)

    def _send(self, shaped: Table, action: Action) -> Receipt:
        ids: list[str] = shaped["event_id"].to_pylist()
        assert 0 < len(ids) <= self.capabilities.rows_per_request
        self.requests.append((action, ids))
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, ConnectorError):
            raise fault
        found = [index for index, event_id in enumerate(ids) if event_id in self.bad]
        if found:
            named = [Rejection(index, Reason.BAD_IDENTIFIER, "no such click") for index in found]
            raise BatchRefused(
                self.address,
                "a row is wrong",
                "Correct it.",
                reason=Reason.REFUSED_BY_PLATFORM,
                rejections=named if self.names_bad else (),
            )
        rejections = []
        for index, (event_id, value) in enumerate(zip(ids, shaped["value"].to_pylist(), strict=True)):
            if event_id in self.rejected:
                rejections.append(Rejection(index, Reason.REFUSED_BY_PLATFORM, "not this one"))
                continue
            self.taken[event_id] += 1
            if action is Action.REMOVE:
                self.values.pop(event_id, None)
            else:
                self.values[event_id] = value
        if fault == self.LOSE:
            raise FateUnknown(self.address, "the answer was lost", "It is asked again.")
        return Receipt(
            request_id=f"request-{len(self.requests)}",
            settled=not self.capabilities.settles_later,
            rejections=tuple(rejections),
            unplaced=self.unplaced,
        )

    def settle(self, request_id: str) -> Settlement:
        return self.settlements.get(request_id, Settlement(SettlementState.PENDING))

    def check(self) -> Sequence[Finding]:
        return []

    def close(self) -> None: ...


def conversions(
    values: dict[str, str], at: datetime, *, currency: str = "EUR", **columns: Sequence[Any]
) -> Table:
    """CONVERSION rows with `fingerprint`, one for each key and value, that happened at `at`."""
    rows = len(values)
    filled: dict[str, Any] = {
        "key": list(values),
        "event_id": [f"event-{key}" for key in values],
        "event_time": [at] * rows,
        "value": [Decimal(value) for value in values.values()],
        "currency": [currency] * rows,
        "updated_at": [at] * rows,
        "gclid": [f"click-of-{key}" for key in values],
        **columns,
    }
    table = pa.table(
        {item.name: pa.array(filled.get(item.name, [None] * rows), item.type) for item in CONVERSION}
    )
    return table.append_column("fingerprint", pa.array(filled.get("fingerprint", [7] * rows), pa.int64()))


def ledger_rows(changes: Table) -> Table:
    """The columns that the ledger keeps of conversions."""
    names = ["key", "event_id", "fingerprint", "value", "currency", "event_time", "updated_at"]
    return changes.select(names)
