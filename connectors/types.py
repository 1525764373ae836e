"""What passes between the business side and a connector: columns, outcomes and the two protocols.

Rows travel as Arrow tables. `CONVERSION` and `MEMBER` are the columns a destination is given, with
identifiers in clear; `Destination.shape` turns them into that platform's wire columns, hashed, and only
those are ever written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

Table = Any
"""A pyarrow.Table (pyarrow ships no types)."""
BatchReader = Any
"""A pyarrow.RecordBatchReader."""
Array = Any
"""A pyarrow.Array or ChunkedArray."""

MONEY = pa.decimal128(18, 4)
"""Exact amounts in major units. Rounded to the currency's minor units once, where a value is made."""
INSTANT = pa.timestamp("us", tz="UTC")

IDENTITY_COLUMNS = (
    "email",
    "phone",
    "first_name",
    "last_name",
    "city",
    "region",
    "postcode",
    "country",
    "external_id",
)
"""A person's identifiers as the business keeps them: plain, or already hashed (lower-case hex SHA-256)."""

CLICK_COLUMNS = ("gclid", "gbraid", "wbraid", "fbclid", "fbc", "fbp", "client_ip", "user_agent", "page_url")
"""What ties an event to a click or a browser. Personal: kept encrypted until the batch is settled."""

PERSONAL_COLUMNS = IDENTITY_COLUMNS + CLICK_COLUMNS

_CONSENT_FIELDS = [pa.field("ad_user_data", pa.bool_()), pa.field("ad_personalization", pa.bool_())]

CONVERSION = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_time", INSTANT, nullable=False),
        pa.field("click_time", INSTANT),
        pa.field("value", MONEY, nullable=False),
        pa.field("currency", pa.string(), nullable=False),
        pa.field("order_value", MONEY),
        pa.field("customer_type", pa.string()),
        pa.field("updated_at", INSTANT, nullable=False),
        *_CONSENT_FIELDS,
        *[pa.field(name, pa.string()) for name in PERSONAL_COLUMNS],
    ]
)
"""One conversion a row.

`key` is the ledger's key of the row; `event_id` what it carries to the platform, the same for ever
(Google's transaction_id, Meta's event_id and order_id). `event_time` is when it happened, `click_time` when
the ad was clicked (None: unknown). `value` is what to bid on, `order_value` the order's own revenue.
`customer_type` is "new" or "returning". `updated_at` is when the value was computed: newer wins.
`ad_user_data` and `ad_personalization` are the consents as resolved by the business's regime.
"""

MEMBER = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("value", MONEY),
        pa.field("currency", pa.string()),
        *_CONSENT_FIELDS,
        *[pa.field(name, pa.string()) for name in IDENTITY_COLUMNS],
    ]
)
"""One member of an audience a row. `value` is what the customer is worth (None: no value-based audience)."""


class Kind(StrEnum):
    """What a destination is given."""

    CONVERSIONS = "conversions"
    AUDIENCE = "audience"


class Action(StrEnum):
    """What a batch does at the destination."""

    ADD = "add"
    RESTATE = "restate"
    REMOVE = "remove"


class Reason(StrEnum):
    """Why a row was not sent or not taken. The platform's own reasons are kept beside these as words."""

    NO_CONSENT = "no_consent"
    NO_IDENTIFIER = "no_identifier"
    NO_CLICK_OR_IDENTIFIER = "no_click_or_identifier"
    SEVERAL_CLICK_IDS = "several_click_ids"
    TOO_OLD = "too_old"
    CLICK_TOO_OLD = "click_too_old"
    BEFORE_CLICK = "before_click"
    IN_FUTURE = "in_future"
    TOO_RECENT = "too_recent"
    NO_VALUE = "no_value"
    UNKNOWN_CURRENCY = "unknown_currency"
    MISSING_KEY = "missing_key"
    BAD_IDENTIFIER = "bad_identifier"
    REFUSED_BY_PLATFORM = "refused_by_platform"

    @property
    def remedy(self) -> str:
        """What a person can do about it, in one sentence."""
        return _REMEDIES[self]

    @property
    def rejects(self) -> bool:
        """True: the row was wanted and cannot go (rejected). False: it was never meant to go (skipped)."""
        return self not in _SKIPS


_SKIPS = frozenset(
    {Reason.NO_CONSENT, Reason.NO_IDENTIFIER, Reason.NO_CLICK_OR_IDENTIFIER, Reason.TOO_RECENT}
)

