"""Whatever happens, what is personal and what is secret rests nowhere in clear and is logged nowhere.

That no command prints any of it is shown in test_commands.py.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from clvsync.demo.changes import advance_shop
from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.server import Sandbox
from tests.end_to_end.bench import AUDIENCE, GOOGLE, META, STATE, Bench
from tests.end_to_end.personal import Needles


@pytest.fixture
def debugging(tmp_path: Path) -> Iterator[Path]:
    """A file to which every logger there is writes everything."""
    path = tmp_path / "debug.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield path
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


class Watching(threading.Thread):
    """Looks into the state's files while they are written."""

    def __init__(self, needles: Needles, state: Path) -> None:
        super().__init__(daemon=True)
        self._needles, self._state = needles, state
        self._over = threading.Event()
        self.found: set[bytes] = set()
        self.looks = 0

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.found |= self._needles.found_in_files(self._state.glob("*"))
            self.looks += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def provoke(sandbox: Sandbox) -> None:
    """Lost answers, throttling, requests refused whole and rows refused one by one."""
    with sandbox.state.lock:
        sandbox.state.part(GoogleState).settings.violations_shown = 3
    for kind in (FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.HTML_ERROR):
        sandbox.faults.add(Fault(kind))
        sandbox.faults.add(Fault(kind, Platform.GOOGLE_DATA_MANAGER))
    sandbox.faults.add(Fault(FaultKind.TIMEOUT_AFTER_ACCEPT, Platform.META, "/events"))
    sandbox.faults.add(Fault(FaultKind.PARTIAL_FAILURE, path="/users"))


def test_what_is_searched_for_is_found_where_it_is(bench: Bench) -> None:
    """Or the other tests would show nothing."""
    needles = Needles.of(bench.shop, bench.folder)
    assert len(needles) > 5_000
    with duckdb.connect(str(bench.shop), read_only=True) as connection:
        person, gclid = connection.execute(
            "SELECT email, gclid FROM customers JOIN orders USING (customer_id)"
            " WHERE contains(email, '@') AND gclid IS NOT NULL AND NOT customers.is_test LIMIT 1"
        ).fetchall()[0]
    said = f"… {person} came by {gclid}, and sandbox-token let us in …"
    assert {person.encode(), gclid.encode(), b"sandbox-token"} <= needles.found_in(said)
    assert needles.found_in("nobody@example.org came by Cj0KCQ-nothing") == set()
    assert needles.found_in_files([bench.shop, bench.folder / ".env"])


def test_nothing_personal_and_no_secret_is_kept_or_logged(bench: Bench, debugging: Path) -> None:
    watching = Watching(Needles.of(bench.shop, bench.folder), bench.folder / STATE.parent)
    watching.start()
    told: list[object] = []
    try:
        for number in range(2):
            provoke(bench.sandbox)
            told += bench.run()
            bench.clock.forward(timedelta(hours=1))
            advance_shop(bench.shop, seed=number, now=bench.clock.now)
        bench.sandbox.faults.clear()
        bench.sandbox.faults.add(Fault(FaultKind.BAD_TOKEN, times=None))
        told += bench.run()
        bench.sandbox.faults.clear()
        told += bench.run()
        with bench.business() as business:
            told += [business.preview(sync).to_json() for sync in (GOOGLE, META, AUDIENCE)]
            rejects = business.rejects(None, 1_000)
        assert len(rejects) > 10
    finally:
        watching.stop()
    assert watching.looks > 2
    assert watching.found == set()
    needles = Needles.of(bench.shop, bench.folder)
    logged = debugging.read_bytes()
    for word in (b"urllib3", b"clvsync.sync", b"POST"):
        assert word in logged
    assert needles.found_in(logged) == set()
    assert needles.found_in(repr([told, rejects])) == set()
    assert needles.found_in_files((bench.folder / STATE.parent).glob("*")) == set()
