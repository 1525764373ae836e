"""The difference against the ledger, beside SQLite's own set-based join on the same file.

Run on demand: `python -m tests.benchmarks.ledger [ENTRIES]` (1,000,000; 10,000,000 takes minutes and 3 GB of
disk). One row in a hundred has moved. Each way runs in a process of its own, for its peak memory, DuckDB with
a limit of 1 GB. SQLite's way does less: it compares values alone, and judges nothing.
"""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

from clvsync.ledger import Ledger
from clvsync.plan import Rules, Tolerance, Verdict, difference

NOW = datetime(2026, 11, 20, tzinfo=UTC)
TURNS = 3
STARTED = 1_790_000_000_000_000
"""Microseconds: the first event; one more each after it."""

_NUMBERS = "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < ?)"


def build(path: Path, entries: int) -> None:
    """A ledger with that many accepted entries, as this version writes them."""
    with Ledger.open(f"sqlite:///{path}", None, lambda: NOW) as ledger:
        ledger.start_run("benchmark", "nowhere/1", "manual", NOW)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"""
            INSERT INTO entries (stream_id, key, event_id, state, fingerprint, accepted_fingerprint, value,
                currency, accepted_value, accepted_currency, event_time, updated_at, batch_id,
                first_accepted_at, last_sent_at)
            {_NUMBERS}
            SELECT 1, printf('order-%09d', i), printf('order-%09d', i), 'accepted', i * 7919, i * 7919,
                (i % 50000 + 1) * 10000, 'EUR', (i % 50000 + 1) * 10000, 'EUR', {STARTED} + i, {STARTED},
                i / 2000, {STARTED}, {STARTED}
            FROM numbers
            """,
            (entries,),
        )


def ours(path: Path, entries: int) -> tuple[float, int]:
    """Seconds of the whole difference, and rows to restate."""
    with tempfile.TemporaryDirectory() as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": "1GB",
            "temp_directory": folder,
            "preserve_insertion_order": "false",
        }
        with duckdb.connect(config=config) as workspace:
            workspace.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            workspace.execute(
                """
                CREATE TABLE rows AS
                SELECT printf('order-%09d', i) AS key, printf('order-%09d', i) AS event_id,
                    (i * 7919)::BIGINT AS fingerprint,
                    ((i % 50000 + 1) * CASE WHEN i % 100 = 0 THEN 2 ELSE 1 END)::DECIMAL(18, 4) AS value,
                    'EUR' AS currency, make_timestamptz($started + i) AS event_time, $now AS updated_at,
                    NULL::VARCHAR AS reason
                FROM range($entries) AS t(i)
                """,
                {"entries": entries, "started": STARTED, "now": NOW},
            )
            rules = Rules(
                Tolerance(relative=Decimal("0.1")), restates=True, restate_window=timedelta(days=100)
            )
            with Ledger.open(f"sqlite:///{path}", None, lambda: NOW) as ledger:
                start = time.perf_counter()
                plan = difference(workspace, ledger.entries_reader(1), rules, NOW)
                return time.perf_counter() - start, plan.to_do[Verdict.RESTATE]


def sqlites(path: Path, entries: int) -> tuple[float, int]:
    """Seconds of loading the rows into a temporary table and of one join there, and rows that moved."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA temp_store = FILE")
        rows = (
            (f"order-{i:09}", (i % 50_000 + 1) * (20_000 if i % 100 == 0 else 10_000)) for i in range(entries)
        )
        start = time.perf_counter()
        connection.execute("CREATE TEMP TABLE given (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID")
        connection.executemany("INSERT INTO given VALUES (?, ?)", rows)
        moved: int = connection.execute(
            """
            SELECT count(*) FROM given LEFT JOIN entries ON entries.stream_id = 1 AND entries.key = given.key
            WHERE entries.key IS NULL OR abs(given.value - entries.value) * 10 > entries.value
            """
        ).fetchone()[0]
        return time.perf_counter() - start, moved


def _measure(
    way: Callable[[Path, int], tuple[float, int]], path: Path, entries: int
) -> tuple[float, int, int]:
    """In a child process: seconds, rows found, and KiB of memory at its peak."""
    seconds, found = way(path, entries)
    return seconds, found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(entries: int = 1_000_000) -> None:
    """Print the median seconds and the peak memory of both ways, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        build(path, entries)
        print(f"{entries:,} entries, 1 percent moved; ledger of {path.stat().st_size / 2**20:,.0f} MiB")
        seen: dict[str, list[tuple[float, int, int]]] = {}
        processes = multiprocessing.get_context("spawn")
        for _ in range(TURNS):
            for name, way in (("clvsync: ADBC into DuckDB", ours), ("SQLite: set-based join", sqlites)):
                with processes.Pool(1) as pool:
                    seen.setdefault(name, []).append(pool.apply(_measure, (way, path, entries)))
        for name, turns in seen.items():
            seconds = statistics.median(turn[0] for turn in turns)
            peak = max(turn[2] for turn in turns) / 2**10
            print(f"  {name:<28}{seconds:>8.2f} s {peak:>8,.0f} MiB   {turns[0][1]:,} rows found")
        if len({turn[1] for turns in seen.values() for turn in turns}) != 1:
            raise SystemExit("the two ways disagree")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
