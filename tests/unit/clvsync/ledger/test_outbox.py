from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from clvsync.ledger import (
    Batch,
    BatchState,
    Doubt,
    EntryState,
    Ledger,
    OutOfTurn,
    Refusal,
    Run,
    RunStatus,
)
from connectors.errors import FixConfiguration
from connectors.types import Action, Reason, Receipt, Rejection, Settlement, SettlementState, Table
from tests.fakes import Clock, conversions, ledger_rows
from tests.unit.clvsync.ledger.conftest import KEY, NOON


def payload(*keys: str) -> Table:
    return pa.table({"key": list(keys), "wire": [f"secret of {key}" for key in keys]})


def write(ledger: Ledger, run: Run, *keys: str, value: str = "10.5", action: Action = Action.ADD) -> Batch:
    rows = ledger_rows(conversions(dict.fromkeys(keys, value), NOON))
    return ledger.write_batch(run, action, rows, payload(*keys))


def accept(ledger: Ledger, run: Run, *keys: str, value: str = "10.5") -> None:
    batch = write(ledger, run, *keys, value=value)
    ledger.mark_sent(batch, run)
    ledger.record(batch, Receipt("r"), keys)


def states(ledger: Ledger, *keys: str) -> list[EntryState]:
    return [ledger.entry(key)[0].state for key in keys]


def test_a_batch_is_written_before_it_is_sent_and_accepted_after(
    ledger: Ledger, run: Run, clock: Clock
) -> None:
    batch = write(ledger, run, "a", "b")
    assert states(ledger, "a", "b") == [EntryState.PLANNED] * 2
    assert ledger.unsettled(run.stream_id) == [batch]
    assert ledger.payload(batch).equals(payload("a", "b"))
    assert ledger.verify() == []

    clock.forward(timedelta(seconds=1))
    ledger.mark_sent(batch, run)
    assert states(ledger, "a", "b") == [EntryState.SENT] * 2
    clock.forward(timedelta(seconds=1))
    ledger.record(batch, Receipt("request-1"), ["a", "b"])

    entry = ledger.entry("a")[0]
    assert entry.state is EntryState.ACCEPTED
    assert (entry.accepted_value, entry.accepted_currency) == (Decimal("10.5"), "EUR")
    assert entry.last_sent_at == NOON + timedelta(seconds=1)
    assert entry.first_accepted_at == NOON + timedelta(seconds=2)
    settled = ledger.batch(batch.id)
    assert settled is not None
    assert (settled.state, settled.request_id, settled.attempts) == (BatchState.ACCEPTED, "request-1", 1)
    assert ledger.unsettled(run.stream_id) == []
    assert ledger.verify() == []


def test_the_payload_is_erased_when_the_batch_is_settled(ledger: Ledger, run: Run) -> None:
    batch = write(ledger, run, "a")
    ledger.mark_sent(batch, run)
    ledger.record(batch, Receipt(), ["a"])
    with pytest.raises(OutOfTurn, match="erased"):
        ledger.payload(batch)


def test_nothing_is_written_without_an_encryption_key(url: str, clock: Clock) -> None:
    with Ledger.open(url, None, clock) as ledger:
        run = ledger.start_run("s", "fake/1", "manual", NOON)
        with pytest.raises(FixConfiguration, match="encryption key"):
            write(ledger, run, "a")
        assert ledger.entry("a") == []


def test_an_older_value_never_overwrites_a_newer_one(ledger: Ledger, run: Run, clock: Clock) -> None:
    accept(ledger, run, "a", value="20")
    older = ledger_rows(conversions({"a": "10", "new": "1"}, NOON - timedelta(microseconds=1)))
    with pytest.raises(OutOfTurn, match="1 of 2 rows"):
        ledger.write_batch(run, Action.RESTATE, older, payload("a", "new"))
    assert ledger.entry("a")[0].value == Decimal(20)
    assert ledger.entry("new") == [], "the whole batch was taken back"
    assert ledger.verify() == []


@pytest.mark.parametrize("sent", [False, True])
def test_a_key_with_an_unsettled_batch_gets_no_second_one(ledger: Ledger, run: Run, sent: bool) -> None:
    batch = write(ledger, run, "a")
    if sent:
        ledger.mark_sent(batch, run)
    with pytest.raises(OutOfTurn):
        write(ledger, run, "a", value="11")
    assert ledger.entry("a")[0].batch_id == batch.id


