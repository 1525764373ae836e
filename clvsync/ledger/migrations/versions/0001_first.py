"""Everything the ledger starts with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _big_key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "forgotten",
        sa.Column("digest", sa.String(), nullable=False, comment="keyed hash of the customer's key"),
        sa.Column("forgotten_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        comment="People who asked to be erased: no later run may bring them back",
    )
    op.create_table(
        "leases",
        sa.Column("sync", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sync"),
        comment="Who may run a sync now",
    )
    op.create_table(
        "models",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("fitted_at", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False, comment="of its validation"),
        sa.Column("data_from", sa.BigInteger(), comment="oldest order it learned from"),
        sa.Column("data_until", sa.BigInteger(), comment="newest order it learned from"),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False, comment="the one that scores"),
        sa.PrimaryKeyConstraint("name", "version"),
        comment="Fitted CLV models",
    )
    op.create_index(
        "models_one_current",
        "models",
        ["name"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "objects",
        sa.Column("address", sa.String(), nullable=False, comment="the account or destination it belongs to"),
        sa.Column("name", sa.String(), nullable=False, comment="what it is to us"),
        sa.Column("platform_id", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", "name"),
        comment="What we made at a platform: audiences, lookalikes",
    )
    op.create_table(
        "streams",
        sa.Column("id", _big_key(), nullable=False),
        sa.Column("sync", sa.String(), nullable=False, comment="name of the sync in the configuration"),
        sa.Column(
            "address", sa.String(), nullable=False, comment="what exactly is written to, on which account"
        ),
        sa.Column(
            "carries", sa.String(), comment="what its rows are and so what their keys mean; NULL: not said"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sync", "address", name="streams_once"),
        comment="One sync and one destination address: another address starts with an empty ledger",
    )
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False, comment="always 1"),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column(
            "key_check", sa.LargeBinary(), nullable=False, comment="a known word, encrypted with the key"
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="Tells a wrong encryption key from the right one",
    )
    op.create_table(
        "entries",
        sa.Column("stream_id", _big_key(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column(
            "event_id",
            sa.String(),
            nullable=False,
            comment="what it carries to the platform, for ever the same",
        ),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column(
            "fingerprint", sa.BigInteger(), comment="content last tried; NULL: try again whatever it is"
        ),
        sa.Column(
            "accepted_fingerprint", sa.BigInteger(), comment="content the platform has; NULL: it has none"
        ),
        sa.Column("value", sa.BigInteger(), comment="last tried, in ten-thousandths of the major unit"),
        sa.Column("currency", sa.String(), comment="ISO 4217"),
        sa.Column("accepted_value", sa.BigInteger(), comment="what the platform has, in ten-thousandths"),
        sa.Column("accepted_currency", sa.String()),
        sa.Column("event_time", sa.BigInteger()),
        sa.Column(
            "updated_at",
            sa.BigInteger(),
            nullable=False,
            comment="the version: newer wins, older never overwrites",
        ),
        sa.Column("reason", sa.String(), comment="of a rejected or doubtful row"),
        sa.Column("words", sa.Text(), comment="what the platform said of it"),
        sa.Column("batch_id", _big_key(), comment="the batch that carried it last"),
        sa.Column("model_version", sa.String()),
        sa.Column("first_accepted_at", sa.BigInteger()),
        sa.Column("last_sent_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
        ),
        sa.PrimaryKeyConstraint("stream_id", "key"),
        comment="One row of a stream: what was tried last and what the platform has",
        sqlite_with_rowid=False,
    )
    op.create_index("entries_by_batch", "entries", ["batch_id"], unique=False)
    op.create_index(
        "entries_rejected",
        "entries",
        ["stream_id"],
        unique=False,
        sqlite_where=sa.text("state = 'rejected'"),
        postgresql_where=sa.text("state = 'rejected'"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False, comment="sorts by start"),
        sa.Column("stream_id", _big_key(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False, comment="scheduled, manual, backfill, …"),
        sa.Column("status", sa.String(), nullable=False, comment="running, done, failed or held"),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("counts", sa.JSON(), nullable=False, comment="rows by what became of them"),
        sa.Column("value_sent", sa.JSON(), nullable=False, comment="decimal text by currency"),
        sa.Column("reasons", sa.JSON(), nullable=False, comment="rows by reason"),
        sa.Column("message", sa.Text(), nullable=False, comment="why it failed or was held"),
        sa.Column("model_version", sa.String(), comment="of the CLV model behind the values"),
        sa.Column("decision", sa.String(), comment="of a held run: release or discard"),
        sa.Column("decided_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="One pass of one sync",
    )
    op.create_index("runs_by_stream", "runs", ["stream_id", "id"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", _big_key(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False, comment="the run that sent it last"),
        sa.Column("stream_id", _big_key(), nullable=False),
        sa.Column("action", sa.String(), nullable=False, comment="add, restate or remove"),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(), comment="the platform's own id of the request"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("planned_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "sent_at",
            sa.BigInteger(),
            comment="when it may first have left; the resend window counts from here",
        ),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("next_poll_at", sa.BigInteger(), comment="of a pending request: when to ask again"),
        sa.Column("words", sa.Text(), nullable=False, comment="what the platform said"),
        sa.Column("payload", sa.LargeBinary(), comment="wire columns, encrypted; NULL once settled"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["streams.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="One request: written before it is sent, with the ids it will carry",
    )
    op.create_index("batches_by_state", "batches", ["stream_id", "state"], unique=False)
