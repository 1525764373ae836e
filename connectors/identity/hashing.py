"""SHA-256 over columns, and telling hashed values from plain ones."""

from __future__ import annotations

import threading
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import FixConfiguration
from connectors.identity.text import strings
from connectors.types import Array

_HASHED = "^[0-9a-fA-F]{64}$"

_local = threading.local()


def _database() -> Any:
    if not hasattr(_local, "connection"):
        import duckdb

        _local.connection = duckdb.connect(":memory:", config={"enable_external_access": "false"})
    return _local.connection


def is_hashed(column: Array) -> Array:
    """True where a value is a SHA-256 in hex, in either case, white space around it allowed; null: false."""
    return pc.match_substring_regex(pc.utf8_trim_whitespace(strings(column)), _HASHED).fill_null(False)


def sha256(column: Array) -> Array:
    """Lower-case hex SHA-256 of the UTF-8 bytes as they are: normalise first.

    Null and empty give null (the hash of nothing matches nobody), and values already hashed are passed
    through lower-cased.
    """
    column = strings(column)
    table = pa.table({"plain": column})
    # DuckDB hashes on every core; it has no Python loop over rows.
    hashes = _database().from_arrow(table).project("sha256(nullif(plain, '')) AS hash").to_arrow_table()
    return keep_hashed(column, strings(hashes["hash"]))


def keep_hashed(column: Array, otherwise: Array) -> Array:
    """The column's values that are already hashed, lower-cased; `otherwise` for the rest."""
    column = strings(column)
    hashed = is_hashed(column)
    if not pc.any(hashed).as_py():
        return otherwise
    return pc.if_else(hashed, pc.ascii_lower(pc.utf8_trim_whitespace(column)), otherwise)


def refuse_mixed(column: Array, name: str) -> None:
    """Raises FixConfiguration where a column holds plain values as well as hashed ones.

    `name` is the column's name for the message. Judges only the rows it is given.
    """
    column = pc.utf8_trim_whitespace(strings(column))
    hashed = is_hashed(column)
    filled = pc.greater(pc.binary_length(column), 0)
    plain = pc.and_(filled, pc.invert(hashed))
    count, plain_count = pc.sum(hashed).as_py() or 0, pc.sum(plain).as_py() or 0
    if count and plain_count:
        raise FixConfiguration(
            f"Column {name}",
            f"{count} values are SHA-256 hashes and {plain_count} are plain",
            "Give the column plain or hashed throughout.",
        )
