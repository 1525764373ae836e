"""What a process that is to be killed does: take up what was left, plan, deliver.

The destination is a SQLite file that keeps, for each event id, every value that it was ever given.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa

from clvsync.delivery import deliver, poll, recover
from clvsync.ledger import Ledger, RunStatus
from clvsync.plan import Rules, Tolerance, difference
from connectors.types import (
    Action,
    Array,
    Capabilities,
    Finding,
    Kind,
    Receipt,
    Settlement,
    SettlementState,
    Shaped,
    Table,
)
from tests.fakes import conversions

KEY = b"kill me if you can"
ADDRESS = "file/1"
ROWS = 400
BORN = datetime(2026, 11, 1, tzinfo=UTC)


class FileDestination:
    """Durable, and slow enough to be killed between taking a request and answering it."""

    kind = Kind.CONVERSIONS
    address = ADDRESS
    capabilities = Capabilities(rows_per_request=25, restates=True, concurrency=2)

    def __init__(self, path: Path) -> None:
        self._path = path
        with sqlite3.connect(path) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS given(id INTEGER PRIMARY KEY, event TEXT, value TEXT)"
            )
        connection.close()

    def prepare(self) -> None: ...

    def eligibility(self, rows: Table, now: datetime) -> Array:
        return pa.nulls(len(rows), pa.string())

    def shape(self, rows: Table, now: datetime) -> Shaped:
        return Shaped(rows.select(["key", "event_id", "value", "gclid"]))

    def send(self, shaped: Table, action: Action) -> Receipt:
        time.sleep(random.uniform(0, 0.01))
        rows = zip(shaped["event_id"].to_pylist(), shaped["value"].to_pylist(), strict=True)
        connection = sqlite3.connect(self._path, timeout=30)
        with connection:
            connection.executemany(
                "INSERT INTO given(event, value) VALUES (?, ?)",
                [(event, str(value)) for event, value in rows],
            )
        connection.close()
        time.sleep(random.uniform(0, 0.01))
        return Receipt("taken")

    def settle(self, request_id: str) -> Settlement:
        return Settlement(SettlementState.ACCEPTED)

    def check(self) -> Sequence[Finding]:
        return []

    def close(self) -> None: ...


def values(version: int) -> dict[str, str]:
    """What each row is worth now: every version moves another third of them."""
    return {
        f"order-{index:04}": str(
            Decimal(100 + index) + 10 * sum((index + v) % 3 == 0 for v in range(version))
        )
        for index in range(ROWS)
    }


def one_pass(folder: Path, version: int) -> None:
    def clock() -> datetime:
        return datetime.now(UTC)

    destination = FileDestination(folder / "destination.db")
    with Ledger.open(f"sqlite:///{folder}/ledger.db", KEY, clock) as ledger:
        run = ledger.start_run("orders", ADDRESS, "manual", clock())
        poll(ledger, run, destination, clock)
        recover(ledger, run, destination, clock)
        now = clock()
        rows = conversions(values(version), BORN, updated_at=[now] * ROWS)
        with duckdb.connect() as workspace:
            workspace.execute("SET TimeZone = 'UTC'")
            workspace.register("given", rows)
            workspace.execute(
                "CREATE TABLE rows AS SELECT key, event_id, fingerprint, value, currency, event_time,"
                " updated_at, NULL::VARCHAR AS reason FROM given"
            )
            rules = Rules.of(destination.capabilities, Tolerance(), restate_window=timedelta(days=10_000))
            plan = difference(workspace, ledger.entries_reader(run.stream_id), rules, now)
            changes = workspace.execute(
                "SELECT given.*, plan.action FROM given JOIN plan USING (key) WHERE plan.action IS NOT NULL"
            ).to_arrow_table()
        delivered = deliver(ledger, run, destination, [changes], clock)
        counts = plan.outcome(delivered.counts)
        ledger.finish_run(run, RunStatus.DONE, clock(), counts=counts.as_dict(), value_sent=counts.value_sent)
