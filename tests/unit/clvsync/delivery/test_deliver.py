from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clvsync.delivery import Delivered, deliver, poll, recover
from clvsync.delivery.recovery import MOST_ATTEMPTS
from clvsync.delivery.sending import REFUSALS_IN_A_ROW, UNANSWERED_BATCHES
from clvsync.ledger import BatchState, EntryState, Ledger, Run
from connectors.errors import (
    ConnectorError,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.transport import RetryPolicy
from connectors.types import (
    MEMBER,
    Action,
    Capabilities,
    Kind,
    Settlement,
    SettlementState,
    Table,
)
from tests.fakes import Clock, FakeDestination, conversions

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOST = FateUnknown("fake/1", "the answer was lost", "It is asked again.")
THROTTLED = RetryLater("fake/1", "too many requests", "It waits.", delay=timedelta(seconds=7))
REFUSED = CredentialsRefused("fake/1", "the token has expired", "Sign in again.")
TWO_DAYS = timedelta(days=2)


class Bench:
    """A ledger, a destination and time, and what a run of the chain would do with them."""

    def __init__(self, path: Path, destination: FakeDestination) -> None:
        self.clock = Clock(NOON)
        self.ledger = Ledger.open(f"sqlite:///{path}", b"key", self.clock)
        self.destination = destination
        self.slept: list[float] = []
        self.policy = RetryPolicy(attempts=3)
        self.run: Run = self.start()

    def start(self) -> Run:
        self.clock.forward(timedelta(seconds=1))
        self.run = self.ledger.start_run("s", self.destination.address, "manual", self.clock())
        return self.run

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.forward(timedelta(seconds=seconds))

    def deliver(self, *changes: Table) -> Delivered:
        delivered = deliver(
            self.ledger,
            self.run,
            self.destination,
            changes,
            self.clock,
            policy=self.policy,
            sleep=self.sleep,
        )
        self.agree()
        return delivered

    def recover(self) -> Delivered:
        recovered = recover(
            self.ledger, self.run, self.destination, self.clock, policy=self.policy, sleep=self.sleep
        )
        recovered.counts.check()
        self.agree()
        return recovered

    def poll(self) -> Delivered:
        polled = poll(
            self.ledger, self.run, self.destination, self.clock, policy=self.policy, sleep=self.sleep
        )
        polled.counts.check()
        self.agree()
        return polled

    def agree(self) -> None:
        """The ledger agrees with itself, and holds as accepted only what the platform really has."""
        assert self.ledger.verify() == []
        for row in self.entries().values():
            if row["state"] == "accepted":
                value = self.destination.values[f"event-{row['key']}"]
                assert value == Decimal(row["value"]) / 10_000

    def entries(self) -> dict[str, dict[str, Any]]:
        rows = self.ledger.entries_reader(self.run.stream_id).read_all().to_pylist()
        return {row["key"]: row for row in rows}

    def states(self) -> dict[str, str]:
        return {key: row["state"] for key, row in self.entries().items()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "clvsync.db", FakeDestination())
    yield made
    made.ledger.close()


def some(rows: int, value: str = "1.50", start: int = 0, at: datetime = NOON) -> Table:
    return conversions({f"{index:04}": value for index in range(start, start + rows)}, at)


def with_action(changes: Table, action: Action) -> Table:
    return changes.append_column("action", pa.repeat(pa.scalar(str(action)), len(changes)))


def test_rows_are_sent_in_full_requests_and_counted(bench: Bench) -> None:
    delivered = bench.deliver(some(13), some(12, start=13))
    assert delivered.error is None
    assert (delivered.counts.accepted, delivered.counts.outcomes) == (25, 25)
    assert delivered.counts.value_sent == {"EUR": Decimal("37.5000")}
    assert [len(ids) for _, ids in bench.destination.requests] == [10, 10, 5]
    assert set(bench.destination.taken.values()) == {1}


def test_each_batch_is_in_the_ledger_before_it_leaves(bench: Bench) -> None:
    seen: list[list[BatchState]] = []

    def look(shaped: Table, action: Action) -> None:
        ids = shaped["key"].to_pylist()
        found = [bench.ledger.entry(key)[0] for key in ids]
        assert {entry.state for entry in found} == {EntryState.SENT}
        batch_id = found[0].batch_id
        assert batch_id is not None
        batch = bench.ledger.batch(batch_id)
        assert batch is not None
        assert bench.ledger.payload(batch).equals(shaped)
        seen.append([batch.state])

    bench.destination.before_send = look
    bench.deliver(some(25))
    assert seen == [[BatchState.SENT]] * 3


def test_restatements_replace_the_value_and_keep_the_id(bench: Bench) -> None:
    bench.deliver(some(4, "10"))
    bench.start()
    changed = with_action(some(4, "20", at=NOON + TWO_DAYS), Action.RESTATE)
    delivered = bench.deliver(changed)
    assert (delivered.counts.accepted, delivered.counts.restated) == (4, 4)
    assert bench.destination.values == {f"event-{index:04}": Decimal(20) for index in range(4)}


def test_actions_never_share_a_request_and_removals_go_first(bench: Bench) -> None:
    bench.deliver(some(4))
    bench.start()
    later = NOON + TWO_DAYS
    mixed = pa.concat_tables(
        [
            with_action(some(2, start=10, at=later), Action.ADD),
            with_action(some(2, at=later), Action.REMOVE),
            with_action(some(2, "9", start=2, at=later), Action.RESTATE),
        ]
    )
    delivered = bench.deliver(mixed)
    assert [action for action, _ in bench.destination.requests[1:]] == ["remove", "add", "restate"]
    counts = delivered.counts
    assert (counts.removed, counts.accepted, counts.restated) == (2, 4, 2)
    assert counts.value_sent == {"EUR": Decimal("21.0000")}
    assert bench.states()["0000"] == "removed"


def test_members_need_no_event(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path / "m.db",
        FakeDestination(Capabilities(rows_per_request=10, updates=True, removes=True), kind=Kind.AUDIENCE),
    )
    members = pa.table({field.name: pa.array([None, None], field.type) for field in MEMBER}).set_column(
        0, "key", pa.array(["ada", "bob"])
    )
    members = members.append_column("fingerprint", pa.array([1, 2]))
    delivered = deliver(bench.ledger, bench.run, bench.destination, [members], bench.clock)
    assert delivered.counts.accepted == 2
    assert bench.destination.taken == {"ada": 1, "bob": 1}
    assert [entry.event_id for entry in bench.ledger.entry("ada")] == ["ada"]
    bench.ledger.close()


@pytest.mark.parametrize("named", [True, False])
def test_one_bad_row_never_sinks_a_batch(bench: Bench, named: bool) -> None:
    bench.destination.bad = {"event-0003", "event-0017"}
    bench.destination.names_bad = named
    delivered = bench.deliver(some(30))
    assert (delivered.counts.accepted, delivered.counts.rejected) == (28, 2)
    assert delivered.error is None
    assert {key for key, state in bench.states().items() if state == "rejected"} == {"0003", "0017"}
    assert set(bench.destination.taken.values()) == {1}
    words = {entry.words for entry in bench.ledger.rejects()}
    assert words == ({"no such click"} if named else {"a row is wrong"})
    assert len(bench.destination.requests) <= (5 if named else 3 + 2 * 2 * 4)


def test_a_destination_that_refuses_everything_is_not_asked_row_by_row(bench: Bench) -> None:
    bench.destination.bad = {f"event-{index:04}" for index in range(2_000)}
    delivered = bench.deliver(*(some(100, start=start) for start in range(0, 2_000, 100)))
    assert delivered.error is not None
    assert delivered.counts.rejected == REFUSALS_IN_A_ROW
    assert len(bench.destination.requests) < 200


def test_rows_that_the_platform_refuses_alone_are_rejected(bench: Bench) -> None:
    bench.destination.rejected = {"event-0001"}
    counts = bench.deliver(some(3)).counts
    assert (counts.accepted, counts.rejected, counts.reasons) == (2, 1, {"refused_by_platform": 1})


def test_rows_that_cannot_be_shaped_are_rejected_or_skipped(bench: Bench) -> None:
    bench.destination.unshapable = {"0001": "bad_identifier", "0002": "no_identifier"}
    counts = bench.deliver(some(4)).counts
    assert (counts.accepted, counts.rejected, counts.skipped) == (2, 1, 1)
    assert bench.states() == {"0000": "accepted", "0001": "rejected", "0003": "accepted"}


def test_a_throttled_request_waits_as_long_as_it_was_told(bench: Bench) -> None:
    bench.destination.faults = [THROTTLED, THROTTLED]
    assert bench.deliver(some(3)).counts.accepted == 3
    assert bench.slept == [7.0, 7.0]


def test_what_was_never_taken_waits_for_the_next_run(bench: Bench) -> None:
    bench.destination.faults = [THROTTLED] * 3
    delivered = bench.deliver(some(25))
    assert delivered.error is THROTTLED
    assert set(bench.states().values()) == {"planned"}
    assert delivered.counts.held == delivered.counts.outcomes

    bench.start()
    recovered = bench.recover()
    assert recovered.counts.accepted == recovered.counts.read == delivered.counts.held
    assert set(bench.destination.taken.values()) == {1}


@pytest.mark.parametrize("error", [REFUSED, FixConfiguration("fake/1", "no such action", "Correct it.")])
def test_what_every_row_would_meet_stops_the_run(bench: Bench, error: ConnectorError) -> None:
    bench.destination.faults = [error]
    delivered = bench.deliver(*(some(10, start=start) for start in range(0, 1000, 10)))
    assert delivered.error is error
    assert len(bench.destination.requests) == 1
    assert delivered.counts.accepted == 0
    assert set(bench.states().values()) == {"planned"}
    assert len(bench.states()) < 100, "it goes on writing what it cannot send"


def test_a_lost_answer_is_asked_for_again_under_the_same_ids(bench: Bench) -> None:
    bench.destination.faults = [FakeDestination.LOSE]
    assert bench.deliver(some(3)).counts.accepted == 3
    first, second = bench.destination.requests
    assert first == second
    assert set(bench.destination.taken.values()) == {2}


def test_an_answer_that_stays_lost_is_taken_up_by_the_next_run(bench: Bench) -> None:
    bench.destination.faults = [LOST] * 3
    delivered = bench.deliver(some(3))
    assert delivered.error is None
    assert (delivered.counts.in_doubt, delivered.counts.reasons) == (3, {"answer_lost": 3})
    assert set(bench.states().values()) == {"sent"}
    bench.start()
    assert bench.recover().counts.accepted == 3


def test_a_refusal_after_a_lost_answer_does_not_make_it_known(bench: Bench) -> None:
    """It may have been taken the first time, whatever was said the second time."""
    bench.destination.faults = [FakeDestination.LOSE, REFUSED]
    delivered = bench.deliver(some(3))
    assert delivered.error is REFUSED
    assert delivered.counts.in_doubt == 3
    assert set(bench.states().values()) == {"sent"}


def test_a_platform_that_is_not_there_is_not_asked_for_ever(bench: Bench) -> None:
    bench.destination.faults = [LOST] * 1000
    delivered = bench.deliver(some(500))
    assert delivered.error is LOST
    assert len(bench.destination.requests) == UNANSWERED_BATCHES * bench.policy.attempts


def test_past_the_resend_window_a_lost_answer_stays_in_doubt(tmp_path: Path) -> None:
    capabilities = Capabilities(rows_per_request=10, resend_window=timedelta(hours=48))
    bench = Bench(tmp_path / "w.db", FakeDestination(capabilities))
    bench.destination.faults = [LOST] * 3
    bench.deliver(some(3))
    bench.clock.forward(timedelta(hours=48))
    bench.start()
    asked = len(bench.destination.requests)
    recovered = bench.recover()
    assert recovered.counts.in_doubt == 3
    assert len(bench.destination.requests) == asked
    assert set(bench.states().values()) == {"in_doubt"}
    bench.ledger.close()


def test_without_a_resend_window_nothing_is_sent_twice(tmp_path: Path) -> None:
    capabilities = Capabilities(rows_per_request=10, resend_window=timedelta(0))
    bench = Bench(tmp_path / "w.db", FakeDestination(capabilities, faults=[FakeDestination.LOSE]))
    delivered = bench.deliver(some(3))
    assert (delivered.counts.in_doubt, len(bench.destination.requests)) == (3, 1)
    bench.start()
    assert bench.recover().counts.read == 0
    assert set(bench.destination.taken.values()) == {1}
    bench.ledger.close()


def test_a_batch_that_never_left_is_sent_however_old(tmp_path: Path) -> None:
    capabilities = Capabilities(rows_per_request=10, resend_window=timedelta(hours=48))
    bench = Bench(tmp_path / "w.db", FakeDestination(capabilities, faults=[REFUSED]))
    bench.deliver(some(3))
    bench.clock.forward(timedelta(days=9))
    bench.start()
    assert bench.recover().counts.accepted == 3
    bench.ledger.close()


def test_unnamed_failures_put_the_request_in_doubt(bench: Bench) -> None:
    bench.destination.unplaced = 2
    counts = bench.deliver(some(10)).counts
    assert (counts.in_doubt, counts.reasons) == (10, {"failures_not_named": 10})


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Bench]:
    capabilities = Capabilities(
        rows_per_request=10, restates=True, settles_later=True, first_poll=timedelta(minutes=30)
    )
    made = Bench(tmp_path / "later.db", FakeDestination(capabilities))
    yield made
    made.ledger.close()