def test_a_row_keeps_its_event_id_once_it_was_accepted(ledger: Ledger, run: Run) -> None:
    accept(ledger, run, "a")
    other = ledger_rows(conversions({"a": "12"}, NOON, event_id=["another"]))
    with pytest.raises(OutOfTurn):
        ledger.write_batch(run, Action.RESTATE, other, payload("a"))


def test_an_ended_run_can_neither_write_nor_send(ledger: Ledger, run: Run, clock: Clock) -> None:
    batch = write(ledger, run, "a")
    clock.forward(timedelta(seconds=1))
    taken_over = ledger.start_run(run.sync, run.address, "manual", clock())
    with pytest.raises(OutOfTurn, match="ended by another process"):
        ledger.mark_sent(batch, run)
    with pytest.raises(OutOfTurn, match="ended by another process"):
        write(ledger, run, "b")
    ledger.mark_sent(batch, taken_over)
    found = ledger.batch(batch.id)
    assert found is not None
    assert found.run_id == taken_over.id
    assert [each.status for each in ledger.runs()] == [RunStatus.RUNNING, RunStatus.FAILED]


def test_rows_refused_by_the_receipt_are_rejected_alone(ledger: Ledger, run: Run) -> None:
    batch = write(ledger, run, "a", "b", "c")
    ledger.mark_sent(batch, run)
    ledger.record(batch, Receipt(rejections=(Rejection(1, Reason.TOO_OLD, "EXPIRED"),)), ["a", "b", "c"])
    assert states(ledger, "a", "b", "c") == [
        EntryState.ACCEPTED,
        EntryState.REJECTED,
        EntryState.ACCEPTED,
    ]
    (rejected,) = ledger.rejects()
    assert (rejected.key, rejected.reason, rejected.words) == ("b", "too_old", "EXPIRED")
    assert rejected.accepted_value is None
    assert ledger.verify() == []


def test_failures_that_are_not_named_leave_the_request_in_doubt(ledger: Ledger, run: Run) -> None:
    batch = write(ledger, run, "a", "b")
    ledger.mark_sent(batch, run)
    ledger.record(batch, Receipt("r", unplaced=1, words="1 failed"), ["a", "b"])
    entry = ledger.entry("b")[0]
    assert (entry.state, entry.reason, entry.words) == (
        EntryState.IN_DOUBT,
        Doubt.FAILURES_NOT_NAMED,
        "1 failed",
    )
    assert ledger.verify() == []


def test_a_refused_batch_becomes_smaller_written_ones(ledger: Ledger, run: Run) -> None:
    batch = write(ledger, run, "a", "b", "c", "d")
    ledger.mark_sent(batch, run)
    parts = ledger.record_refusal(
        batch, {"b": Refusal("bad_identifier", "no")}, [payload("a"), payload("c", "d")]
    )
    assert [part.rows for part in parts] == [1, 2]
    assert ledger.unsettled(run.stream_id) == parts
    assert ledger.payload(parts[1]).equals(payload("c", "d"))
    assert states(ledger, "a", "b", "c", "d") == [
        EntryState.PLANNED,
        EntryState.REJECTED,
        EntryState.PLANNED,
        EntryState.PLANNED,
    ]
    assert ledger.verify() == []
    ledger.mark_sent(parts[1], run)
    ledger.record(parts[1], Receipt(), ["c", "d"])
    assert states(ledger, "a", "c", "d") == [EntryState.PLANNED, EntryState.ACCEPTED, EntryState.ACCEPTED]


@pytest.mark.parametrize(
    ("settlement", "entry", "batch_state"),
    [
        (Settlement(SettlementState.ACCEPTED), EntryState.ACCEPTED, BatchState.ACCEPTED),
        (Settlement(SettlementState.PARTIAL, {"X": 1}), EntryState.IN_DOUBT, BatchState.IN_DOUBT),
        (Settlement(SettlementState.FAILED, {"X": 2}), EntryState.REJECTED, BatchState.REFUSED),
        (
            Settlement(SettlementState.FAILED, {"X": 2}, retryable=True),
            EntryState.PLANNED,
            BatchState.PLANNED,
        ),
        (Settlement(SettlementState.PENDING), EntryState.PENDING, BatchState.PENDING),
    ],
)
def test_a_pending_request_is_settled_later(
    ledger: Ledger, run: Run, settlement: Settlement, entry: EntryState, batch_state: BatchState
) -> None:
    batch = write(ledger, run, "a", "b")
    ledger.mark_sent(batch, run)
    due = NOON + timedelta(minutes=30)
    ledger.record(batch, Receipt("request-9", settled=False), ["a", "b"], due)
    assert ledger.due_polls(run.stream_id, due - timedelta(seconds=1)) == []
    (pending,) = ledger.due_polls(run.stream_id, due)
    assert pending.request_id == "request-9"

    later = due + timedelta(hours=1)
    ledger.settle(pending, settlement, due, later)

    assert states(ledger, "a", "b") == [entry] * 2
    settled = ledger.batch(batch.id)
    assert settled is not None
    assert settled.state is batch_state
    assert ledger.due_polls(run.stream_id, due) == []
    if batch_state in (BatchState.PENDING, BatchState.PLANNED):
        assert ledger.payload(settled).equals(payload("a", "b"))
    assert ledger.verify() == []


