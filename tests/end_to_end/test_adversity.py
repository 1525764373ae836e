"""What a business does to its data and its configuration between two runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.sandbox.server import Sandbox
from tests.end_to_end import plain_shop
from tests.end_to_end.bench import AUDIENCE, GOOGLE, META, Bench
from tests.fakes import Clock


@pytest.fixture
def plain(tmp_path: Path, sandbox: Sandbox, clock: Clock) -> Bench:
    bench = Bench(tmp_path, plain_shop.build(tmp_path, customers=60), sandbox, clock)
    bench.configure(plain_shop.configuration)
    return bench


def change(shop: Path, statement: str, *parameters: Any) -> None:
    with duckdb.connect(str(shop)) as connection:
        connection.execute(statement, parameters)


def test_who_is_deleted_from_the_warehouse_leaves_the_audience(plain: Bench) -> None:
    plain.run(AUDIENCE)
    change(plain.shop, "DELETE FROM customers WHERE customer_id = 'C00007'")
    [report] = plain.run(AUDIENCE)
    assert (report.status, report.counts["removed"], report.counts["rejected"]) == ("done", 1, 0), report
    assert "C00007" not in plain.members()
    plain.agree(AUDIENCE)


def test_a_sync_that_cannot_be_opened_does_not_keep_the_others_from_running(plain: Bench) -> None:
    def impossible(tree: dict[str, Any]) -> None:
        plain_shop.configuration(tree)
        tree["syncs"][0]["click_window"] = "200 days"

    plain.configure(impossible)
    reports = {report.sync: report for report in plain.run()}
    assert (reports[GOOGLE].status, reports[GOOGLE].exit_code) == ("failed", 2)
    assert reports[META].status == reports[AUDIENCE].status == "done"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_renamed_sync_does_not_send_everything_once_more(plain: Bench, place: int) -> None:
    plain.run_until_quiet()
    plain.clock.forward(timedelta(days=1))

    def renamed(tree: dict[str, Any]) -> None:
        plain_shop.configuration(tree)
        tree["syncs"] = [tree["syncs"][place] | {"name": "renamed", "audience": AUDIENCE}]
        if place != 2:
            del tree["syncs"][0]["audience"]

    plain.configure(renamed)
    written = len(plain.writes())
    [report] = plain.run()
    assert (report.status, report.exit_code) == ("failed", 2)
    assert (GOOGLE, META, AUDIENCE)[place] in report.message
    assert len(plain.writes()) == written


@pytest.mark.parametrize(("name", "place"), [(GOOGLE, 0), (META, 1)])
def test_rows_that_become_others_under_the_same_name_are_not_sent_beside_the_first(
    plain: Bench, name: str, place: int
) -> None:
    plain.run_until_quiet()

    def the_other(tree: dict[str, Any]) -> None:
        plain_shop.configuration(tree)
        sync = tree["syncs"][place]
        sync["carries"] = "acquisition" if sync["carries"] == "increment" else "increment"
        sync.pop("restate", None)

    plain.configure(the_other)
    written = len(plain.writes())
    [report] = plain.run(name)
    assert (report.status, report.exit_code) == ("failed", 2)
    assert "it carried" in report.message
    assert len(plain.writes()) == written
