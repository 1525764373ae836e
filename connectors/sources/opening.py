"""From an address to an opened source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from connectors.errors import FixConfiguration
from connectors.types import Source

_STATEMENT_TIMEOUT = "1800"


def open_source(
    url: str, *, name: str, options: Mapping[str, str] | None = None, memory_limit: str = "512MB"
) -> Source:
    """The source at `url`; nothing is asked of it yet.

    `duckdb:///FILE`, `files:///FOLDER` (or the path of a folder or file alone), `postgresql://…`; anything
    else goes through Ibis (`bigquery://…`, `snowflake://…`, `databricks://…`, `trino://…`, …). A path after
    three slashes may be absolute or relative to the working directory. `options`: `statement_timeout` in
    seconds (PostgreSQL). `memory_limit` bounds the embedded engine. Raises FixConfiguration, which never
    holds the address itself.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _files(Path(url), name, memory_limit)
    if scheme == "files":
        return _files(_path(rest, name), name, memory_limit)
    if scheme == "duckdb":
        from connectors.sources.embedded import DuckDBFile

        return DuckDBFile(_path(rest, name), name=name, memory_limit=memory_limit)
    kind = scheme.partition("+")[0]
    if kind in ("postgresql", "postgres"):
        return _postgresql(url, name, options or {})
    from connectors.sources.ibis_engine import IbisEngine

    return IbisEngine(url, name=name)


def _files(path: Path, name: str, memory_limit: str) -> Source:
    from connectors.sources.files import Files

    if not path.exists():
        raise FixConfiguration(name, f"there is no file or folder {path}", "Correct the address.")
    return Files(path, name=name, memory_limit=memory_limit)


def _postgresql(url: str, name: str, options: Mapping[str, str]) -> Source:
    try:
        from connectors.sources.postgres import PostgreSQL
    except ImportError:
        raise FixConfiguration(
            name, "the PostgreSQL driver is not installed", "Install clvsync[postgres]."
        ) from None
    timeout = options.get("statement_timeout", _STATEMENT_TIMEOUT)
    try:
        seconds = float(timeout)
    except ValueError:
        raise FixConfiguration(
            name, f"statement_timeout {timeout!r} is not a number of seconds", "Write it as 1800."
        ) from None
    return PostgreSQL(url, name=name, statement_timeout=seconds)


def _path(rest: str, name: str) -> Path:
    """`rest` is what follows `scheme://`. Raises FixConfiguration where nothing is there."""
    written = unquote(rest)
    absolute = Path("/" + written.lstrip("/"))
    relative = Path(written.lstrip("/"))
    for path in (absolute, relative):
        if path.exists():
            return path
    raise FixConfiguration(
        name, f"there is neither {absolute} nor {relative.absolute()}", "Correct the address."
    )
