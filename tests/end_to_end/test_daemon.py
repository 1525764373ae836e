"""`clvsync serve` as a process of its own: on schedule, one run at a time, stopped and killed on the way."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clvsync.demo.shop import build_shop
from clvsync.sync.opened import utc_now
from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.server import Sandbox
from tests.end_to_end.agent_process import asked, configure, opened, start

GOOGLE, AUDIENCE = "google-new-customers", "best-customers"
EVERY = 2
LATE = 3.0
LONGEST_STOP = 20.0
PATIENCE = 90.0

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def built_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    build_shop(path, customers=1_500, seed=7, now=utc_now() - timedelta(hours=1))
    return path


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def configured(tmp_path: Path, built_shop: Path, sandbox: Sandbox) -> Callable[[str], Path]:
    """Writes a configuration of two syncs on one schedule."""
    shop = Path(shutil.copy(built_shop, tmp_path / "shop.duckdb"))

    def write(schedule: str) -> Path:
        def two_syncs(tree: dict[str, Any]) -> None:
            kept = [sync for sync in tree["syncs"] if sync["name"] in (GOOGLE, AUDIENCE)]
            tree["syncs"] = [sync | {"schedule": schedule} for sync in kept]

        return configure(tmp_path, sandbox, shop, two_syncs)

    return write


@contextmanager
def serving(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(config, "serve")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(process: subprocess.Popen[str], config: Path, query: str) -> None:
    """Until the query over the ledger finds something."""
    deadline = time.monotonic() + PATIENCE
    while not asked(config.parent, query):
        log = (config.parent / "output").read_text(encoding="utf-8")
        assert process.poll() is None, log
        assert time.monotonic() < deadline, log
        time.sleep(0.01)


def both_ran(times: int) -> str:
    ran = f"SELECT 1 FROM runs WHERE status = 'done' GROUP BY stream_id HAVING count(*) >= {times}"
    return f"SELECT 1 FROM (SELECT count(*) AS syncs FROM ({ran})) WHERE syncs = 2"


def stopped(process: subprocess.Popen[str]) -> float:
    """Ask it to stop; the seconds that it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    return time.monotonic() - began


def look_clean(config: Path) -> None:
    """Nothing is under way, and the ledger holds together."""
    with opened(config) as ledger:
        assert ledger.verify() == []
    assert not asked(config.parent, "SELECT 1 FROM runs WHERE status = 'running'")
    assert not asked(config.parent, "SELECT 1 FROM batches WHERE state = 'sent'")
    assert not asked(config.parent, "SELECT 1 FROM leases")


def runs(config: Path) -> Rows:
    """Sync, start, end and status of each run, in seconds, in their order."""
    return asked(
        config.parent,
        """
        SELECT sync, started_at / 1e6, finished_at / 1e6, status
        FROM runs JOIN streams ON streams.id = stream_id ORDER BY started_at
        """,
    )


def test_every_sync_runs_on_its_schedule_and_no_two_at_once(
    configured: Callable[[str], Path], sandbox: Sandbox
) -> None:
    config = configured(f"every {EVERY} seconds")
    with serving(config) as process:
        wait_until(process, config, both_ran(3))
        assert stopped(process) < LONGEST_STOP
    found = runs(config)
    assert {status for *_, status in found} == {"done"}
    assert all(end <= following for (_, _, end, _), (_, following, _, _) in pairwise(found))
    for sync in (GOOGLE, AUDIENCE):
        starts = [begin for name, begin, _, _ in found if name == sync]
        # One that came due while another run was under way starts late; the next is on time again.
        assert starts[-1] - starts[0] >= EVERY * (len(starts) - 2)
    look_clean(config)
    assert sandbox.state.part(GoogleState).conversions


def test_it_stops_within_seconds_in_the_middle_of_a_delivery_and_goes_on_when_started_again(
    configured: Callable[[str], Path], sandbox: Sandbox
) -> None:
    config = configured(f"every {EVERY} seconds")
    sandbox.faults.add(Fault(FaultKind.SLOW, path="/events", delay_seconds=LATE))
    with serving(config) as process:
        wait_until(process, config, "SELECT 1 FROM batches WHERE state = 'sent'")
        assert stopped(process) < LONGEST_STOP
    look_clean(config)
    (carried,) = asked(config.parent, "SELECT state, rows FROM batches")
    assert carried[0] == "pending", "the batch in hand was not seen through"

    with serving(config) as process:
        wait_until(process, config, "SELECT 1 FROM batches WHERE state = 'accepted' AND action = 'add'")
        assert stopped(process) < LONGEST_STOP
    look_clean(config)
    held = sandbox.state.part(GoogleState)
    assert len(held.conversions) == carried[1]
    assert all(len(each.history) == 1 for each in held.conversions.values()), "it was sent twice"


def test_it_does_not_sit_out_a_wait_that_the_platform_asked_for(
    configured: Callable[[str], Path], sandbox: Sandbox
) -> None:
    config = configured(f"every {EVERY} seconds")
    wait = Fault(FaultKind.THROTTLE, path="/events", times=None, delay_seconds=55)
    sandbox.faults.add(wait)
    with serving(config) as process:
        wait_until(process, config, "SELECT 1 FROM batches WHERE attempts = 1")
        time.sleep(0.5)
        assert stopped(process) < LONGEST_STOP
    look_clean(config)
    assert asked(config.parent, "SELECT state FROM batches") == [("planned",)]


def test_killed_and_started_again_it_takes_the_run_up_though_none_is_due(
    configured: Callable[[str], Path], sandbox: Sandbox
) -> None:
    config = configured("every 4 hours")
    sandbox.faults.add(Fault(FaultKind.SLOW, path="/events", delay_seconds=LATE))
    with serving(config) as process:
        wait_until(process, config, "SELECT 1 FROM batches WHERE state = 'sent'")
        process.kill()
        process.wait()
    with serving(config) as process:
        wait_until(process, config, both_ran(1))
        assert stopped(process) < LONGEST_STOP
    look_clean(config)
    first, *_ = runs(config)
    assert first[3] == "failed"
    assert not asked(config.parent, "SELECT 1 FROM batches WHERE state = 'planned'")
    assert all(
        not told.stale
        for each in sandbox.state.part(GoogleState).conversions.values()
        for told in each.history
    )
