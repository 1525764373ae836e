"""PostgreSQL through ADBC: Arrow from the wire on, in a read-only transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as driver
import pyarrow as pa
from sqlglot import exp

from connectors.errors import ConnectorError, CredentialsRefused, FixConfiguration, RetryLater
from connectors.sources import queries
from connectors.sources.engine import Engine
from connectors.transport import CONNECT_TIMEOUT
from connectors.types import BatchReader, Finding, Severity

_SQLSTATE = re.compile(r"SQLSTATE: ([0-9A-Z]{5})")
# The driver fills a batch up to so many bytes, and not to a number of rows.
_BATCH_BYTES = "adbc.postgresql.batch_size_hint_bytes"
_BYTES_PER_ROW = 64

# libpq's own words for refusals before there is a session, which carry no SQLSTATE.
_REFUSED = ("authentication failed", "no password supplied", "no pg_hba.conf entry", 'role "')


class PostgreSQL(Engine):
    """One PostgreSQL database. Each stream is one connection and one read-only transaction.

    A password comes with the address or from libpq's own places (PGPASSWORD, PGPASSFILE, service file).
    `statement_timeout` is in seconds.
    """

    dialect = "postgres"

    def __init__(self, url: str, *, name: str, statement_timeout: float) -> None:
        super().__init__(name)
        self._url = _for_libpq(url)
        self._timeout = int(statement_timeout * 1000)

    @contextmanager
    def _run(self, query: exp.Expression, rows_per_batch: int) -> Iterator[BatchReader]:
        text = queries.written(query, self.dialect, name=self.name)
        with driver.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute("SET LOCAL TimeZone = 'UTC'")
            cursor.execute(f"SET LOCAL statement_timeout = {self._timeout:d}")
            cursor.adbc_statement.set_options(**{_BATCH_BYTES: str(rows_per_batch * _BYTES_PER_ROW)})
            cursor.execute(text)
            # fetch_record_batch() gives the reader inside this one, whose errors have lost their SQLSTATE.
            yield cursor._results.reader

    def _explain(self, error: Exception) -> ConnectorError | None:
        if not isinstance(error, adbc_driver_manager.Error | pa.ArrowException | OSError):
            return None
        text = str(error)
        found = _SQLSTATE.search(text)
        state = getattr(error, "sqlstate", None) or (found[1] if found else None)
        if state is None:
            return self._unreached(text)
        return _by_state(self.name, state)

    def _unreached(self, text: str) -> ConnectorError:
        if any(words in text for words in _REFUSED):
            return CredentialsRefused(
                self.name,
                "the server does not accept the user or password",
                "Check user, password and pg_hba.",
            )
        if 'database "' in text and "does not exist" in text:
            return FixConfiguration(self.name, "there is no such database", "Check the address.")
        return RetryLater(
            self.name,
            "the server cannot be reached or the connection was lost",
            "Check the address if it stays so.",
        )

    def _tables(self) -> list[str]:
        rows = self._rows(
            "SELECT table_schema, table_name, table_schema = ANY(current_schemas(FALSE)) AS first"
            " FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        return [row["table_name"] for row in rows if row["first"]] + [
            f"{row['table_schema']}.{row['table_name']}" for row in rows
        ]

    def _look(self) -> Sequence[Finding]:
        row = self._rows(
            "SELECT current_setting('server_version') AS version,"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,"
            " EXISTS (SELECT 1 FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND has_table_privilege(oid, 'INSERT, UPDATE, DELETE')) AS writes"
        )[0]
        findings = [Finding(Severity.OK, self.name, f"PostgreSQL {row['version']} answers")]
        if row["superuser"] or row["writes"]:
            findings.append(
                Finding(
                    Severity.WARNING,
                    self.name,
                    "this user may write, though only read-only transactions are opened",
                    "Use a role that may SELECT and nothing else.",
                )
            )
        return findings


def _for_libpq(url: str) -> str:
    """The address in libpq's form, with a time-out to connect where it names none."""
    scheme, _, rest = url.partition("://")
    url = f"{scheme.partition('+')[0]}://{rest}"
    if "connect_timeout=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}connect_timeout={CONNECT_TIMEOUT.seconds}"


def _by_state(name: str, state: str) -> ConnectorError:
    """By SQLSTATE (PostgreSQL documentation, appendix A)."""
    if state == "57014":
        return RetryLater(
            name,
            "the query ran into statement_timeout or was cancelled",
            "Raise it, or ask for less.",
            code=state,
        )
    if state[:2] in ("08", "40", "53", "55", "57", "58"):
        return RetryLater(name, "the server broke off", "It may work when run again.", code=state)
    if state[:2] == "28":
        return CredentialsRefused(name, "the user or password is not accepted", "Check both.", code=state)
    if state == "42501":
        return CredentialsRefused(
            name, "the user may not read this", "GRANT SELECT on the tables to the user.", code=state
        )
    if state == "25006":
        return FixConfiguration(
            name, "the query writes, and sources are only read", "Leave a plain SELECT.", code=state
        )
    if state[:2] == "22":
        return FixConfiguration(
            name,
            "a value cannot be read as the type that is asked for",
            "Correct the rows or the query.",
            code=state,
        )
    return FixConfiguration(name, "the query cannot run", "Check its tables, columns and types.", code=state)
