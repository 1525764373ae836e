from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from clvsync.config.sections import Tables
from clvsync.customers.mapping import mapped
from clvsync.customers.summary import SUMMARY, order_summary
from connectors.errors import FixConfiguration
from connectors.types import Source
from tests import cdnow
from tests.shop import AS_OF, business, by, clv, duckdb_source, read, shop, tables


@pytest.fixture(scope="module")
def summary(source: Source) -> dict[str, dict[str, object]]:
    return by(read(source, order_summary(shop(source), clv(), AS_OF)), "customer_key")


def test_columns_are_those_of_the_schema(source: Source) -> None:
    assert read(source, order_summary(shop(source), clv(), AS_OF)).column_names == SUMMARY.names


def test_a_feature_is_that_of_the_acquisition_alone(source: Source) -> None:
    named = tables(orders={"features": {"medium": "channel", "size": "value", "tried": "is_test"}})
    mapping = mapped(source, named, business())
    found = read(source, order_summary(mapping, clv(), AS_OF))
    assert found.column_names == [*SUMMARY.names, "feature_medium", "feature_size", "feature_tried"]
    rows = by(found, "customer_key")
    assert [rows["anna"][f"feature_{name}"] for name in ("medium", "size", "tried")] == ["google", 100.0, 0.0]
    assert rows["ben"]["feature_size"] == 80.0  # order 10 is worth nothing
    assert rows["hugo"]["feature_medium"] == "alpha"
    assert rows["eve"]["feature_medium"] is None
    one = by(read(source, order_summary(mapping.of_customer("anna"), clv(), AS_OF)), "customer_key")
    assert one == {"anna": rows["anna"]}


def test_a_boolean_feature_is_text(tmp_path: Path) -> None:
    orders = "CREATE TABLE orders AS SELECT 1 id, 'a' customer, DATE '2024-01-01' bought, 5 paid, true cheap"
    source = duckdb_source(tmp_path, "CREATE TABLE customers (id text)", orders)
    named = Tables.model_validate(
        {
            "customers": {"from": "customers", "key": "id"},
            "orders": {
                "from": "orders", "key": "id", "customer": "customer", "time": "bought", "value": "paid",
                "features": {"cheap": "cheap"},
            },
        }
    )  # fmt: skip
    found = read(source, order_summary(mapped(source, named, business()), clv(), AS_OF))
    assert found["feature_cheap"].to_pylist() == ["true"]
    source.close()


def test_a_feature_that_is_not_there_is_named_by_its_key(source: Source) -> None:
    with pytest.raises(FixConfiguration, match=r"tables\.orders\.features\.medium"):
        mapped(source, tables(orders={"features": {"medium": "chanel"}}), business())


def test_one_row_per_customer_with_a_purchase_who_is_neither_a_test_nor_left_out(
    summary: dict[str, dict[str, object]],
) -> None:
    assert set(summary) == {"anna", "ben", "eve", "gina", "hugo"}


def test_the_acquisition_is_the_first_positive_order(summary: dict[str, dict[str, object]]) -> None:
    anna = summary["anna"]
    assert anna["first_order_key"] == "1"
    assert anna["first_order_value"] == Decimal(100)
    assert anna["first_order_at"] == datetime(2024, 1, 10, 8, tzinfo=UTC)  # 09:00 in Berlin
    assert anna["channel"] == "google"
    assert summary["ben"]["first_order_key"] == "11"  # order 10 is worth nothing
    assert summary["gina"]["first_order_key"] == "61"  # order 60 is a test


def test_orders_of_one_instant_are_told_apart_by_key(summary: dict[str, dict[str, object]]) -> None:
    assert summary["hugo"]["first_order_key"] == "71"
    assert summary["hugo"]["channel"] == "alpha"


def test_several_orders_a_day_are_one_purchase_occasion(summary: dict[str, dict[str, object]]) -> None:
    anna = summary["anna"]
    assert (anna["orders"], anna["purchase_days"], anna["repeat_days"]) == (4, 3, 2)
    assert anna["repeat_revenue"] == Decimal(70)
    assert anna["mean_repeat_value"] == pytest.approx(35)
    assert anna["first_day_margin"] == pytest.approx(75)
    hugo = summary["hugo"]
    assert (hugo["orders"], hugo["purchase_days"], hugo["repeat_days"]) == (2, 1, 0)


def test_days_are_those_of_the_business(summary: dict[str, dict[str, object]]) -> None:
    gina = summary["gina"]  # 21:30 and 22:10 UTC of one day are two days in Berlin
    assert (gina["first_day"], gina["last_day"]) == (date(2024, 5, 1), date(2024, 5, 2))
    assert gina["repeat_days"] == 1


