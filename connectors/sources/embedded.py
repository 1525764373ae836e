"""DuckDB inside this process: over one database file."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from connectors.errors import ConnectorError, CredentialsRefused, FixConfiguration, RetryLater
from connectors.sources import queries
from connectors.sources.engine import Engine
from connectors.types import BatchReader, Finding, Severity

_KIND = re.compile(r"\b([A-Z]\w*(?: [A-Za-z]+)*) Error: ")


class Embedded(Engine):
    """Queries run by DuckDB in this process, all streams of one source inside one memory limit.

    The database lives only while a stream is open: a DuckDB file that is open to us cannot be written by
    anyone else. What does not fit in memory is spilled to a temporary folder.
    """

    dialect = queries.DIALECT

    def __init__(self, name: str, *, memory_limit: str) -> None:
        super().__init__(name)
        self._memory_limit = memory_limit
        self._lock = threading.Lock()
        self._users = 0
        self._database: Any = None
        self._spill: str | None = None

    def _attach(self, connection: Any) -> None:
        """Called once for each time the database is opened."""

    def _prepare(self, connection: Any, query: exp.Expression) -> exp.Expression:
        """Called for each stream on its own connection; gives the query that is run."""
        raise NotImplementedError

    @contextmanager
    def _run(self, query: exp.Expression, rows_per_batch: int) -> Iterator[BatchReader]:
        # Checked before anything of ours is put into it.
        queries.written(query, self.dialect, name=self.name)
        with self._connected() as connection:
            text = queries.written(self._prepare(connection, query), self.dialect, name=self.name)
            yield connection.execute(text).to_arrow_reader(rows_per_batch)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        with self._lock:
            if self._database is None:
                self._open()
            self._users += 1
            connection = self._database.cursor()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._shut()

    def _open(self) -> None:
        self._spill = tempfile.mkdtemp(prefix="duckdb-")
        self._database = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": self._memory_limit,
                "temp_directory": self._spill,
                # A name that is no table must not become a Python variable, nor a download.
                "python_enable_replacements": "false",
                "autoinstall_known_extensions": "false",
            },
        )
        try:
            self._attach(self._database)
        except BaseException:
            self._shut()
            raise

    def _shut(self) -> None:
        self._database.close()
        self._database = None
        shutil.rmtree(self._spill or "", ignore_errors=True)

    def _explain(self, error: Exception) -> ConnectorError | None:
        if not isinstance(error, duckdb.Error | pa.ArrowException | OSError):
            return None
        text = str(error)
        found = _KIND.search(text)
        kind = found[1] if found else ""
        if "file handle conflict" in text or "Could not set lock" in text:
            return RetryLater(
                self.name, "another process is writing the database", "Try again when it is done."
            )
        if "Permission denied" in text:
            return CredentialsRefused(
                self.name, "the file may not be read", "Give this user read access to it."
            )
        if kind == "IO":
            return FixConfiguration(
                self.name, "a file of it cannot be read or is not what its name says", "Check the address."
            )
        if kind == "Out of Memory":
            return FixConfiguration(
                self.name, f"the query needs more than {self._memory_limit}", "Raise the warehouse's memory."
            )
        if kind in ("Conversion", "Invalid Input", "Out of Range"):
            return FixConfiguration(
                self.name,
                "a value cannot be read as the type that is asked for",
                "Correct the rows or the types.",
            )
        if kind == "INTERRUPT":
            return RetryLater(self.name, "the query was interrupted", "Run it again.")
        return FixConfiguration(
            self.name, "the query cannot run", "Check its tables, columns and types.", code=kind
        )

    def _tables(self) -> list[str]:
        rows = self._rows("SELECT table_schema, table_name FROM information_schema.tables")
        return [row["table_name"] for row in rows if row["table_schema"] == "main"] + [
            f"{row['table_schema']}.{row['table_name']}" for row in rows
        ]


class DuckDBFile(Embedded):
    """One DuckDB database file, opened read-only."""

    def __init__(self, path: Path, *, name: str, memory_limit: str) -> None:
        super().__init__(name, memory_limit=memory_limit)
        self._path = path

    def _attach(self, connection: Any) -> None:
        path = exp.Literal.string(str(self._path)).sql(self.dialect)
        catalog = exp.to_identifier(self._catalog, quoted=True).sql(self.dialect)
        connection.execute(f"ATTACH {path} AS {catalog} (TYPE duckdb, READ_ONLY)")

    def _prepare(self, connection: Any, query: exp.Expression) -> exp.Expression:
        connection.execute(f"USE {exp.to_identifier(self._catalog, quoted=True).sql(self.dialect)}")
        return query

    @property
    def _catalog(self) -> str:
        """The file's own name, as DuckDB itself has it, where that is free."""
        stem = self._path.stem
        return "shop" if stem in ("memory", "system", "temp") else stem

    def _look(self) -> Sequence[Finding]:
        version = self._rows("SELECT version() AS version")[0]["version"]
        count = len({name for name in self._tables() if "." in name})
        return [
            Finding(Severity.OK, self.name, f"DuckDB {version} answers, {count} tables, opened read-only")
        ]
