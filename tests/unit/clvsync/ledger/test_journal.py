from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from sqlalchemy import text

from clvsync.ledger import ENTRIES, Decision, Ledger, Model, Refusal, Run, RunStatus
from connectors.errors import FixConfiguration
from connectors.types import Action, Receipt
from tests.fakes import Clock, conversions, ledger_rows
from tests.unit.clvsync.ledger.conftest import NOON


def test_a_run_is_told_as_it_ended(ledger: Ledger, run: Run, clock: Clock) -> None:
    clock.forward(timedelta(minutes=1))
    ledger.finish_run(
        run,
        RunStatus.DONE,
        clock(),
        counts={"read": 3},
        value_sent={"EUR": Decimal("12.3400")},
        reasons={"too_old": 1},
    )
    (told,) = ledger.runs(sync="new-customers")
    assert told.status is RunStatus.DONE
    assert (told.started_at, told.finished_at) == (NOON, NOON + timedelta(minutes=1))
    assert told.value_sent == {"EUR": Decimal("12.34")}
    assert (told.counts, told.reasons) == ({"read": 3}, {"too_old": 1})
    assert ledger.runs(sync="another") == []


def test_runs_come_newest_first(ledger: Ledger, clock: Clock) -> None:
    ids = []
    for _ in range(3):
        clock.forward(timedelta(milliseconds=1))
        ids.append(ledger.start_run("s", "fake/1", "manual", clock()).id)
    assert [run.id for run in ledger.runs(2)] == ids[:0:-1]


def test_a_run_that_was_ended_by_another_stays_ended(ledger: Ledger, run: Run, clock: Clock) -> None:
    ledger.start_run(run.sync, run.address, "manual", clock())
    ledger.finish_run(run, RunStatus.DONE, clock(), counts={})
    assert {each.id: each.status for each in ledger.runs()}[run.id] is RunStatus.FAILED


def test_only_a_held_run_is_decided_about_and_only_once(ledger: Ledger, run: Run, clock: Clock) -> None:
    with pytest.raises(FixConfiguration, match="not held"):
        ledger.decide(run.id, Decision.RELEASE, clock())
    ledger.finish_run(run, RunStatus.HELD, clock(), counts={}, message="too much")
    ledger.decide(run.id, Decision.RELEASE, clock())
    assert ledger.runs()[0].decision is Decision.RELEASE
    with pytest.raises(FixConfiguration, match="decided"):
        ledger.decide(run.id, Decision.DISCARD, clock())


def test_an_empty_stream_has_the_same_columns(ledger: Ledger, run: Run) -> None:
    table = ledger.entries_reader(run.stream_id).read_all()
    assert table.schema.equals(ENTRIES)
    assert len(table) == 0


def test_each_stream_reads_its_own_entries_only(ledger: Ledger, clock: Clock) -> None:
    rows = {}
    for sync in ("one", "two"):
        run = ledger.start_run(sync, "fake/1", "manual", clock())
        changes = conversions({f"{sync}-{index}": str(index) for index in range(40)}, NOON)
        batch = ledger.write_batch(run, Action.ADD, ledger_rows(changes), changes.select(["key"]))
        if sync == "two":
            ledger.mark_sent(batch, run)
            ledger.record(batch, Receipt(), changes["key"].to_pylist())
        rows[sync] = ledger.entries_reader(run.stream_id).read_all()
    assert set(rows["one"]["key"].to_pylist()) == {f"one-{index}" for index in range(40)}
    assert set(rows["one"]["state"].to_pylist()) == {"planned"}
    assert set(rows["two"]["present"].to_pylist()) == {1}
    assert sorted(rows["two"]["value"].to_pylist()) == [index * 10_000 for index in range(40)]
    assert set(rows["two"]["event_time"].to_pylist()) == {int(NOON.timestamp()) * 1_000_000}


