"""The tables of the ledger. `migrations/` builds them; a test holds the two together."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from clvsync.ledger.units import Instant, Money

metadata = MetaData()

_BigKey = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that is exactly INTEGER."""


class RunStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"


class Decision(StrEnum):
    """What a person decided about a held run."""

    RELEASE = "release"
    DISCARD = "discard"


class BatchState(StrEnum):
    """planned: written, nothing has left. sent: it left, or may have. pending: the platform has taken it
    and decides later. accepted, in_doubt and refused are settled, and their payload is erased."""

    PLANNED = "planned"
    SENT = "sent"
    PENDING = "pending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    REFUSED = "refused"


class EntryState(StrEnum):
    """What became of the newest version of a row that was tried."""

    PLANNED = "planned"
    SENT = "sent"
    PENDING = "pending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    REJECTED = "rejected"
    REMOVED = "removed"


UNSETTLED = (BatchState.PLANNED, BatchState.SENT, BatchState.PENDING)
"""Of a batch that still has its payload."""

streams = Table(
    "streams",
    metadata,
    Column("id", _BigKey, primary_key=True),
    Column("sync", String, nullable=False, comment="name of the sync in the configuration"),
    Column("address", String, nullable=False, comment="what exactly is written to, on which account"),
    Column("carries", String, comment="what its rows are and so what their keys mean; NULL: not said"),
    UniqueConstraint("sync", "address", name="streams_once"),
    comment="One sync and one destination address: another address starts with an empty ledger",
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True, comment="sorts by start"),
    Column("stream_id", _BigKey, ForeignKey("streams.id"), nullable=False),
    Column("kind", String, nullable=False, comment="scheduled, manual, backfill, …"),
    Column("status", String, nullable=False, comment="running, done, failed or held"),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("counts", JSON, nullable=False, comment="rows by what became of them"),
    Column("value_sent", JSON, nullable=False, comment="decimal text by currency"),
    Column("reasons", JSON, nullable=False, comment="rows by reason"),
    Column("message", Text, nullable=False, comment="why it failed or was held"),
    Column("model_version", String, comment="of the CLV model behind the values"),
    Column("decision", String, comment="of a held run: release or discard"),
    Column("decided_at", Instant),
    Index("runs_by_stream", "stream_id", "id"),
    comment="One pass of one sync",
)

batches = Table(
    "batches",
    metadata,
    Column("id", _BigKey, primary_key=True),
    Column("run_id", String, ForeignKey("runs.id"), nullable=False, comment="the run that sent it last"),
    Column("stream_id", _BigKey, ForeignKey("streams.id"), nullable=False),
    Column("action", String, nullable=False, comment="add, restate or remove"),
    Column("state", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("request_id", String, comment="the platform's own id of the request"),
    Column("attempts", Integer, nullable=False),
    Column("planned_at", Instant, nullable=False),
    Column("sent_at", Instant, comment="when it may first have left; the resend window counts from here"),
    Column("settled_at", Instant),
    Column("next_poll_at", Instant, comment="of a pending request: when to ask again"),
    Column("words", Text, nullable=False, comment="what the platform said"),
    Column("payload", LargeBinary, comment="wire columns, encrypted; NULL once settled"),
    Index("batches_by_state", "stream_id", "state"),
    comment="One request: written before it is sent, with the ids it will carry",
)

entries = Table(
    "entries",
    metadata,
    Column("stream_id", _BigKey, ForeignKey("streams.id"), primary_key=True, autoincrement=False),
    Column("key", String, primary_key=True),
    Column("event_id", String, nullable=False, comment="what it carries to the platform, for ever the same"),
    Column("state", String, nullable=False),
    Column("fingerprint", BigInteger, comment="content last tried; NULL: try again whatever it is"),
    Column("accepted_fingerprint", BigInteger, comment="content the platform has; NULL: it has none"),
    Column("value", Money, comment="last tried, in ten-thousandths of the major unit"),
    Column("currency", String, comment="ISO 4217"),
    Column("accepted_value", Money, comment="what the platform has, in ten-thousandths"),
    Column("accepted_currency", String),
    Column("event_time", Instant),
    Column("updated_at", Instant, nullable=False, comment="the version: newer wins, older never overwrites"),
    Column("reason", String, comment="of a rejected or doubtful row"),
    Column("words", Text, comment="what the platform said of it"),
    Column("batch_id", _BigKey, comment="the batch that carried it last"),
    Column("model_version", String),
    Column("first_accepted_at", Instant),
    Column("last_sent_at", Instant),
    Index("entries_by_batch", "batch_id"),
    Index(
        "entries_rejected",
        "stream_id",
        sqlite_where=text("state = 'rejected'"),
        postgresql_where=text("state = 'rejected'"),
    ),
    comment="One row of a stream: what was tried last and what the platform has",
    # Clustered by stream: the difference reads one stream from end to end.
    sqlite_with_rowid=False,
)

objects = Table(
    "objects",
    metadata,
    Column("address", String, primary_key=True, comment="the account or destination it belongs to"),
    Column("name", String, primary_key=True, comment="what it is to us"),
    Column("platform_id", String, nullable=False),
    Column("details", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    comment="What we made at a platform: audiences, lookalikes",
)

models = Table(
    "models",
    metadata,
    Column("name", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("fitted_at", Instant, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("metrics", JSON, nullable=False, comment="of its validation"),
    Column("data_from", Instant, comment="oldest order it learned from"),
    Column("data_until", Instant, comment="newest order it learned from"),
    Column("customers", BigInteger, nullable=False),
    Column("orders", BigInteger, nullable=False),
    Column("current", Boolean, nullable=False, comment="the one that scores"),
    Column("accepted_at", Instant, comment="when a person said that it may be sent with"),
    Column("accepted_because", Text, comment="that person's reason"),
    Index(
        "models_one_current",
        "name",
        unique=True,
        sqlite_where=text("current"),
        postgresql_where=text("current"),
    ),
    comment="Fitted CLV models",
)

leases = Table(
    "leases",
    metadata,
    Column("sync", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("expires_at", Instant, nullable=False),
    comment="Who may run a sync now",
)

vault = Table(
    "vault",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1"),
    Column("salt", LargeBinary, nullable=False),
    Column("key_check", LargeBinary, nullable=False, comment="a known word, encrypted with the key"),
    comment="Tells a wrong encryption key from the right one",
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("digest", String, primary_key=True, comment="keyed hash of the customer's key"),
    Column("forgotten_at", Instant, nullable=False),
    comment="People who asked to be erased: no later run may bring them back",
)
