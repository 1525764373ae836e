"""The main job: first run, changes, second run, silence; what the platforms hold agrees with the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from clvsync.demo.changes import advance_shop
from clvsync.sync.report import RunReport
from connectors.google import facts
from connectors.sandbox.google_accounts import CUSTOMER_ID, NOT_BID_ON_ACTION_ID, TAG_ACTION_ID
from connectors.sandbox.google_state import GoogleState
from tests.end_to_end.bench import AUDIENCE, GOOGLE, META, Bench

HOURS = timedelta(hours=4)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARGIN = Decimal("0.42")


def by_sync(reports: list[RunReport]) -> dict[str, RunReport]:
    assert [report.status for report in reports] == ["done"] * len(reports), reports
    return {report.sync: report for report in reports}


def sent(report: RunReport) -> int:
    return report.counts["accepted"] + report.counts["pending"] + report.counts["removed"]


def rows(shop: Path, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop), read_only=True) as connection:
        return connection.execute(query, parameters).fetchall()


def change(shop: Path, statement: str, *parameters: Any) -> None:
    with duckdb.connect(str(shop)) as connection:
        connection.execute(statement, parameters)


def touched_since(shop: Path, before: Path) -> set[str]:
    """Customers whose own row or whose orders are not what they were."""
    with duckdb.connect(str(shop), read_only=True) as connection:
        connection.execute(f"ATTACH '{before}' AS earlier (READ_ONLY)")
        found = connection.execute(
            """
            SELECT customer_id FROM (FROM customers EXCEPT FROM earlier.customers)
            UNION SELECT customer_id FROM (FROM orders EXCEPT FROM earlier.orders)
            """
        ).fetchall()
    return {key for (key,) in found}


def test_what_changed_is_sent_and_then_nothing(bench: Bench, built: Path) -> None:
    first = by_sync(bench.run())
    assert set(first) == {GOOGLE, META, AUDIENCE}
    assert min(sent(report) for report in first.values()) > 0
    assert first[GOOGLE].counts["pending"] == len(bench.conversions()) > 100
    assert first[META].counts["accepted"] == len(bench.events())
    assert first[AUDIENCE].counts["accepted"] == len(bench.members()) > 100
    for sync in (META, AUDIENCE):
        bench.agree(sync)

    before = {sync: bench.ledger(sync) for sync in first}
    bench.clock.forward(HOURS)
    made = advance_shop(bench.shop, seed=1, now=bench.clock.now)
    touched = touched_since(bench.shop, built / bench.shop.name)
    second = by_sync(bench.run())
    assert second[GOOGLE].earlier == {"accepted": first[GOOGLE].counts["pending"]}
    for sync, report in second.items():
        earlier, after = before[sync], bench.ledger(sync)
        carried = {key for key, row in after.items() if key not in earlier or row.batch != earlier[key].batch}
        assert len(carried) == sent(report) > 0
        # Who belongs to an audience is a matter of rank: others move in and out as someone passes them.
        moved = {key for key in carried if key not in earlier or after[key].state == "removed"}
        unmoved = carried - moved if sync == AUDIENCE else carried
        assert unmoved <= touched, "somebody was sent of whom nothing has changed"
        assert report.counts["unchanged"] > sent(report)
    assert 0 < second[GOOGLE].counts["restated"] < second[GOOGLE].counts["pending"]
    assert 0 < second[META].counts["accepted"] <= made.new_customers
    assert second[AUDIENCE].counts["removed"] > 0

    bench.clock.forward(timedelta(minutes=5))
    asked = len(bench.writes())
    third = by_sync(bench.run())
    assert [sent(report) for report in third.values()] == [0, 0, 0]
    assert len(bench.writes()) == asked
    assert third[GOOGLE].earlier == {"accepted": second[GOOGLE].counts["pending"]}
    for sync in third:
        bench.agree(sync)
    with bench.business() as business:
        assert business.ledger.verify() == []


def test_an_order_s_margin_goes_on_another_action_once_each(bench: Bench) -> None:
    def margins(tree: dict[str, Any]) -> None:
        tree["syncs"] = [
            {
                "name": "google-margins",
                "from": "orders",
                "to": "google.conversions",
                "conversion_action": NOT_BID_ON_ACTION_ID,
                "carries": "increment",
                "sent_by": "us",
            }
        ]

    bench.configure(margins)
    bench.run()
    bench.clock.forward(HOURS)
    made = advance_shop(bench.shop, seed=2, now=bench.clock.now)
    [second] = bench.run()
    assert 0 < second.counts["pending"] <= made.new_customers + made.repeat_orders
    assert second.counts["restated"] == 0
    bench.run_until_quiet()

    rates = {"EUR": Decimal(1)}
    with bench.business() as business:
        rates |= business.config.business.exchange_rates
    orders = {
        key: amount * rates[currency]
        for key, amount, currency in rows(bench.shop, "SELECT order_id, net_revenue, currency FROM orders")
        if currency in rates
    }
    held = bench.conversions(NOT_BID_ON_ACTION_ID)
    assert len(held) > len(bench.ledger("google-margins")) // 2
    for key, conversion in held.items():
        margin = (orders[key] * MARGIN).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        assert abs(Decimal(str(conversion.value)) - margin) <= Decimal("0.01")
        assert len(conversion.history) == 1
    bench.agree("google-margins", action=NOT_BID_ON_ACTION_ID)
    assert bench.conversions() == {}


def test_a_value_is_restated_only_once_the_earlier_one_is_taken(bench: Bench) -> None:
    with bench.sandbox.state.lock:
        bench.sandbox.state.part(GoogleState).settings.settle_after_seconds = HOURS.total_seconds() * 1.5
    [first] = bench.run(GOOGLE)
    bench.clock.forward(HOURS)
    # Whoever bought in the last weeks buys the same again: their values move, but not beyond the brakes.
    change(
        bench.shop,
        """
        INSERT INTO orders BY NAME
        SELECT * REPLACE (order_id || '-again' AS order_id, $1 AS ordered_at) FROM orders
        WHERE ordered_at > $1 - INTERVAL 30 DAY AND net_revenue > 0 AND NOT is_test
        """,
        bench.clock.now,
    )
    [second] = bench.run(GOOGLE)
    assert second.counts["restated"] == 0
    assert second.counts["pending"] >= first.counts["pending"]
    assert sum(each.rows for each in bench.writes()) == second.counts["pending"]
    bench.clock.forward(HOURS)
    [third] = bench.run(GOOGLE)
    assert third.earlier["accepted"] == first.counts["pending"]
    assert third.counts["restated"] > 50
    with bench.sandbox.state.lock:
        bench.sandbox.state.part(GoogleState).settings.settle_after_seconds = 0
    bench.run_until_quiet(GOOGLE)
    bench.agree()
    restated = [each for each in bench.conversions().values() if len(each.history) > 1]
    assert len(restated) == third.counts["restated"]
    assert not any(told.stale for each in restated for told in each.history)


def test_who_takes_consent_back_leaves_the_audience(bench: Bench) -> None:
    [first] = bench.run(AUDIENCE)
    leaver = sorted(bench.members())[0]
    change(
        bench.shop,
        "UPDATE customers SET consent_ad_user_data = false WHERE customer_id = $1",
        leaver,
    )
    bench.clock.forward(HOURS)
    [second] = bench.run(AUDIENCE)
    assert (second.counts["removed"], second.counts["accepted"]) == (1, 0)
    assert leaver not in bench.members()
    assert len(bench.members()) == first.counts["accepted"] - 1
    assert bench.ledger(AUDIENCE)[leaver].state == "removed"
    bench.agree(AUDIENCE)


def test_who_is_erased_from_the_shop_leaves_the_audience(bench: Bench) -> None:
    bench.run(AUDIENCE)
    erased = sorted(bench.members())[0]
    change(bench.shop, "DELETE FROM orders WHERE customer_id = $1", erased)
    change(bench.shop, "DELETE FROM customers WHERE customer_id = $1", erased)
    bench.clock.forward(HOURS)
    [second] = bench.run(AUDIENCE)
    assert second.counts["removed"] >= 1
    assert second.counts["rejected"] == 0
    assert erased not in bench.members()
    assert bench.ledger(AUDIENCE)[erased].state == "removed"
    bench.agree(AUDIENCE)


def test_what_the_sites_tag_sends_is_restated_and_never_sent(bench: Bench) -> None:
    """One owner per event: no conversion is made, and none is touched before Google can know it."""

    def by_the_site(tree: dict[str, Any]) -> None:
        tree["syncs"] = [tree["syncs"][0] | {"conversion_action": TAG_ACTION_ID, "sent_by": "site"}]

    bench.configure(by_the_site)
    clicked = rows(
        bench.shop,
        "SELECT DISTINCT order_id, epoch_us(ordered_at), net_revenue FROM orders"
        " WHERE coalesce(gclid, gbraid, wbraid) IS NOT NULL AND net_revenue > 0 AND ordered_at <= $1",
        bench.clock.now,
    )
    for key, microseconds, revenue in clicked:
        record_by_tag(bench, key, EPOCH + timedelta(microseconds=microseconds), float(revenue))
    recorded = set(bench.conversions(TAG_ACTION_ID))
    [first] = bench.run()
    assert first.counts["pending"] == first.counts["restated"] > 30
    held = bench.conversions(TAG_ACTION_ID)
    assert set(held) == recorded
    told = {key for key, each in held.items() if len(each.history) > 1}
    assert len(told) == first.counts["restated"]
    oldest = bench.clock.now - timedelta(days=55)
    youngest = bench.clock.now - facts.TAG_CONVERSION_WAIT
    assert all(oldest <= held[key].event_at <= youngest for key in told)
    assert first.reasons["too_recent"] > 0
    assert first.reasons["no_click_or_identifier"] > 100

    bench.clock.forward(timedelta(days=2))
    [second] = bench.run()
    assert second.counts["restated"] >= first.reasons["too_recent"] - 1
    assert set(bench.conversions(TAG_ACTION_ID)) == recorded
    bench.run_until_quiet()
    taken = {row.event_id: float(row.accepted) for row in bench.ledger(GOOGLE).values() if row.accepted}
    held = bench.conversions(TAG_ACTION_ID)
    assert {key: held[key].value for key in taken} == taken


def record_by_tag(bench: Bench, key: str, at: datetime, value: float) -> None:
    with bench.sandbox.state.lock:
        bench.sandbox.state.part(GoogleState).record_tag_conversion(
            key, at, customer_id=CUSTOMER_ID, action_id=TAG_ACTION_ID, value=value, currency="EUR"
        )


@pytest.mark.parametrize("sync", [GOOGLE, META, AUDIENCE])
def test_the_report_tells_of_each_row_that_was_left_out(bench: Bench, sync: str) -> None:
    [report] = bench.run(sync)
    left_out = report.counts["skipped"] + report.counts["rejected"]
    assert sum(report.reasons.values()) == left_out > 0
    assert report.value_sent.keys() == {"EUR"}
