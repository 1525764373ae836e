"""Every other engine, through Ibis: BigQuery, Snowflake, Databricks, Trino and the rest that it knows.

Ibis only connects and streams here; queries are written by our own hand (`queries`), so that it can be
replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any

from sqlglot import exp

from connectors.errors import ConnectorError, CredentialsRefused, FixConfiguration, RetryLater
from connectors.sources import queries
from connectors.sources.engine import Engine
from connectors.types import BatchReader, Finding, Severity

# Where the address's scheme is not the name of the dialect.
_DIALECTS = {"mssql": "tsql", "pyspark": "spark", "impala": "hive"}
_EXTRAS = ("bigquery", "snowflake", "databricks", "trino")

# Drivers have no common tree of errors; these are the names of their classes (google-api-core, google-auth,
# snowflake-connector, databricks-sql, trino, the Python DB-API, DuckDB), judged in this order.
_CREDENTIALS = {
    "DefaultCredentialsError",
    "Forbidden",
    "ForbiddenError",
    "PermissionDenied",
    "PermissionError",
    "RefreshError",
    "TrinoAuthError",
    "Unauthenticated",
    "Unauthorized",
}
_RETRY = {
    "ConnectionError",
    "GatewayTimeout",
    "Http503Error",
    "Http504Error",
    "IOException",
    "InterfaceError",
    "InternalServerError",
    "OperationalError",
    "RetryError",
    "ServiceUnavailable",
    "TimeoutError",
    "TooManyRequests",
    "TransportError",
    "TrinoConnectionError",
}
_DENIED = ("42501", "28000", "28P01")
_DENIED_WORDS = ("incorrect username or password", "insufficient privileges", "permission denied")


class IbisEngine(Engine):
    """One warehouse by its Ibis address. Each stream is a connection of its own."""

    def __init__(self, url: str, *, name: str) -> None:
        super().__init__(name)
        self._url = url
        scheme = url.partition("://")[0]
        self._scheme = scheme
        self.dialect = _DIALECTS.get(scheme, scheme)
        _require(scheme, name)

    @contextmanager
    def _run(self, query: exp.Expression, rows_per_batch: int) -> Iterator[BatchReader]:
        text = queries.written(query, self.dialect, name=self.name)
        with self._connected() as backend:
            yield backend.to_pyarrow_batches(backend.sql(text), chunk_size=rows_per_batch)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        import ibis

        try:
            backend = ibis.connect(self._url)
        except ImportError:
            raise self._no_driver() from None
        try:
            yield backend
        finally:
            backend.disconnect()

    def _no_driver(self) -> FixConfiguration:
        return FixConfiguration(
            self.name, f"the driver for {self._scheme} is not installed", f"Install {_extra(self._scheme)}."
        )

    def _explain(self, error: Exception) -> ConnectorError | None:
        if isinstance(error, AttributeError | TypeError | AssertionError):
            return None
        if isinstance(error, ImportError):
            return self._no_driver()
        names = {each.__name__ for each in type(error).__mro__}
        state, text = str(getattr(error, "sqlstate", "")), str(error).lower()
        code = type(error).__name__
        if names & _CREDENTIALS or state in _DENIED or any(words in text for words in _DENIED_WORDS):
            return CredentialsRefused(
                self.name,
                "the warehouse does not let us in or read this",
                "Check the user and its rights.",
                code=code,
            )
        if names & _RETRY:
            return RetryLater(
                self.name,
                "the warehouse cannot be reached now",
                "Check the address if it stays so.",
                code=code,
            )
        return FixConfiguration(
            self.name, "the query cannot run", "Check its tables, columns and types.", code=code
        )

    def _tables(self) -> list[str]:
        try:
            with self._connected() as backend:
                return [str(table) for table in backend.list_tables()]
        except Exception as error:
            ours = error if isinstance(error, ConnectorError) else self._explain(error)
            if ours is None:
                raise
            raise ours from None

    def _look(self) -> Sequence[Finding]:
        self._rows("SELECT 1 AS answer")
        return [
            Finding(
                Severity.OK,
                self.name,
                f"{self._scheme} answers; only SELECT is run, whatever the user may do",
                "Use a role that may read and nothing else.",
            )
        ]


def _require(scheme: str, name: str) -> None:
    """Raises FixConfiguration where Ibis is not installed or has no such engine."""
    known = sorted(entry_points(group="ibis.backends").names)
    if not known:
        raise FixConfiguration(name, f"reading {scheme} needs Ibis", f"Install {_extra(scheme)}.")
    if scheme not in known:
        raise FixConfiguration(
            name,
            f"{scheme!r} is no engine that can be read",
            f"Known are duckdb, files, postgresql, {', '.join(each for each in known if each != 'duckdb')}.",
        )


def _extra(scheme: str) -> str:
    return f"clvsync[{scheme}]" if scheme in _EXTRAS else f"ibis-framework[{scheme}]"