def test_text_that_first_appears_late_is_still_text(ledger: Ledger, run: Run) -> None:
    """The driver guesses types from the first rows it sees."""
    many = conversions({f"{index:06}": "1" for index in range(20_000)}, NOON)
    batch = ledger.write_batch(run, Action.ADD, ledger_rows(many), many.select(["key"]))
    ledger.mark_sent(batch, run)
    ledger.record(batch, Receipt(), many["key"].to_pylist())
    late = ledger_rows(conversions({"999999": "2"}, NOON))
    ledger.record_rejections(run, Action.ADD, late, [Refusal("too_old")])
    table = ledger.entries_reader(run.stream_id).read_all()
    assert len(table) == 20_001
    assert set(table["reason"].to_pylist()) == {"", "too_old"}


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE entries SET state = 'sent'", "another state"),
        ("DELETE FROM entries WHERE \"key\" = 'a'", "more or fewer rows"),
        ("UPDATE batches SET payload = NULL", "lost their content"),
        ("UPDATE batches SET state = 'accepted'", "another state"),
        ("UPDATE entries SET state = 'accepted'", "do not hold what was accepted"),
    ],
)
def test_disagreements_are_found(ledger: Ledger, run: Run, damage: str, found: str) -> None:
    changes = conversions({"a": "1", "b": "2"}, NOON)
    ledger.write_batch(run, Action.ADD, ledger_rows(changes), changes.select(["key"]))
    assert ledger.verify() == []
    with ledger._write() as connection:
        connection.execute(text(damage))
    assert any(found in problem for problem in ledger.verify())


def test_one_model_of_a_name_scores(ledger: Ledger) -> None:
    for version in ("1", "2"):
        ledger.save_model(
            Model("bgnbd", version, NOON + timedelta(int(version)), {"r": 0.2426}, customers=2357)
        )
    ledger.save_model(Model("bgnbd", "3", NOON + timedelta(3), {"r": 0.1}), current=False)
    current = ledger.current_model("bgnbd")
    assert current is not None
    assert (current.version, current.parameters, current.customers) == ("2", {"r": 0.2426}, 2357)
    assert [model.version for model in ledger.models("bgnbd")] == ["3", "2", "1"]
    assert ledger.current_model("first_order") is None


def test_a_person_s_word_for_a_model_outlives_its_being_kept_again(ledger: Ledger) -> None:
    for version in ("1", "2"):
        ledger.save_model(Model("bgnbd", version, NOON, {}))
    ledger.score_with("bgnbd", "1", NOON + timedelta(1), "the price went up")
    ledger.save_metrics("bgnbd", "1", {"mean_score": 2.5})
    ledger.save_model(Model("bgnbd", "1", NOON + timedelta(2), {}, {"mean_score": 3.0}))
    [accepted] = [model for model in ledger.models("bgnbd") if model.current]
    assert (accepted.version, accepted.metrics) == ("1", {"mean_score": 3.0})
    assert (accepted.accepted_at, accepted.accepted_because) == (NOON + timedelta(1), "the price went up")
    ledger.score_with("bgnbd", "2", NOON)
    current = ledger.current_model("bgnbd")
    assert current is not None
    assert (current.version, current.accepted_because) == ("2", None)
    with pytest.raises(FixConfiguration, match="no such version"):
        ledger.score_with("bgnbd", "3", NOON)
    assert ledger.current_model("bgnbd") == current


def test_objects_are_remembered_by_address(ledger: Ledger) -> None:
    ledger.save_object("meta/act_1", "best-customers", "23850", NOON)
    ledger.save_object("meta/act_1", "best-customers", "23851", NOON, {"ratio": 0.01})
    found = ledger.object("meta/act_1", "best-customers")
    assert found is not None
    assert (found.platform_id, found.details) == ("23851", {"ratio": 0.01})
    assert ledger.object("meta/act_2", "best-customers") is None
    assert ledger.objects("meta/act_1") == [found]


def test_a_forgotten_person_is_known_again_without_being_named(ledger: Ledger, run: Run) -> None:
    rows = ledger_rows(conversions({"order-1": "1", "order-2": "1"}, NOON))
    ledger.record_rejections(run, Action.ADD, rows, [Refusal("too_old")] * 2)
    assert ledger.is_forgotten(pa.array(["ada"])).to_pylist() == [False]
    assert ledger.forget("ada", ["order-1"], NOON) == 1
    assert ledger.entry("order-1") == []
    assert len(ledger.entry("order-2")) == 1
    assert ledger.is_forgotten(pa.array(["ada", "bob", None])).to_pylist() == [True, False, False]
    with ledger._read() as connection:
        assert "ada" not in str(connection.execute(text("SELECT * FROM forgotten")).all())
