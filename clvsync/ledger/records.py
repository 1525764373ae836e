"""What the ledger hands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from clvsync.ledger.schema import BatchState, Decision, EntryState, RunStatus
from connectors.types import Action


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of one sync. `value_sent` by currency; `counts` and `reasons` in rows."""

    id: str
    stream_id: int
    sync: str
    address: str
    kind: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    value_sent: Mapping[str, Decimal] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    model_version: str | None = None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One request. `sent_at` is when it may first have left."""

    id: int
    run_id: str
    stream_id: int
    action: Action
    state: BatchState
    rows: int
    attempts: int
    planned_at: datetime
    sent_at: datetime | None = None
    request_id: str | None = None
    next_poll_at: datetime | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger knows of one row of one stream."""

    sync: str
    address: str
    key: str
    event_id: str
    state: EntryState
    value: Decimal | None
    currency: str | None
    accepted_value: Decimal | None
    accepted_currency: str | None
    event_time: datetime | None
    updated_at: datetime
    reason: str | None
    words: str | None
    batch_id: int | None
    model_version: str | None
    first_accepted_at: datetime | None
    last_sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one row was not taken: our reason and the platform's words."""

    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows of one batch that share a state, a reason and a currency, and their value."""

    state: EntryState
    reason: str | None
    currency: str | None
    rows: int
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted CLV model. `metrics` come from its validation; the window is of the orders it learned from.
    `accepted_at` and `accepted_because`: a person's word that it may be sent with, None without one."""

    name: str
    version: str
    fitted_at: datetime
    parameters: Mapping[str, Any]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data_from: datetime | None = None
    data_until: datetime | None = None
    customers: int = 0
    orders: int = 0
    current: bool = False
    accepted_at: datetime | None = None
    accepted_because: str | None = None


@dataclass(frozen=True, slots=True)
class PlatformObject:
    """What we made at a platform. `name` is what it is to us, unique at its `address`."""

    address: str
    name: str
    platform_id: str
    created_at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
