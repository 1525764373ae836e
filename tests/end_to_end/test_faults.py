"""Every fault that the sandbox knows: what a run says while it lasts, and what is left once it is over."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clvsync.sync.report import RunReport
from connectors.sandbox.faults import ANY_PLATFORM, Fault, FaultKind, Platform
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.server import Sandbox
from connectors.types import Reason
from tests.end_to_end import plain_shop
from tests.end_to_end.bench import Bench
from tests.end_to_end.plain_shop import AUDIENCE, GOOGLE, META, SYNCS
from tests.fakes import Clock
from tests.sample_shop import NOW

CUSTOMERS = 120

PLACES = {
    GOOGLE: (Platform.GOOGLE_DATA_MANAGER, "/v1/events:ingest"),
    META: (Platform.META, "/events"),
    AUDIENCE: (Platform.META, "/users"),
}
NAMES = {GOOGLE: ("123-456-7890", "1234567890"), META: ("2001",), AUDIENCE: (AUDIENCE,)}
"""What a message about a sync has to name: account, dataset, audience."""

LONG = timedelta(minutes=10).total_seconds()
"""More than a run waits out."""


@pytest.fixture
def plain(tmp_path: Path, sandbox: Sandbox, clock: Clock) -> Bench:
    """The plain shop, of which each row can go to each platform."""
    bench = Bench(tmp_path, plain_shop.build(tmp_path, customers=CUSTOMERS), sandbox, clock)
    bench.configure(plain_shop.configuration)
    return bench


def strike(bench: Bench, kind: FaultKind, *syncs: str, **settings: Any) -> None:
    for platform, path in (PLACES[sync] for sync in syncs or SYNCS):
        bench.sandbox.faults.add(Fault(kind, platform, path, **{"times": None, **settings}))


def over(bench: Bench, *, customers: int = CUSTOMERS) -> None:
    """The faults are cleared, and after some runs nothing is lost and nothing is there twice."""
    bench.sandbox.faults.clear()
    for report in bench.run_until_quiet()[-1]:
        assert report.status == "done"
        assert report.counts["read"] == report.counts["unchanged"] == customers
    for sync in SYNCS:
        bench.agree(sync)
        assert len(bench.ledger(sync)) == customers
    with bench.business() as business:
        assert business.ledger.verify() == []


def names_the_account(report: RunReport) -> bool:
    return any(name in report.message for name in NAMES[report.sync])


LATER = {GOOGLE: "sent again by itself", META: "sent again by itself", AUDIENCE: "sent again by itself"}
LOST = dict.fromkeys(SYNCS, "The next run sends them again under the same ids")
NEW_TOKEN = "Make a new system-user token"
RENEW = {GOOGLE: "give a new one", META: NEW_TOKEN, AUDIENCE: NEW_TOKEN}

LASTING: list[tuple[FaultKind, dict[str, Any], dict[str, str]]] = [
    (FaultKind.THROTTLE, {}, LATER),
    (FaultKind.THROTTLE, {"delay_seconds": LONG}, LATER),
    (FaultKind.SERVER_ERROR, {}, LOST),
    (FaultKind.HTML_ERROR, {}, LOST),
    (FaultKind.TIMEOUT_AFTER_ACCEPT, {}, LOST),
    (FaultKind.TIMEOUT_BEFORE_ACCEPT, {}, LOST),
    (FaultKind.BAD_TOKEN, {}, RENEW),
]


@pytest.mark.parametrize(("kind", "settings", "remedies"), LASTING)
def test_while_it_lasts_runs_fail_and_say_what_to_do(
    plain: Bench, kind: FaultKind, settings: dict[str, Any], remedies: dict[str, str]
) -> None:
    strike(plain, kind, **settings)
    for failed in plain.run():
        assert failed.status == "failed"
        assert failed.exit_code == (3 if kind is FaultKind.BAD_TOKEN else 1)
        assert names_the_account(failed), failed.message
        assert remedies[failed.sync] in failed.message
        assert failed.counts["held"] + failed.counts["in_doubt"] == failed.counts["read"] == CUSTOMERS
    over(plain)


PASSING: list[tuple[FaultKind, dict[str, Any]]] = [
    (FaultKind.THROTTLE, {"delay_seconds": 30}),
    (FaultKind.TIMEOUT_AFTER_ACCEPT, {}),
    (FaultKind.SLOW, {"delay_seconds": 2.5}),
]


@pytest.mark.parametrize(("kind", "settings"), PASSING)
def test_what_passes_is_waited_out(plain: Bench, kind: FaultKind, settings: dict[str, Any]) -> None:
    def impatient(tree: dict[str, Any]) -> None:
        plain_shop.configuration(tree)
        for account in tree["accounts"].values():
            account["timeout"] = "2 seconds"

    if kind is FaultKind.SLOW:
        plain.configure(impatient)
    strike(plain, kind, **settings, times=1)
    for waited in plain.run():
        assert (waited.status, waited.message) == ("done", "")
        assert waited.counts["accepted"] + waited.counts["pending"] == CUSTOMERS
    over(plain)


def test_rows_that_google_fails_for_a_passing_reason_are_sent_again(plain: Bench) -> None:
    strike(plain, FaultKind.PARTIAL_FAILURE, GOOGLE, times=1)
    plain.run()
    assert 0 < len(plain.conversions()) < CUSTOMERS
    over(plain)


def test_rows_that_google_fails_for_good_are_doubtful_and_counted(plain: Bench) -> None:
    with plain.sandbox.state.lock:
        settings = plain.sandbox.state.part(GoogleState).settings
        settings.partial_failure_reason = "PROCESSING_ERROR_REASON_INVALID_GCLID"
    strike(plain, FaultKind.PARTIAL_FAILURE, GOOGLE, times=1)
    plain.run(GOOGLE)
    missing = CUSTOMERS - len(plain.conversions())
    assert 0 < missing < CUSTOMERS
    plain.clock.forward(timedelta(hours=1))
    [later] = plain.run(GOOGLE)
    assert later.earlier == {"in_doubt": CUSTOMERS}
    assert later.counts["in_doubt"] == CUSTOMERS
    assert plain.asked("SELECT DISTINCT state, words FROM entries") == [
        ("in_doubt", f"INVALID_GCLID: {missing}")
    ]


def test_members_that_meta_fails_are_doubtful_and_counted(plain: Bench) -> None:
    strike(plain, FaultKind.PARTIAL_FAILURE, AUDIENCE, times=1)
    [doubtful] = plain.run(AUDIENCE)
    missing = CUSTOMERS - len(plain.members())
    assert 0 < missing < CUSTOMERS
    assert doubtful.counts["in_doubt"] == CUSTOMERS
    assert plain.asked("SELECT DISTINCT state, words FROM entries") == [
        ("in_doubt", f"{CUSTOMERS} received, {missing} invalid")
    ]


MIXED = [*LASTING, (FaultKind.SLOW, {"delay_seconds": 0.01}, {})]


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_through_every_fault_at_random_nothing_is_lost_and_nothing_is_there_twice(
    plain: Bench, seed: int
) -> None:
    """On every path of every platform, while customers come and values move."""
    chance = random.Random(seed)
    customers, statuses = CUSTOMERS, set()
    for _ in range(5):
        plain.sandbox.faults.clear()
        for kind, settings, _ in chance.sample(MIXED, 4):
            platform = chance.choice([Platform.GOOGLE_DATA_MANAGER, Platform.META, ANY_PLATFORM])
            plain.sandbox.faults.add(Fault(kind, platform, probability=0.25, times=None, **settings))
        for report in plain.run():
            assert (report.status == "failed") == bool(report.message)
            statuses.add(report.status)
        plain.clock.forward(timedelta(hours=1))
        plain_shop.advance(plain.shop, plain.clock.now, new=5)
        customers += 5
    assert statuses == {"done", "failed"}
    over(plain, customers=customers)


def test_one_bad_row_among_two_thousand_ends_rejected_alone(tmp_path: Path) -> None:
    """The platforms' clocks are behind, so that the latest order lies in their future: they refuse the whole
    request for it, and neither says which row it is."""
    clock = Clock(NOW)
    with Sandbox(clock=lambda: clock.now - timedelta(minutes=62)) as sandbox:
        bench = Bench(tmp_path, plain_shop.build(tmp_path, customers=2_000), sandbox, clock)
        bench.configure(plain_shop.configuration)
        with sandbox.state.lock:
            sandbox.state.part(GoogleState).settings.violations_shown = 0
        reports = bench.run(GOOGLE, META)
    for report in reports:
        assert (report.status, report.exit_code) == ("done", 1)
        assert report.counts["pending"] + report.counts["accepted"] == 1_999
        assert report.counts["rejected"] == 1
        assert report.reasons == {Reason.REFUSED_BY_PLATFORM: 1}
        bad = [row.event_id for row in bench.ledger(report.sync).values() if row.state == "rejected"]
        assert bad == ["O01999"]
    everyone = {f"O{number:05d}" for number in range(1_999)}
    assert set(bench.conversions()) == set(bench.events()) == everyone