_REMEDIES: Mapping[Reason, str] = {
    Reason.NO_CONSENT: "Nothing to do: the person has not agreed. If consent is kept elsewhere, map it.",
    Reason.NO_IDENTIFIER: "Map an e-mail, phone or address column for these customers.",
    Reason.NO_CLICK_OR_IDENTIFIER: "Store the click id with the order, or map an e-mail or phone column.",
    Reason.SEVERAL_CLICK_IDS: "Keep only the click id of the last click with the order.",
    Reason.TOO_OLD: "The platform takes it no more. From now on, run the sync more often than its window.",
    Reason.CLICK_TOO_OLD: "The click is outside the conversion action's look-back window; lengthen it there.",
    Reason.BEFORE_CLICK: "Check the time zones of the order time and the click time.",
    Reason.IN_FUTURE: "Check the time zone of the event time, or correct the row.",
    Reason.TOO_RECENT: "Nothing to do: it goes once the platform has taken in the click or the site's event.",
    Reason.NO_VALUE: "Check the value policy's floor, or the order's value.",
    Reason.UNKNOWN_CURRENCY: "Give the currency a rate in business.exchange_rates, or correct its code.",
    Reason.MISSING_KEY: "Fill what the event needs: a website event at Meta page_url and user_agent.",
    Reason.BAD_IDENTIFIER: "Correct the identifier in the source; phones need a country or a default region.",
    Reason.REFUSED_BY_PLATFORM: "Read the platform's words, correct the row, then retry it.",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that will not be taken. `index` is its position in the table that was given."""

    index: int
    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Shaped:
    """Rows in wire columns. `table` has the column `key` and then what the platform needs, hashed;
    `rejections` are rows of the input that could not be shaped and are not in `table`."""

    table: Table
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform's answer for one request that it took.

    `request_id` is its own id. `settled` is False where it decides later (ask `Destination.settle`).
    `rejections` are rows it refused while taking the rest; `unplaced` counts failures whose rows it does not
    name, which leaves the whole request in doubt. `words` is what it said, free of personal data.
    """

    request_id: str | None = None
    settled: bool = True
    rejections: tuple[Rejection, ...] = ()
    unplaced: int = 0
    words: str = ""


class SettlementState(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a request that was not settled at once. `counts` gives failed rows by the platform's
    reason; `retryable` says that a failed request may be sent again as it is."""

    state: SettlementState
    counts: Mapping[str, int] = field(default_factory=dict)
    retryable: bool = False


class Severity(StrEnum):
    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `clvsync check`: the thing looked at, what was found, what to do about it."""

    severity: Severity
    what: str
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can do and how much it takes.

    `restates`: a newer value under the same id replaces the older one. `updates`: a row whose content
    changed is sent again (audiences). `removes`: rows can be taken back. `settles_later`: receipts start
    unsettled and `first_poll` is how long to wait before asking. `resend_window`: how long after sending a
    batch of unknown fate may be sent again (None: at any time). `reach`: how far back events are taken at the
    most (None: any).
    """

    rows_per_request: int
    restates: bool = False
    updates: bool = False
    removes: bool = False
    settles_later: bool = False
    first_poll: timedelta = timedelta(0)
    resend_window: timedelta | None = None
    reach: timedelta | None = None
    concurrency: int = 1


@runtime_checkable
class Destination(Protocol):
    """One kind of thing on one platform account. Safe to use from several threads once prepared."""

    kind: Kind
    address: str
    """What exactly is written to ("google/1234567890/conversions/987"): another address, another ledger."""
    capabilities: Capabilities

    def prepare(self) -> None:
        """Make what is missing at the platform (an audience) and resolve `address`. Safe to repeat."""

    def eligibility(self, rows: Table, now: datetime) -> Array:
        """For each row a `Reason` value why it may not go, or null.

        Judges what can be told from plain columns: windows, consent, required keys, presence of identifiers.
        Rows have every column of CONVERSION or MEMBER but the personal ones, in whose stead stand booleans
        named has_<column>.
        """

    def shape(self, rows: Table, now: datetime) -> Shaped:
        """CONVERSION or MEMBER rows → wire columns, normalised and hashed by the platform's written rules."""

    def send(self, shaped: Table, action: Action) -> Receipt:
        """Send at most `rows_per_request` shaped rows in one request. Never retries by itself.

        Raises RetryLater, FateUnknown, BatchRefused, FixConfiguration or StopAndCall.
        """

    def settle(self, request_id: str) -> Settlement:
        """What became of an unsettled request."""

    def check(self) -> Sequence[Finding]:
        """Credentials, permissions and settings, read from the platform."""

    def close(self) -> None: ...


class Source(Protocol):
    """A warehouse, a folder of files or a CRM. Reads only."""

    name: str
    dialect: str
    """The sqlglot dialect its queries are written in."""

    def columns(self, relation: Any) -> pa.Schema:
        """Columns and Arrow types of a table or query (a sqlglot expression that can stand after FROM)."""

    def stream(self, query: Any, *, rows_per_batch: int = 65_536) -> AbstractContextManager[BatchReader]:
        """Run a sqlglot SELECT, written in DuckDB's dialect, in this engine; Arrow batches as they come."""

    def check(self) -> Sequence[Finding]: ...

    def close(self) -> None: ...