def test_what_settles_later_is_asked_after_when_it_is_due(later: Bench) -> None:
    counts = later.deliver(some(15)).counts
    assert (counts.pending, counts.value_sent) == (15, {"EUR": Decimal("22.5000")})
    later.clock.forward(timedelta(minutes=29))
    assert later.poll().counts.read == 0
    later.clock.forward(timedelta(minutes=1))
    assert later.poll().counts.pending == 15
    assert later.poll().counts.read == 0, "it was asked a moment ago"
    later.destination.settlements = {
        "request-1": Settlement(SettlementState.ACCEPTED),
        "request-2": Settlement(SettlementState.PARTIAL, {"CLICK_NOT_FOUND": 2}),
    }
    later.clock.forward(timedelta(minutes=30))
    polled = later.poll()
    assert (polled.counts.accepted, polled.counts.in_doubt) == (10, 5)
    assert later.ledger.entry("0012")[0].words == "CLICK_NOT_FOUND: 2"


def test_a_request_whose_rows_all_failed_is_rejected(later: Bench) -> None:
    later.deliver(some(3))
    later.destination.settlements = {"request-1": Settlement(SettlementState.PARTIAL, {"TOO_OLD": 3})}
    later.clock.forward(timedelta(hours=1))
    assert later.poll().counts.rejected == 3