def test_refunds_lower_revenue_and_are_never_purchases(summary: dict[str, dict[str, object]]) -> None:
    anna = summary["anna"]
    assert anna["revenue"] == Decimal(200)
    assert anna["purchases_value"] == Decimal(220)
    assert anna["last_order_at"] == datetime(2025, 6, 1, 8, tzinfo=UTC)


def test_a_refund_from_before_the_acquisition_is_not_the_customers(
    summary: dict[str, dict[str, object]],
) -> None:
    assert summary["hugo"]["revenue"] == Decimal(160)


def test_realised_value_is_discounted_margin_within_the_horizon(
    summary: dict[str, dict[str, object]],
) -> None:
    expected = 0.5 * (150 + 30 * 1.1 ** (-31 / 365) - 20 * 1.1 ** (-36 / 365))
    assert summary["anna"]["realised_value"] == pytest.approx(expected, abs=1e-9)


def test_the_horizons_last_day_counts_and_the_next_does_not(source: Source) -> None:
    # Order 5 comes 508 days after the acquisition.
    def realised(days: int) -> float:
        query = order_summary(shop(source), clv(horizon=f"{days} days", discount_rate=0), AS_OF)
        value = by(read(source, query), "customer_key")["anna"]["realised_value"]
        return float(value)

    assert realised(508) - realised(507) == pytest.approx(20)


def test_nothing_after_as_of_is_read(source: Source) -> None:
    at = datetime(2024, 2, 10, 8, 59, 59, tzinfo=UTC)  # order 3 is at 09:00 UTC
    anna = by(read(source, order_summary(shop(source), clv(), at)), "customer_key")["anna"]
    assert anna["orders"] == 2
    at = datetime(2024, 2, 10, 9, tzinfo=UTC)
    anna = by(read(source, order_summary(shop(source), clv(), at)), "customer_key")["anna"]
    assert anna["orders"] == 3


def test_currencies_are_converted_by_stated_rates_and_unknown_ones_told_apart(
    summary: dict[str, dict[str, object]],
) -> None:
    ben = summary["ben"]
    assert ben["first_order_value"] == Decimal(72)
    assert (ben["orders"], ben["unvalued_orders"], ben["revenue"]) == (2, 1, Decimal(72))
    assert ben["repeat_days"] == 1
    assert ben["mean_repeat_value"] is None
    assert summary["gina"]["unvalued_orders"] == 1  # an order without a currency


def test_what_is_known_of_the_customer_comes_from_the_row_that_is_read(
    summary: dict[str, dict[str, object]],
) -> None:
    assert summary["anna"]["country"] == "DE"
    assert summary["anna"]["total_clv"] == pytest.approx(310.5)
    assert summary["eve"]["country"] is None


def test_a_business_whose_tables_are_called_like_ours(tmp_path: Path) -> None:
    source = duckdb_source(
        tmp_path,
        "CREATE TABLE mapped AS SELECT 'a' AS id, 7 AS n",
        "CREATE TABLE known AS SELECT 'a' AS customer_key, 1 AS amount, DATE '2024-01-01' AS ordered_on",
    )
    unmapped = dict.fromkeys(["where", "email", "country", "consent", "test", "total_clv"])
    config = tables(
        {**unmapped, "from": "mapped"},
        {
            **dict.fromkeys(["currency", "test", "channel", "gclid", "click_time"]),
            "from": "known",
            "key": "amount",
            "customer": "customer_key",
            "time": "ordered_on",
            "value": "amount",
        },
    )
    rows = read(source, order_summary(mapped(source, config, business()), clv(), AS_OF)).to_pylist()
    assert [(row["customer_key"], row["orders"]) for row in rows] == [("a", 1)]


def test_cdnow_summary_equals_one_made_by_hand(tmp_path: Path) -> None:
    rows = cdnow.sample()
    source = duckdb_source(
        tmp_path, "CREATE TABLE customers AS SELECT DISTINCT customer_id FROM orders", orders=rows
    )
    query = order_summary(cdnow.mapped(source), clv(discount_rate=0), cdnow.CALIBRATION_END)
    summary = by(read(source, query), "customer_key")
    days: dict[str, set[date]] = {}
    revenue: dict[str, Decimal] = {}
    for row in rows.to_pylist():
        if row["value"] > 0 and row["ordered_on"] <= date(1997, 9, 30):
            days.setdefault(row["customer_id"], set()).add(row["ordered_on"])
            revenue[row["customer_id"]] = revenue.get(row["customer_id"], Decimal(0)) + row["value"]
    assert set(summary) == set(days)
    for key, row in summary.items():
        assert row["purchase_days"] == len(days[key])
        assert (row["first_day"], row["last_day"]) == (min(days[key]), max(days[key]))
        assert row["revenue"] == revenue[key]
        assert row["realised_value"] == pytest.approx(float(revenue[key]) / 2)
