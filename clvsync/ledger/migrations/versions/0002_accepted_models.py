"""A person's word for a fitted model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "models",
        sa.Column("accepted_at", sa.BigInteger(), comment="when a person said that it may be sent with"),
    )
    op.add_column("models", sa.Column("accepted_because", sa.Text(), comment="that person's reason"))