def test_what_failed_in_part_and_passes_is_sent_again_as_a_whole(later: Bench) -> None:
    later.deliver(some(3))
    partial = Settlement(SettlementState.PARTIAL, {"INTERNAL_ERROR": 1}, retryable=True)
    accepted = Settlement(SettlementState.ACCEPTED)
    later.destination.settlements = {"request-1": partial, "request-2": accepted}
    later.clock.forward(timedelta(hours=1))
    later.start()
    later.poll()
    assert later.recover().counts.pending == 3
    assert set(later.destination.taken.values()) == {2}
    later.clock.forward(timedelta(hours=1))
    assert later.poll().counts.accepted == 3


def test_what_may_not_be_sent_again_at_any_time_stays_in_doubt(tmp_path: Path) -> None:
    window = Capabilities(rows_per_request=10, settles_later=True, resend_window=timedelta(hours=48))
    bench = Bench(tmp_path / "w.db", FakeDestination(window))
    bench.deliver(some(3))
    partial = Settlement(SettlementState.PARTIAL, {"INTERNAL_ERROR": 1}, retryable=True)
    bench.destination.settlements = {"request-1": partial}
    assert bench.poll().counts.in_doubt == 3


def test_a_failed_request_that_may_be_sent_again_is(later: Bench) -> None:
    later.deliver(some(3))
    failed = Settlement(SettlementState.FAILED, {"INTERNAL_ERROR": 3}, retryable=True)
    later.destination.settlements = {f"request-{index}": failed for index in range(1, 20)}
    for _ in range(10):
        later.clock.forward(timedelta(hours=12))
        later.start()
        later.poll()
        later.recover()
    assert set(later.destination.taken.values()) == {MOST_ATTEMPTS}
    assert set(later.states().values()) == {"rejected"}


