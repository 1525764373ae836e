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
    """A DuckDB that holds at most `memory` and spills the rest to encrypted files of its own.

    Its zone is UTC. People's identifiers pass through it in streams and are never stored in it.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="clvsync-") as folder:
        connection = duckdb.connect(
            config={
                "memory_limit": memory,
                "temp_directory": folder,
                "temp_file_encryption": "true",
                # Without it nothing can be spilled at all: DuckDB's own cryptography makes its keys by a
                # generator that it calls unsafe for files that are kept. These are gone when the run ends.
                "force_mbedtls_unsafe": "true",
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
