"""Run by Alembic. The connection comes from `clvsync.ledger.database`, inside its transaction."""

from __future__ import annotations

from alembic import context

from clvsync.ledger.database import VERSION_TABLE
from clvsync.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place: Alembic then copies the table.
    render_as_batch=True,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
