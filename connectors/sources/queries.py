"""Configured relations as parsed expressions, and queries written for an engine.

Queries are sqlglot expressions in DuckDB's dialect from end to end; text is made once, here, for the engine
that runs it. Nothing that writes gets through.
"""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from connectors.errors import FixConfiguration

DIALECT = "duckdb"
ALIAS = "source"
"""What a configured query is called where it stands after FROM."""

_QUERY = re.compile(r"\s*(?:(?:select|with|from|values)\b|\()", re.IGNORECASE)
# What can hide inside a SELECT: WITH … AS (DELETE …), SELECT … INTO, SELECT … FOR UPDATE.
_WRITES = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)


def relation(text: str, *, name: str) -> exp.Table | exp.Subquery:
    """A table's name (`customers`, `shop.customers`, `"My Table"`) or one SELECT, to stand after FROM.

    `name` names the setting for errors. Raises FixConfiguration for anything else.
    """
    if _QUERY.match(text):
        return select(text, name=name).subquery(ALIAS)
    try:
        table = sqlglot.parse_one(text, into=exp.Table, dialect=DIALECT)
    except SqlglotError:
        table = None
    if (
        table is None
        or len(table.parts) > 3
        or not all(isinstance(part, exp.Identifier) for part in table.parts)
    ):
        raise FixConfiguration(
            name,
            "this is neither the name of a table nor a SELECT",
            'Write table, schema.table, "a quoted name", or one SELECT.',
        )
    return table


def select(text: str, *, name: str) -> exp.Query:
    """One SELECT (or a union of them) from its text, in DuckDB's dialect. Raises FixConfiguration."""
    try:
        statements = [each for each in sqlglot.parse(text, dialect=DIALECT) if each is not None]
    except SqlglotError as error:
        raise FixConfiguration(
            name,
            f"the query cannot be read ({_place(error)})",
            "Correct the SQL; it is read in DuckDB's dialect.",
        ) from None
    if len(statements) != 1:
        raise FixConfiguration(name, f"there are {len(statements)} statements", "Give one single SELECT.")
    query = statements[0]
    while isinstance(query, exp.Subquery) and not query.alias:
        query = query.this
    return _read_only(query, name)


def written(query: exp.Expression, dialect: str, *, name: str) -> str:
    """The query's text in the engine's dialect.

    Identifiers are quoted wherever that keeps their meaning. Raises FixConfiguration where the query writes
    or the engine has no words for it.
    """
    try:
        return _read_only(query, name).sql(
            dialect=dialect, identify="safe", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE
        )
    except SqlglotError as error:
        raise FixConfiguration(
            name, f"the query cannot be said in {dialect}'s SQL ({error})", "Use simpler SQL in the query."
        ) from None


def names_inside(query: exp.Expression) -> set[str]:
    """Lower-case names that a query gives to parts of itself (WITH …)."""
    return {each.alias.lower() for each in query.find_all(exp.CTE)}


def _read_only(query: exp.Expression, name: str) -> exp.Query:
    if not isinstance(query, exp.Query):
        raise FixConfiguration(
            name, f"this is {query.key.upper()}, and only a SELECT is run", "Give a table or a SELECT."
        )
    writing = query.find(*_WRITES)
    if writing is not None:
        raise FixConfiguration(
            name, f"the query has {writing.key.upper()}, and sources are only read", "Leave a plain SELECT."
        )
    return query


def _place(error: SqlglotError) -> str:
    """Where the text could not be read, without quoting it: a query may hold values."""
    for detail in getattr(error, "errors", ()):
        if detail.get("line") is not None:
            return f"line {detail['line']}, column {detail['col']}"
    return "it ends too soon or has a stray character"
