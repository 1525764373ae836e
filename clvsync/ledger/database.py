"""Opening the ledger's database, and bringing its schema forward."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from connectors.errors import FixConfiguration, StopAndCall

HEAD = "0002"
"""Newest revision of the schema. Stated here so that opening an up-to-date ledger need not load Alembic."""

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 5_000
_WRITES = "clvsync_writes"
VERSION_TABLE = "clvsync_ledger_version"


def parse_url(address: str) -> URL:
    """`sqlite:///path` or `postgresql://…` (psycopg is implied); FixConfiguration for anything else."""
    try:
        url = make_url(address)
    except ArgumentError:
        raise FixConfiguration(
            "state",
            "it is not a database address",
            "Write sqlite:///path or postgresql://user@host/database.",
        ) from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite")
    raise FixConfiguration(
        "state",
        f"the ledger cannot be kept in {url.get_backend_name()!r}, or no file is named",
        "Write sqlite:///path or postgresql://user@host/database.",
    )


def open_engine(url: URL) -> Engine:
    """An engine whose schema is at HEAD. A new SQLite file is readable by its owner alone.

    Raises FixConfiguration where the database cannot be opened.
    """
    sqlite = url.get_backend_name() == "sqlite"
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=not sqlite)
    try:
        if sqlite:
            _create_private(Path(str(url.database)))
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        _migrate(engine)
    except BaseException as error:
        engine.dispose()
        if isinstance(error, OSError | DBAPIError):
            raise _unopened(url, error) from None
        raise
    return engine


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions take SQLite's write lock when they begin: one that reads first
    and writes later could not wait for another writer and would fail instead."""
    return engine.execution_options(**{_WRITES: True})


def _unopened(url: URL, error: OSError | DBAPIError) -> FixConfiguration:
    reason = error.strerror if isinstance(error, OSError) else error.orig
    return FixConfiguration(
        f"The ledger at {url.render_as_string(hide_password=True)}",
        f"it cannot be opened ({str(reason).splitlines()[0]})",
        "See that `state` names it, that it is there, and that it may be read and written.",
    )


def _create_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transaction control would begin too late; _begin_sqlite does it.
    connection.isolation_level = None
    # FULL: a batch that was reported as written must outlive a power cut too, or it could be sent and
    # forgotten. Commits come a few to a request, so what it costs does not show.
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        found = _revision(connection)
    if found == HEAD:
        return
    if found is not None:
        _must_know(found)
        if engine.dialect.name == "sqlite":
            _keep_copy(Path(str(engine.url.database)), found)
    with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two agents that start together must not both create the tables.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('clvsync ledger'))"))
        if _revision(connection) != HEAD:
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


def _alembic() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _must_know(revision: str) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    try:
        ScriptDirectory.from_config(_alembic()).get_revision(revision)
    except CommandError:
        raise StopAndCall(
            "The ledger",
            f"its schema ({revision}) is newer than this version of clvsync",
            "Install the clvsync that wrote it, or restore the copy from before it.",
        ) from None


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _keep_copy(path: Path, revision: str) -> None:
    copy = path.with_name(f"{path.name}.before-{HEAD}-was-{revision}")
    _create_private(copy)
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
