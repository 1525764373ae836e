from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from clvsync.ledger import Ledger, WrongKey
from clvsync.ledger.database import HEAD, MIGRATIONS, VERSION_TABLE, parse_url
from clvsync.ledger.schema import metadata
from connectors.errors import FixConfiguration, StopAndCall
from connectors.types import Action, Receipt
from tests.fakes import Clock, conversions, ledger_rows
from tests.unit.clvsync.ledger.conftest import KEY, NOON


def test_migrations_build_what_the_schema_says(url: str, clock: Clock) -> None:
    Ledger.open(url, None, clock).close()
    engine = create_engine(parse_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_stated_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_the_wrong_key_is_told_at_once(url: str, clock: Clock) -> None:
    Ledger.open(url, KEY, clock).close()
    with pytest.raises(WrongKey, match="does not open"):
        Ledger.open(url, b"another", clock)
    Ledger.open(url, None, clock).close()
    Ledger.open(url, KEY, clock).close()


def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path, clock: Clock) -> None:
    previous = os.umask(0)
    try:
        ledger = Ledger.open(f"sqlite:///{tmp_path}/state/clvsync.db", KEY, clock)
        ledger.start_run("s", "a", "manual", NOON)
    finally:
        os.umask(previous)
    files = list((tmp_path / "state").iterdir())
    assert {file.name for file in files} >= {"clvsync.db", "clvsync.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    ledger.close()


def test_a_commit_outlives_a_power_cut(tmp_path: Path, clock: Clock) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/clvsync.db", KEY, clock) as ledger, ledger._read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5_000


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "clvsync.db"
    Ledger.open(f"sqlite:///{path}", KEY, clock).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    with pytest.raises(StopAndCall, match="newer than this version"):
        Ledger.open(f"sqlite:///{path}", KEY, clock)
    assert [file.name for file in tmp_path.glob("*before*")] == []


def test_an_older_file_is_copied_and_brought_forward(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "clvsync.db"
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO models (name, version, fitted_at, parameters, metrics, customers, orders, current)"
            " VALUES ('clv', 'kept', 0, '{}', '{}', 1, 2, 1)"
        )
    engine.dispose()
    with Ledger.open(f"sqlite:///{path}", KEY, clock) as ledger:
        kept = ledger.current_model("clv")
    assert kept is not None
    assert (kept.version, kept.orders, kept.accepted_at) == ("kept", 2, None)
    (copy,) = tmp_path.glob("*before*")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as before:
        assert before.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall() == [("0001",)]


@pytest.mark.parametrize("address", ["", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "duckdb:///x"])
def test_other_databases_are_refused(address: str) -> None:
    with pytest.raises(FixConfiguration, match="state"):
        parse_url(address)


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(FixConfiguration) as raised:
        parse_url("mysql://user:hunter2@host/db")
    assert "hunter2" not in str(raised.value)


def test_nothing_personal_is_readable_in_the_file(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 20, tzinfo=UTC))
    changes = conversions(
        {"order-1": "12.5", "order-2": "1"},
        clock(),
        email=["ada@example.com", "bob@example.com"],
        gclid=["Cj0KCQiA-ada", "Cj0KCQiA-bob"],
        client_ip=["203.0.113.77", "203.0.113.78"],
    )
    with Ledger.open(f"sqlite:///{tmp_path}/clvsync.db", KEY, clock) as ledger:
        run = ledger.start_run("s", "a", "manual", clock())
        settled = ledger.write_batch(run, Action.ADD, ledger_rows(changes.slice(0, 1)), changes.slice(0, 1))
        ledger.mark_sent(settled, run)
        ledger.record(settled, Receipt("r"), ["order-1"])
        waiting = ledger.write_batch(run, Action.ADD, ledger_rows(changes.slice(1)), changes.slice(1))
        assert ledger.payload(waiting)["email"].to_pylist() == ["bob@example.com"]
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"order-1" in content
    for personal in (b"ada@", b"bob@", b"example.com", b"Cj0KCQiA", b"203.0.113"):
        assert personal not in content
    assert KEY not in content


def test_a_payload_of_another_batch_is_no_use(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "clvsync.db"
    with Ledger.open(f"sqlite:///{path}", KEY, clock) as ledger:
        run = ledger.start_run("s", "a", "manual", NOON)
        both = [
            ledger.write_batch(run, Action.ADD, ledger_rows(changes), changes.select(["key"]))
            for changes in (conversions({"a": "1"}, NOON), conversions({"b": "1"}, NOON))
        ]
        with sqlite3.connect(path) as connection:
            connection.execute(
                "UPDATE batches SET payload = (SELECT payload FROM batches WHERE id = ?) WHERE id = ?",
                (both[0].id, both[1].id),
            )
        connection.close()
        with pytest.raises(WrongKey):
            ledger.payload(both[1])
        assert ledger.entry("b")[0].value == Decimal(1)


def test_reading_it_from_end_to_end_leaves_its_locks_in_place(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "clvsync.db"
    # What a second process can do only where nobody has the file open: it takes the log away.
    takes_log_away = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode = DELETE')"
    )
    with Ledger.open(f"sqlite:///{path}", KEY, clock) as ledger:
        run = ledger.start_run("s", "fake/1", "manual", NOON)
        assert ledger.entries_reader(run.stream_id).read_all().num_rows == 0
        other = subprocess.run(
            [sys.executable, "-c", takes_log_away, str(path)], capture_output=True, text=True, check=False
        )
        assert "database is locked" in other.stderr
        assert ledger.verify() == []


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("postgresql://somebody:a-password@127.0.0.1:1/ledger", "Connection refused"),
        ("sqlite:///{folder}/a-file/clvsync.db", "cannot be opened"),
        ("sqlite:///{folder}", "unable to open"),
        ("sqlite:///{folder}/a-file", "not a database"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told(
    tmp_path: Path, clock: Clock, address: str, problem: str
) -> None:
    (tmp_path / "a-file").write_text("This is a text, and long enough to be seen to be no database. " * 10)
    with pytest.raises(FixConfiguration, match=problem) as told:
        Ledger.open(address.format(folder=tmp_path), KEY, clock)
    assert "a-password" not in str(told.value)
