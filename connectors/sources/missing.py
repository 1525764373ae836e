"""Which table or column of a failed query is not there, and what may have been meant.

Engines word this differently and some quote the query; looking up what there is works for all of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

from connectors.errors import FixConfiguration
from connectors.sources import queries


def named(
    query: exp.Expression,
    *,
    source: str,
    tables: Callable[[], Sequence[str]],
    columns: Callable[[exp.Table], Sequence[str]],
) -> FixConfiguration | None:
    """The error that names the first missing table or column; None where all are there.

    A column is missing where none of the query's tables has it and the query makes none of that name.
    """
    inside = queries.names_inside(query)
    read = [
        table
        for table in query.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.db or table.name.lower() not in inside)
    ]
    if not read:
        return None
    there = list(tables())
    for table in read:
        if not _is_among(table, there):
            written = ".".join(part.name for part in table.parts)
            return _error(source, "table", written, there)
    known = [name for table in read for name in columns(_alone(table))]
    made = inside | {
        each.alias.lower() for each in query.find_all(exp.Alias, exp.TableAlias, exp.Table) if each.alias
    }
    made |= {each.name.lower() for alias in query.find_all(exp.TableAlias) for each in alias.columns}
    made |= {table.name.lower() for table in read} | {name.lower() for name in known}
    for column in query.find_all(exp.Column):
        if not isinstance(column.this, exp.Star) and column.name.lower() not in made:
            return _error(source, "column", column.name, known)
    return None


def _alone(table: exp.Table) -> exp.Table:
    return exp.Table(this=table.args["this"], db=table.args.get("db"), catalog=table.args.get("catalog"))


def _is_among(table: exp.Table, there: Iterable[str]) -> bool:
    """`there` holds `table` for the schema looked in first and `schema.table` for all of them."""
    wanted = f"{table.db}.{table.name}" if table.db else table.name
    return wanted.lower() in {name.lower() for name in there}


def _error(source: str, kind: str, wanted: str, there: Sequence[str]) -> FixConfiguration:
    # A table that can be named alone is not named a second time with its schema.
    by_lower = {
        name.lower(): name
        for name in there
        if name.rpartition(".")[2] == name or name.rpartition(".")[2] not in there
    }
    near = [by_lower[name] for name in difflib.get_close_matches(wanted.lower(), by_lower, n=3, cutoff=0.6)]
    if near:
        remedy = f"Did you mean {' or '.join(near)}?"
    elif there:
        remedy = f"It has {', '.join(sorted(by_lower.values())[:20])}."
    else:
        remedy = "It has none that this user can see."
    return FixConfiguration(source, f"there is no {kind} {wanted}", remedy)
