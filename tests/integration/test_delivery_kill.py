"""Killed at any moment and started again: every event arrives, none is lost, and the newest value stays."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import random
import signal
import sqlite3
import time
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from clvsync.ledger import EntryState, Ledger, RunStatus
from tests.integration.delivery_worker import KEY, ROWS, one_pass, values

ROUNDS = 10


def kill_one(folder: Path, version: int, moment: float) -> bool:
    """Start a pass and kill it `moment` seconds after its run began; whether it was killed in time."""
    process = _processes().Process(target=one_pass, args=(folder, version))
    before = started(folder / "ledger.db")
    process.start()
    while process.is_alive() and started(folder / "ledger.db") == before:
        time.sleep(0.002)
    process.join(moment)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _processes() -> multiprocessing.context.ForkServerContext:
    """Processes of their own that need not import everything anew, so that the rounds are quick."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([one_pass.__module__])
    return context


def started(path: Path) -> int:
    """Runs that the ledger knows of."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        count: int = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
    return count


def given(folder: Path) -> dict[str, list[Decimal]]:
    """Every value that each event was given, in order."""
    connection = sqlite3.connect(folder / "destination.db")
    taken: dict[str, list[Decimal]] = defaultdict(list)
    for event, value in connection.execute("SELECT event, value FROM given ORDER BY id"):
        taken[event].append(Decimal(value))
    connection.close()
    return taken


def test_killed_at_any_moment_nothing_is_lost_and_the_newest_value_stays(tmp_path: Path) -> None:
    moments = random.Random(20261120)
    killed = [kill_one(tmp_path, version, moments.uniform(0, 0.6)) for version in range(ROUNDS)]
    assert sum(killed) >= ROUNDS // 2, "most passes must die on the way, or this shows nothing"

    one_pass(tmp_path, ROUNDS)

    latest = values(ROUNDS)
    taken = given(tmp_path)
    assert set(taken) == {f"event-{key}" for key in latest}
    for key, value in latest.items():
        history = taken[f"event-{key}"]
        assert history[-1] == Decimal(value)
        assert history == sorted(history), "an older value came after a newer one"

    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db", KEY, lambda: datetime.now(UTC)) as ledger:
        assert ledger.verify() == []
        for key, value in latest.items():
            (entry,) = ledger.entry(key)
            assert entry.state is EntryState.ACCEPTED
            assert (entry.event_id, entry.accepted_value) == (f"event-{key}", Decimal(value))
        last, *earlier = ledger.runs(ROUNDS + 1)
        assert last.status is RunStatus.DONE
        assert last.counts["read"] == ROWS == last.counts["accepted"] + last.counts["unchanged"]
        assert [run.status for run in earlier].count(RunStatus.FAILED) == sum(killed)

    content = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert b"order-0001" in content
    assert b"click-of-" not in content, "a click id rests in clear"
