"""One customer told: numbers that add up to the cent, and nobody else's rows read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from clvsync.connections import open_destination
from clvsync.sync.explaining import Story
from clvsync.sync.passes import Pass, silent
from clvsync.sync.planning import plan
from clvsync.sync.scoring import summarise
from connectors.errors import FixConfiguration
from connectors.sandbox.server import Sandbox
from tests.end_to_end import plain_shop
from tests.end_to_end.bench import AUDIENCE, GOOGLE, META, STATE, Bench
from tests.fakes import Clock
from tests.sample_shop import NOW

MANY = 12
CENT = Decimal("0.01")


def keys_sent(bench: Bench, limit: int) -> list[str]:
    """Customers whom some sync has tried to send, spread over all of them."""
    with closing(sqlite3.connect(bench.folder / STATE)) as ledger:
        found = ledger.execute("SELECT DISTINCT key FROM entries ORDER BY key").fetchall()
    step = max(len(found) // limit, 1)
    return [key for (key,) in found[::step]][:limit]


@pytest.fixture(scope="module")
def stories(delivered: Bench) -> Iterator[list[Story]]:
    """Told nine days after everything was sent: every prediction has moved since."""
    delivered.clock.forward(timedelta(days=9))
    with delivered.business() as business:
        business.segments()
        yield [business.explain(key) for key in keys_sent(delivered, MANY)]
    delivered.clock.now = NOW


def test_steps_add_up_to_what_the_ledger_says_was_sent(stories: list[Story]) -> None:
    told = [entry for story in stories for entry in story.facts["ledger"]]
    assert {entry["sync"] for entry in told} == {GOOGLE, META, AUDIENCE}
    assert len(told) > MANY
    for entry in told:
        assert entry["adds_up"], (entry["key"], entry["why_not"])
        assert entry["worked_out"]["value"] == entry["value"]
        assert_steps_hold(entry["worked_out"])


def assert_steps_hold(found: dict[str, Any]) -> None:
    """Each step follows from the one before by the number it names, and the last is what is sent."""
    amount = found["worth"]
    for step in found["steps"]:
        match step["step"]:
            case "scale" | "factor":
                amount *= step["by"]
            case "cap":
                amount = min(amount, step["by"])
            case "floor":
                amount = max(amount, step["by"])
            case "rounded":
                assert abs(Decimal(amount) - found["value"]) <= CENT / 2 * Decimal("1.0001")
                continue
            case other:
                raise AssertionError(other)
        assert step["amount"] == pytest.approx(amount, abs=1e-9)


def test_orders_add_up_to_the_realised_value_and_with_the_expected_to_total_clv(stories: list[Story]) -> None:
    for story in stories:
        scores = story.facts["scores"]
        realised = sum(order["realised"] for order in story.facts["orders"])
        assert max(realised, 0.0) == pytest.approx(scores["realised_value"], abs=0.005)
        assert scores["total_clv"] >= scores["realised_value"] - 1e-9
        net = sum(
            order["value"] or 0
            for order in story.facts["orders"]
            if order["days_since_acquisition"] is not None and order["days_since_acquisition"] >= 0
        )
        assert net == story.facts["summary"]["revenue"]


def test_predictions_have_moved_since_and_the_story_says_how_far(stories: list[Story]) -> None:
    lines = [line for story in stories for chapter in story.chapters for line in chapter.lines]
    assert any("from what was sent" in line for line in lines)
    for story in stories:
        assert {"History", "Model", "Lifetime value", "Segments"} <= {each.title for each in story.chapters}
        assert story.to_json()["facts"]["segments"] == story.facts["segments"]


def test_what_is_told_of_now_is_what_the_next_run_would_send(delivered: Bench, stories: list[Story]) -> None:
    """One customer alone is worth what they are worth among all."""
    delivered.clock.now = NOW + timedelta(days=9)
    with delivered.business() as business, Pass.open(business, silent) as one_pass:
        for sync in (GOOGLE, AUDIENCE):
            destination = open_destination(business.config, business.sync(sync))
            stream_id = business.ledger.stream_ids(sync)[sync, destination.address]
            plan(one_pass, business.sync(sync), destination, stream_id)
            destination.close()
            rows = one_pass.workspace.execute("SELECT key, value, reason FROM rows").fetchall()
            among_all = {key: (value, reason) for key, value, reason in rows}
            alone = [row for story in stories for row in story.facts["now"].get(sync, [])]
            assert len(alone) > 2
            for row in alone:
                assert (row["value"], row["reason"]) == among_all[row["key"]]
    delivered.clock.now = NOW


def test_an_orders_key_tells_of_its_customer(delivered: Bench, stories: list[Story]) -> None:
    order = stories[0].facts["orders"][0]["order"]
    with delivered.business() as business:
        story = business.explain(order)
    assert story.customer == stories[0].customer


def test_nobody_else_is_read(delivered: Bench, stories: list[Story]) -> None:
    customer = stories[0].customer
    with delivered.business() as business, Pass.open(business, silent, customer=customer) as one_pass:
        summarise(one_pass)
        assert one_pass.workspace.execute("SELECT customer_key FROM summary").fetchall() == [(customer,)]
        for relation in (one_pass.mapped.orders, one_pass.mapped.customers):
            with business.source.stream(relation) as batches:
                assert set(batches.read_all()["customer_key"].to_pylist()) <= {customer}


def test_a_key_that_nobody_knows_is_refused(delivered: Bench) -> None:
    with delivered.business() as business, pytest.raises(FixConfiguration, match="nor the ledger know it"):
        business.explain("nobody")


def test_in_another_currency_and_after_rows_have_changed_behind_our_back(tmp_path: Path) -> None:
    clock = Clock(NOW)
    shop = plain_shop.build(tmp_path, customers=60)
    policy = {"policy": "scaled", "cap": "p90", "factor": 2, "currency": "USD", "round_to": "0.50"}

    def in_dollars(tree: dict[str, Any]) -> None:
        plain_shop.configuration(tree)
        tree["business"]["exchange_rates"]["USD"] = "0.92"
        tree["syncs"] = [sync | {"value": policy} for sync in tree["syncs"] if sync["name"] == GOOGLE]

    with Sandbox(clock=clock) as sandbox:
        bench = Bench(tmp_path, shop, sandbox, clock)
        bench.configure(in_dollars)
        bench.run()
        with bench.business() as business:
            for key in keys_sent(bench, 6):
                [entry] = business.explain(key).facts["ledger"]
                assert entry["adds_up"]
                assert entry["currency"] == "USD"
                assert entry["value"] % Decimal("0.5") == 0
                names = [step["step"] for step in entry["worked_out"]["steps"]]
                assert names == ["scale", "factor", "cap", "floor", "currency", "rounded"]
            with duckdb.connect(str(shop)) as connection:
                connection.execute("UPDATE customers SET total_clv = 1 WHERE customer_id = 'C00003'")
            changed = business.explain("C00003")
        [entry] = changed.facts["ledger"]
        assert not entry["adds_up"]
        lines = [line for chapter in changed.chapters for line in chapter.lines]
        assert any("have changed since" in line for line in lines)


def test_before_anything_has_run_what_is_missing_is_said(tmp_path: Path) -> None:
    clock = Clock(NOW)
    shop = plain_shop.build(tmp_path, customers=20)
    with Sandbox(clock=clock) as sandbox:
        bench = Bench(tmp_path, shop, sandbox, clock)
        bench.configure(plain_shop.configuration)
        with bench.business() as business:
            lines = [line for chapter in business.explain("C00003").chapters for line in chapter.lines]
            assert any("clvsync clv fit" in line for line in lines)
            business.fit()
            lines = [line for chapter in business.explain("C00003").chapters for line in chapter.lines]
    assert any("clvsync segments list" in line for line in lines)
    assert any(f"clvsync preview {GOOGLE}" in line for line in lines)