def test_a_removed_member_may_come_back(ledger: Ledger, run: Run, clock: Clock) -> None:
    accept(ledger, run, "a")
    removal = write(ledger, run, "a", action=Action.REMOVE)
    ledger.mark_sent(removal, run)
    ledger.record(removal, Receipt(), ["a"])
    entry = ledger.entry("a")[0]
    assert (entry.state, entry.accepted_value) == (EntryState.REMOVED, None)
    accept(ledger, run, "a")
    assert states(ledger, "a") == [EntryState.ACCEPTED]
    assert ledger.verify() == []


def test_rejections_before_sending_keep_what_was_accepted(ledger: Ledger, run: Run) -> None:
    accept(ledger, run, "a", value="10")
    rows = ledger_rows(conversions({"a": "30", "b": "1"}, NOON + timedelta(1)))
    ledger.record_rejections(run, Action.RESTATE, rows, [Refusal("bad_identifier", "words")] * 2)
    entry = ledger.entry("a")[0]
    assert (entry.state, entry.value, entry.accepted_value) == (EntryState.REJECTED, Decimal(30), Decimal(10))
    assert [each.key for each in ledger.rejects(run.sync)] == ["a", "b"]
    assert ledger.retry(run.stream_id, keys=["b"]) == 1
    found = ledger.entries_reader(run.stream_id).read_all().to_pylist()
    assert {row["key"]: row["fingerprint"] for row in found} == {"a": 7, "b": None}


def test_a_row_needs_a_fingerprint(ledger: Ledger, run: Run) -> None:
    rows = ledger_rows(conversions({"a": "1"}, NOON, fingerprint=[None]))
    with pytest.raises(ValueError, match="fingerprint"):
        ledger.write_batch(run, Action.ADD, rows, payload("a"))


def test_another_process_reads_the_payload_with_the_same_key(
    ledger: Ledger, run: Run, url: str, clock: Clock
) -> None:
    batch = write(ledger, run, "a")
    with Ledger.open(url, KEY, clock) as other:
        assert other.payload(batch).equals(payload("a"))


def test_who_comes_late_with_an_answer_changes_nothing_that_was_settled_meanwhile(
    ledger: Ledger, run: Run
) -> None:
    batch = write(ledger, run, "a", "b")
    ledger.mark_sent(batch, run)
    other = ledger.start_run("s", run.address, "manual", NOON + timedelta(minutes=1))
    ledger.mark_sent(batch, other)
    ledger.record(batch, Receipt("r"), ["a", "b"])

    ledger.mark_unsent(batch)
    ledger.mark_in_doubt(batch)
    ledger.record(batch, Receipt("late", settled=False), ["a", "b"])
    ledger.record(batch, Receipt("late", rejections=(Rejection(0, "bad"),)), ["a", "b"])
    with pytest.raises(OutOfTurn):
        ledger.record_refusal(batch, {"a": Refusal("bad")}, [payload("b")])

    settled = ledger.batch(batch.id)
    assert settled is not None
    assert (settled.state, settled.request_id) == (BatchState.ACCEPTED, "r")
    assert states(ledger, "a", "b") == [EntryState.ACCEPTED] * 2
    assert ledger.unsettled(run.stream_id) == []
    assert ledger.verify() == []


def test_a_removal_is_never_too_old(ledger: Ledger, run: Run) -> None:
    """A clock that was ahead when the row was sent must not keep a person in an audience."""
    accept(ledger, run, "a")
    rows = ledger_rows(conversions({"a": "10.5"}, NOON - timedelta(days=1)))
    batch = ledger.write_batch(run, Action.REMOVE, rows, payload("a"))
    ledger.mark_sent(batch, run)
    ledger.record(batch, Receipt("r"), ["a"])
    [entry] = ledger.entry("a")
    assert (entry.state, entry.updated_at) == (EntryState.REMOVED, NOON)