def test_a_request_that_was_never_taken_has_not_failed(later: Bench) -> None:
    later.destination.faults = [*[THROTTLED] * later.policy.attempts * MOST_ATTEMPTS]
    later.deliver(some(3))
    for _ in range(MOST_ATTEMPTS):
        later.start()
        later.recover()
    failed = Settlement(SettlementState.FAILED, {"INTERNAL_ERROR": 3}, retryable=True)
    later.destination.settlements = {f"request-{len(later.destination.requests)}": failed}
    later.clock.forward(timedelta(hours=1))
    assert later.poll().counts.rejected == 0
    later.start()
    assert later.recover().counts.pending == 3


def test_where_one_question_finds_nobody_the_others_wait(
    later: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    later.deliver(some(30))
    later.clock.forward(timedelta(hours=1))
    asked = []

    def settle(request_id: str) -> Settlement:
        asked.append(request_id)
        raise THROTTLED

    monkeypatch.setattr(later.destination, "settle", settle)
    assert later.poll().counts.pending == 30
    assert len(asked) == later.policy.attempts


def test_a_question_that_cannot_be_answered_now_is_asked_later(
    later: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    later.deliver(some(3))
    later.clock.forward(timedelta(hours=1))

    def settle(request_id: str) -> Settlement:
        raise THROTTLED

    monkeypatch.setattr(later.destination, "settle", settle)
    polled = later.poll()
    assert (polled.counts.pending, polled.error) == (3, None)


def test_threads_share_the_work_and_the_counts(tmp_path: Path) -> None:
    destination = FakeDestination(Capabilities(rows_per_request=10, concurrency=4))
    destination.bad = {"event-0007"}
    bench = Bench(tmp_path / "t.db", destination)
    told: list[int] = []
    delivered = deliver(
        bench.ledger,
        bench.run,
        destination,
        [some(300)],
        bench.clock,
        policy=bench.policy,
        sleep=bench.sleep,
        progress=lambda counts: told.append(counts.outcomes),
    )
    bench.agree()
    assert (delivered.counts.accepted, delivered.counts.rejected) == (299, 1)
    assert told == sorted(told)
    assert told[-1] == 300
    bench.ledger.close()


def test_an_unforeseen_error_leaves_the_batch_for_the_next_run(bench: Bench) -> None:
    def fail(shaped: Table, action: Action) -> None:
        raise KeyError("a fault of ours")

    bench.destination.before_send = fail
    with pytest.raises(KeyError):
        bench.deliver(some(3))
    assert set(bench.states().values()) == {"sent"}
    bench.destination.before_send = None
    bench.start()
    assert bench.recover().counts.accepted == 3


FAULTS = st.lists(st.sampled_from(["", "", "lose", "lost", "throttled", "refused"]), max_size=6)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, so that not every example has to build one."""
    path = tmp_path_factory.mktemp("migrated") / "clvsync.db"
    Ledger.open(f"sqlite:///{path}", b"key", Clock(NOON)).close()
    return path


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=FAULTS,
    bad=st.sets(st.integers(0, 39), max_size=4),
    rejected=st.sets(st.integers(0, 39), max_size=4),
    unshapable=st.sets(st.integers(0, 39), max_size=3),
    names_bad=st.booleans(),
    concurrency=st.integers(1, 3),
)
def test_whatever_goes_wrong_every_row_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Path,
    faults: list[str],
    bad: set[int],
    rejected: set[int],
    unshapable: set[int],
    names_bad: bool,
    concurrency: int,
) -> None:
    known: dict[str, ConnectorError | str] = {
        "lose": FakeDestination.LOSE,
        "lost": LOST,
        "throttled": THROTTLED,
        "refused": REFUSED,
        "": "",
    }
    destination = FakeDestination(
        replace(FakeDestination().capabilities, concurrency=concurrency),
        faults=[known[fault] for fault in faults],
        bad={f"event-{index:04}" for index in bad},
        rejected={f"event-{index:04}" for index in rejected - bad},
        unshapable={f"{index:04}": "bad_identifier" for index in unshapable},
        names_bad=names_bad,
    )
    path = tmp_path_factory.mktemp("faults") / "clvsync.db"
    shutil.copy(migrated, path)
    bench = Bench(path, destination)
    delivered = bench.deliver(some(40))
    assert delivered.counts.outcomes <= 40
    assert delivered.error is not None or delivered.counts.outcomes == 40
    for _ in range(len(faults) + 1):
        bench.start()
        bench.recover()
        missing = [f"{index:04}" for index in range(40) if f"{index:04}" not in bench.states()]
        if missing:
            bench.deliver(conversions(dict.fromkeys(missing, "1.50"), NOON))
    expected = {
        f"{index:04}": "rejected" if index in bad | rejected | unshapable else "accepted"
        for index in range(40)
    }
    assert bench.states() == expected
    assert set(destination.values) == {
        f"event-{key}" for key, state in expected.items() if state == "accepted"
    }
    bench.ledger.close()
