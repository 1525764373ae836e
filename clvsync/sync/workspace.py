"""The run's own DuckDB: the columns of one pass, gone when it ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@contextmanager
def open_workspace(memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that holds at most `memory` and spills the rest to an encrypted file of its own.

    Its zone is UTC. People's identifiers pass through it in streams and are never stored in it.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="clvsync-") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": memory,
                "temp_directory": folder,
                "temp_file_encryption": "true",
                "preserve_insertion_order": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            # It would be drawn into what a command prints.
            connection.execute("SET enable_progress_bar = false")
            yield connection
        finally:
            connection.close()
