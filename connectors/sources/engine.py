"""What every SQL engine shares: columns, streams in one set of types, errors that name the missing thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pyarrow as pa
from sqlglot import exp

from connectors.errors import ConnectorError, FixConfiguration
from connectors.sources import conforming, missing, queries
from connectors.types import BatchReader, Finding, Severity

ROWS_PER_BATCH = 65_536


class Engine:
    """A `Source` over one SQL engine. Each stream stands alone, so that several can be open at once.

    Every method raises RetryLater (cannot be reached now, or the connection was lost), CredentialsRefused
    (who we are, or what we may read, is not accepted) or FixConfiguration (a table or column that is not
    there, a query that cannot run). Messages name the source by `name`; they never hold its address, the
    query's values or the engine's own words, which may quote a row.
    """

    dialect: str

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def columns(self, relation: exp.Expression) -> pa.Schema:
        """Names and Arrow types of a table's or subquery's columns, as `stream` gives them."""
        return self._columns(relation, diagnose=True)

    def stream(
        self, query: exp.Expression, *, rows_per_batch: int = ROWS_PER_BATCH
    ) -> AbstractContextManager[BatchReader]:
        """Run a SELECT; its rows as they come, in the types of `conforming`, in flat memory.

        Columns carry the names written in the query, whatever case the engine folds them to.
        """
        return self._stream(query, rows_per_batch, diagnose=True)

    def check(self) -> Sequence[Finding]:
        """Whether it answers, which version it is and whether it could be written to."""
        try:
            return self._look()
        except ConnectorError as error:
            return [Finding(Severity.ERROR, self.name, error.problem, error.remedy)]

    def close(self) -> None:
        """Nothing is kept open between streams."""

    def _run(self, query: exp.Expression, rows_per_batch: int) -> AbstractContextManager[BatchReader]:
        """The engine's own reader, open for as long as the block."""
        raise NotImplementedError

    def _explain(self, error: Exception) -> ConnectorError | None:
        """The engine's error as one of ours; None where it is not the engine's."""
        raise NotImplementedError

    def _tables(self) -> list[str]:
        """The tables that can be read, as they are written in a query."""
        raise NotImplementedError

    def _look(self) -> Sequence[Finding]:
        raise NotImplementedError

    def _columns(self, relation: exp.Expression, *, diagnose: bool) -> pa.Schema:
        nothing = exp.select("*").from_(relation.copy()).limit(0)
        with self._stream(nothing, ROWS_PER_BATCH, diagnose=diagnose) as reader:
            return reader.schema

    def _rows(self, text: str) -> list[dict[str, Any]]:
        """Rows of a small query of our own."""
        query = queries.select(text, name=self.name)
        with self._stream(query, ROWS_PER_BATCH, diagnose=False) as reader:
            rows: list[dict[str, Any]] = reader.read_all().to_pylist()
            return rows

    @contextmanager
    def _stream(self, query: exp.Expression, rows_per_batch: int, *, diagnose: bool) -> Iterator[BatchReader]:
        def explain(error: Exception) -> ConnectorError | None:
            if isinstance(error, ConnectorError):
                return error
            ours = self._explain(error)
            if diagnose and isinstance(ours, FixConfiguration):
                return self._missing(query) or ours
            return ours

        with ExitStack() as stack:
            try:
                given = stack.enter_context(self._run(query, rows_per_batch))
                names = _names(query, given.schema)
            except Exception as error:
                ours = explain(error)
                if ours is None:
                    raise
                raise ours from None
            yield stack.enter_context(
                conforming.reading(
                    given, names, rows_per_batch=rows_per_batch, source=self.name, explain=explain
                )
            )

    def _missing(self, query: exp.Expression) -> FixConfiguration | None:
        try:
            return missing.named(
                query,
                source=self.name,
                tables=self._tables,
                columns=lambda table: self._columns(table, diagnose=False).names,
            )
        except ConnectorError:
            return None


def _names(query: exp.Expression, given: pa.Schema) -> list[str]:
    """The names the query gives its columns, and the engine's own where it gives none."""
    written = query.named_selects if isinstance(query, exp.Query) else []
    if "*" in written or len(written) != len(given):
        return list(given.names)
    return [named or field.name for named, field in zip(written, given, strict=True)]
