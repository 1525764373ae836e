"""Segments and audiences whose members do not flicker, over a shop whose CLV is a column that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import csv, parquet
from typer.testing import CliRunner

from clvsync.cli.main import app
from clvsync.sync.segmenting import EXPORTED
from connectors.errors import FixConfiguration
from connectors.sandbox.server import Sandbox
from connectors.types import Severity
from tests.end_to_end import plain_shop
from tests.end_to_end.bench import AUDIENCE, GOOGLE, Bench
from tests.fakes import Clock
from tests.sample_shop import NOW

CUSTOMERS = 100
"""Worth 20, 21, … 119."""
DAY = timedelta(days=1)


def best_half(tree: dict[str, Any]) -> None:
    plain_shop.configuration(tree)
    tree["segments"] = {"best": "residual_clv >= p50", "best_germans": "best and country = 'DE'"}
    for sync in tree["syncs"]:
        if sync["name"] == AUDIENCE:
            sync |= {"where": "best", "value_based": False}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = Clock(NOW)
    shop = plain_shop.build(tmp_path, customers=CUSTOMERS)
    with Sandbox(clock=clock) as sandbox:
        bench = Bench(tmp_path, shop, sandbox, clock)
        bench.configure(best_half)
        worth(bench, "1")
        yield bench


@contextmanager
def shop(bench: Bench) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(bench.shop)) as connection:
        yield connection


def worth(bench: Bench, times: str) -> None:
    """Customer n is worth (20 + n) × `times`, in which n may stand."""
    with shop(bench) as connection:
        connection.execute(
            f"""
            UPDATE customers SET total_clv = (20 + n) * ({times})
            FROM (SELECT customer_id AS id, CAST(customer_id[2:] AS INT) AS n FROM customers)
            WHERE customer_id = id
            """
        )


def move(bench: Bench, times: str) -> None:
    """A day later, everyone is worth so many times what they were worth at first."""
    bench.clock.forward(DAY)
    worth(bench, times)


def counts(bench: Bench) -> tuple[int, int]:
    """Members that a run adds, and takes out."""
    [report] = bench.run(AUDIENCE)
    assert report.status == "done"
    return report.counts["accepted"] + report.counts["pending"], report.counts["removed"]


# --- Audiences -------------------------------------------------------------------------------------------


def test_noise_moves_nobody_out_and_a_real_move_does(bench: Bench) -> None:
    """Half are in (from 69.5 on). Up and down by four percent, nobody leaves; who falls by half does."""
    assert counts(bench) == (50, 0)
    # Each of those at the threshold comes in once, when the noise lifts them for the first time.
    for even, newcomers in ((1.04, True), (0.96, True), (1.04, False), (0.96, False)):
        move(bench, f"CASE WHEN n % 2 = 0 THEN {even} ELSE {2 - even} END")
        came, left = counts(bench)
        assert left == 0
        assert 0 < came < 5 if newcomers else came == 0
    move(bench, "CASE WHEN n = 80 THEN 0.5 ELSE 1.0 END")
    assert counts(bench) == (0, 1)
    with bench.business() as business:
        [entry] = business.ledger.entry("C00080", AUDIENCE)
        assert entry.state == "removed"
        assert business.ledger.entry("C00050", AUDIENCE)[0].state == "accepted"


def test_without_a_margin_the_same_noise_takes_people_out(bench: Bench) -> None:
    def without(tree: dict[str, Any]) -> None:
        best_half(tree)
        tree["membership"] = {"margin": 0}

    bench.configure(without)
    assert counts(bench) == (50, 0)
    move(bench, "CASE WHEN n % 2 = 0 THEN 1.04 ELSE 0.96 END")
    assert counts(bench)[1] > 0


def test_a_percentile_is_kept_for_its_time_and_then_taken_anew(bench: Bench) -> None:
    """Everyone doubles: by the amount that was frozen all are in, and a month later again the better half."""
    assert counts(bench) == (50, 0)
    move(bench, "2.0")
    came, left = counts(bench)
    assert (came, left) == (35, 0)  # those from 35 on, now 70
    bench.clock.forward(timedelta(days=30))
    with bench.business() as business:
        seen = {segment.name: segment for segment in business.segments()}
    assert seen["best"].thresholds == {"p50 of residual_clv": 139.0}
    assert seen["best"].customers == 50


def test_new_terms_take_a_percentile_anew_at_once(bench: Bench) -> None:
    with bench.business() as business:
        assert business.segments()[0].thresholds == {"p50 of residual_clv": 69.5}
    move(bench, "2.0")
    with bench.business() as business:
        assert business.segments()[0].thresholds == {"p50 of residual_clv": 69.5}

    def longer(tree: dict[str, Any]) -> None:
        best_half(tree)
        tree["clv"]["horizon"] = "200 days"

    bench.configure(longer)
    with bench.business() as business:
        assert business.segments()[0].thresholds == {"p50 of residual_clv": 139.0}


# --- Lists and exports -----------------------------------------------------------------------------------


def test_every_segment_is_listed_with_its_worth(bench: Bench) -> None:
    with bench.business() as business:
        found = {segment.name: segment for segment in business.segments()}
    assert list(found)[:2] == ["best", "best_germans"]
    assert {"vip", "future_vip", "at_risk", "lapsed", "one_time", "low_value", "tier_1"} <= set(found)
    best = found["best"]
    assert (best.customers, best.share, best.condition) == (50, 0.5, "residual_clv >= p50")
    assert best.clv == sum(range(70, 120))
    assert best.mean_clv == pytest.approx(94.5)
    assert best.share_of_clv == pytest.approx(sum(range(70, 120)) / sum(range(20, 120)))
    assert found["one_time"].customers == CUSTOMERS
    fifths = [found[f"tier_{place}"] for place in range(1, 6)]
    assert [fifth.customers for fifth in fifths] == [20] * 5
    assert (found["vip"].customers, found["vip"].mean_clv) == (0, None)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_export_has_keys_and_scores_alone_and_is_brought_forward_without_flicker(
    bench: Bench, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"best.{ending}"

    def exported() -> tuple[list[str], set[str]]:
        table = csv.read_csv(path) if ending == "csv" else parquet.read_table(path)
        return table.column_names, set(table["customer_key"].to_pylist())

    with bench.business() as business:
        first = business.export_segment("best", path)
        assert (first.customers, first.before, first.stayed) == (50, None, 0)
        columns, before = exported()
        assert columns == list(EXPORTED)
        assert b"example.com" not in path.read_bytes()
    move(bench, "CASE WHEN n = 50 THEN 0.93 WHEN n = 51 THEN 0.5 ELSE 1.0 END")
    with bench.business() as business:
        second = business.export_segment("best", path)
        assert (second.customers, second.before, second.stayed) == (49, 50, 1)
        assert before - exported()[1] == {"C00051"}
        business.ledger.forget("C00060", ["C00060"], bench.clock())
        assert business.export_segment("best", path).customers == 48
    assert before - exported()[1] == {"C00051", "C00060"}
    assert [left.name for left in tmp_path.glob(f"*{path.name}*")] == [path.name]


def test_what_cannot_be_exported_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "notes.csv"
    other.write_text("dear diary\n", encoding="utf-8")
    with bench.business() as business:
        for name, path, says in (
            ("worst", tmp_path / "a.csv", "there is no such segment"),
            ("best", tmp_path / "a.xlsx", r"neither a \.csv nor a \.parquet"),
            ("best", tmp_path / "nowhere" / "a.csv", "cannot be written"),
            ("best", other, "no export of a segment"),
        ):
            with pytest.raises(FixConfiguration, match=says):
                business.export_segment(name, path)
    assert other.read_text(encoding="utf-8") == "dear diary\n"
    with shop(bench) as connection:
        connection.execute("UPDATE orders SET customer_id = customer_id || '@example.com'")
    bench.clock.forward(DAY)
    with bench.business() as business, pytest.raises(FixConfiguration, match="look like e-mail"):
        business.export_segment("one_time", tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


def test_a_condition_that_cannot_be_is_found_by_the_check(bench: Bench) -> None:
    def wrong(tree: dict[str, Any]) -> None:
        best_half(tree)
        tree["segments"]["unused"] = "totl_clv > 5"

    bench.configure(wrong)
    with bench.business() as business:
        findings = business.check()
    [found] = [each for each in findings if each.what == "segments.unused"]
    assert found.severity is Severity.ERROR
    assert "did you mean 'total_clv'" in found.found


# --- Preview ---------------------------------------------------------------------------------------------


def test_a_preview_tells_of_every_row_that_may_go_though_all_has_been_sent(bench: Bench) -> None:
    def scaled(tree: dict[str, Any]) -> None:
        best_half(tree)
        tree["syncs"][0]["value"] = {"policy": "scaled", "cap": "p90"}

    bench.configure(scaled)
    with bench.business() as business:
        before = business.preview(GOOGLE).to_json()
    assert before["to_send"]["value"] == before["value"]
    bench.run(GOOGLE)
    with bench.business() as business:
        after = business.preview(GOOGLE).to_json()
    assert after["to_send"] == {"value": {"EUR": "0.00"}, "revenue": {"EUR": "0.00"}}
    for name in ("value", "revenue", "effect", "spread", "ready_for_value_bidding"):
        assert after[name] == before[name]
    effect = after["effect"]
    assert effect["rows"] == CUSTOMERS
    assert after["revenue"] == {"EUR": f"{sum(10 + n % 90 for n in range(CUSTOMERS)):.2f}"}
    assert [decile["worth"] for decile in effect["deciles"]] == [24.5 + 10 * place for place in range(10)]
    # k keeps the sum; the cap takes off what lies above the 90th percentile.
    k = effect["revenue"] / effect["worth"]
    cap = k * (20 + 0.9 * 99)
    assert effect["deciles"][0]["value"] == pytest.approx(24.5 * k, abs=0.01)
    assert effect["deciles"][9]["value"] == pytest.approx(cap, abs=0.01)
    assert float(effect["value"]) == pytest.approx(sum(min((20 + n) * k, cap) for n in range(100)), abs=0.5)
    assert after["ready_for_value_bidding"] is True


def test_the_commands_say_it_to_people_and_to_programs(bench: Bench, tmp_path: Path) -> None:
    calls = CliRunner()

    def said(*words: str) -> str:
        result = calls.invoke(app, [*words, "-c", str(bench.path)], env={"COLUMNS": "120"})
        assert result.exit_code == 0, result.output
        return result.output

    assert "best_germans" in said("segments", "list")
    assert '"share_of_clv"' in said("segments", "list", "--json")
    assert "customers of best in" in said("segments", "export", "best", "--to", str(tmp_path / "best.csv"))
    shown = said("preview", GOOGLE)
    assert "█" in shown
    assert "values are" in shown
    refused = calls.invoke(app, ["segments", "export", "bets", "--to", "x.csv", "-c", str(bench.path)])
    assert refused.exit_code == 2
