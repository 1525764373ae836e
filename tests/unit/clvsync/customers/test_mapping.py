from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from clvsync.customers.mapping import condition, mapped
from connectors.errors import FixConfiguration
from connectors.types import Source
from tests.shop import business, duckdb_source, read, tables

NOTHING = dict.fromkeys(["where", "email", "country", "consent", "test", "total_clv"])
PLAIN = dict.fromkeys(["currency", "test", "channel", "gclid", "click_time"])


def orders_of(source: Source, changes: dict[str, Any], **of_business: Any) -> list[dict[str, Any]]:
    config = tables(NOTHING, {**PLAIN, "time": "at", **changes})
    rows: list[dict[str, Any]] = read(
        source, mapped(source, config, business(**of_business)).orders
    ).to_pylist()
    return rows


def shop_of(folder: Path, select: str) -> Source:
    return duckdb_source(
        folder, f"CREATE TABLE orders AS {select}", "CREATE TABLE customers AS SELECT 'a' AS id"
    )


ROW = "1 AS id, 'a' AS customer, 10.5 AS value, "


@pytest.mark.parametrize(
    ("at", "instant", "day"),
    [
        ("TIMESTAMP '2024-07-01 00:30:00'", "2024-06-30 22:30:00", "2024-07-01"),
        ("TIMESTAMPTZ '2024-06-30 22:30:00+00:00'", "2024-06-30 22:30:00", "2024-07-01"),
        ("TIMESTAMPTZ '2024-07-01 00:30:00+02:00'", "2024-06-30 22:30:00", "2024-07-01"),
        ("DATE '2024-07-01'", "2024-06-30 22:00:00", "2024-07-01"),
        ("TIMESTAMP '2024-01-01 00:30:00'", "2023-12-31 23:30:00", "2024-01-01"),
        # The clock shows 02:30 twice that night (the later one is taken), and never on this one.
        ("TIMESTAMP '2024-10-27 02:30:00'", "2024-10-27 01:30:00", "2024-10-27"),
        ("TIMESTAMP '2024-03-31 02:30:00'", "2024-03-31 01:30:00", "2024-03-31"),
    ],
)
def test_times_are_instants_and_days_are_the_businesss(
    tmp_path: Path, at: str, instant: str, day: str
) -> None:
    (row,) = orders_of(shop_of(tmp_path, f"SELECT {ROW} {at} AS at"), {})
    assert row["ordered_at"] == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert str(row["ordered_on"]) == day


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.integers(946_684_800, 2_114_380_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
        min_size=20,
        max_size=50,
    ),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "UTC"]),
)
def test_any_instant_falls_on_the_day_that_the_zone_says(
    tmp_path_factory: pytest.TempPathFactory, instants: list[datetime], zone: str
) -> None:
    rows = pa.table(
        {
            "id": list(range(len(instants))),
            "customer": ["a"] * len(instants),
            "at": pa.array(instants, pa.timestamp("us", "UTC")),
            "value": [1.0] * len(instants),
        }
    )
    source = duckdb_source(tmp_path_factory.mktemp("days"), orders=rows, customers=pa.table({"id": ["a"]}))
    for row in orders_of(source, {}, timezone=zone):
        at = instants[int(row["order_key"])]
        assert row["ordered_at"] == at
        assert row["ordered_on"] == at.astimezone(ZoneInfo(zone)).date()


@pytest.mark.parametrize(
    ("column", "key", "words"),
    [
        ({"time": "time"}, "tables.orders.time", "no column 'time'"),
        ({"time": "word"}, "tables.orders.time", "cannot be read as a time"),
        ({"value": "word"}, "tables.orders.value", "cannot be read as an amount"),
        ({"key": "value"}, "tables.orders.key", "cannot be read as a key"),
        ({"channel": "list"}, "tables.orders.channel", "cannot be read as text"),
        ({"test": "at"}, "tables.orders.test", "cannot be read as yes or no"),
    ],
)
def test_a_column_that_cannot_mean_it_is_named(
    tmp_path: Path, column: dict[str, str], key: str, words: str
) -> None:
    select = "SELECT 1 AS id, 'a' AS customer, 1.5::DOUBLE AS value, 'x' AS word, [1] AS list, now() AS at"
    with pytest.raises(FixConfiguration) as raised:
        orders_of(shop_of(tmp_path, select), column)
    assert raised.value.what == key
    assert words in raised.value.problem


def test_the_nearest_column_is_named(tmp_path: Path) -> None:
    source = shop_of(tmp_path, f"SELECT {ROW} now() AS ordered_at")
    with pytest.raises(FixConfiguration, match="Did you mean 'ordered_at'"):
        orders_of(source, {"time": "orderd_at"})


def test_names_are_never_read_as_sql(tmp_path: Path) -> None:
    evil = 'x" FROM orders; DROP TABLE orders; --'
    select = f"SELECT {ROW} now() AS at, 'kept' AS \"{evil.replace(chr(34), chr(34) * 2)}\""
    (row,) = orders_of(shop_of(tmp_path, select), {"channel": evil})
    assert row["channel"] == "kept"


@pytest.mark.parametrize("where", ["1 = 1; DROP TABLE orders", "DROP TABLE orders", "SELECT", "", "a ="])
def test_a_condition_is_a_condition(where: str) -> None:
    with pytest.raises(FixConfiguration, match="is not a condition"):
        condition("tables.orders.where", where)


def test_a_condition_keeps_to_itself(tmp_path: Path) -> None:
    select = f"SELECT {ROW} now() AS at, 'a' AS status UNION ALL SELECT NULL, 'a', 1, now(), 'b'"
    rows = orders_of(shop_of(tmp_path, select), {"where": "status = 'a' OR status = 'b'"})
    assert len(rows) == 1  # the row without a key stays out


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("12.34567::DECIMAL(10,5)", "12.3457"),
        ("-12.34565::DECIMAL(10,5)", "-12.3457"),
        ("7::INTEGER", "7.0000"),
        ("0.1::DOUBLE", "0.1000"),
        ("99999999999999.9999::DECIMAL(38,4)", "99999999999999.9999"),
    ],
)
def test_amounts_are_exact(tmp_path: Path, value: str, amount: str) -> None:
    select = f"SELECT 1 AS id, 'a' AS customer, now() AS at, {value} AS value"
    (row,) = orders_of(shop_of(tmp_path, select), {})
    assert f"{row['amount']:.4f}" == amount


@pytest.mark.parametrize("value", ["'NaN'::DOUBLE", "'inf'::DOUBLE", "1e14::DOUBLE", "NULL::DOUBLE"])
def test_what_is_no_amount_is_no_order_and_sinks_no_other(tmp_path: Path, value: str) -> None:
    select = (
        f"SELECT 1 AS id, 'a' AS customer, now() AS at, {value} AS value UNION ALL SELECT 2, 'a', now(), 5"
    )
    assert [row["order_key"] for row in orders_of(shop_of(tmp_path, select), {})] == ["2"]


def test_rates_convert_and_unknown_currencies_stay_unknown(tmp_path: Path) -> None:
    select = f"SELECT {ROW} now() AS at, unnest([' usd', 'EUR', 'vnd', 'GBP', '', NULL]) AS currency"
    rows = orders_of(
        shop_of(tmp_path, select),
        {"currency": "currency"},
        exchange_rates={"USD": "0.9", "VND": "0.000037123456"},
    )
    found = {row["currency"]: row["value"] for row in rows}
    assert {code: value and f"{value:.4f}" for code, value in found.items()} == {
        "USD": "9.4500",
        "EUR": "10.5000",
        "VND": "0.0004",
        "GBP": None,
        None: None,
    }


def test_without_a_currency_column_everything_is_in_the_businesss(tmp_path: Path) -> None:
    (row,) = orders_of(shop_of(tmp_path, f"SELECT {ROW} now() AS at"), {})
    assert (row["currency"], row["value"]) == ("EUR", row["amount"])


@pytest.mark.parametrize(
    ("written", "flag"),
    [
        ("TRUE", True),
        ("FALSE", False),
        ("1", True),
        ("0", False),
        ("2", None),
        ("1.0::DOUBLE", True),
        ("' Yes '", True),
        ("'GRANTED'", True),
        ("'true'", True),
        ("'1'", True),
        ("'denied'", False),
        ("'no'", False),
        ("'False'", False),
        ("''", None),
        ("'unspecified'", None),
        ("NULL::BOOLEAN", None),
        ("'yes'::ENUM('yes', 'no')", True),
    ],
)
def test_yes_and_no_in_the_forms_people_have(tmp_path: Path, written: str, flag: bool | None) -> None:
    source = duckdb_source(
        tmp_path,
        "CREATE TABLE orders AS SELECT 1 AS id, 'a' AS customer, now() AS at, 1 AS value",
        f"CREATE TABLE customers AS SELECT 'a' AS id, {written} AS consent",
    )

    def resolved(default: str) -> bool:
        config = tables({**NOTHING, "consent": "consent"}, {**PLAIN, "time": "at"})
        query = mapped(source, config, business(consent={"default": default})).customers
        answer: bool = read(source, query)["ad_user_data"][0].as_py()
        return answer

    assert (resolved("opt_in"), resolved("opt_out")) == ((False, True) if flag is None else (flag, flag))


def test_a_consent_of_its_own_goes_before_the_general_one(tmp_path: Path) -> None:
    source = duckdb_source(
        tmp_path,
        "CREATE TABLE orders AS SELECT 1 AS id, 'a' AS customer, now() AS at, 1 AS value",
        "CREATE TABLE customers AS SELECT 'a' AS id, true AS general, false AS ads",
    )
    config = tables(
        {**NOTHING, "consent": "general", "consent_ad_personalization": "ads"}, {**PLAIN, "time": "at"}
    )
    (row,) = read(source, mapped(source, config, business()).customers).to_pylist()
    assert (row["ad_user_data"], row["ad_personalization"]) == (True, False)


def test_a_select_may_stand_for_a_table(tmp_path: Path) -> None:
    source = shop_of(tmp_path, f"SELECT {ROW} now() AS at")
    (row,) = orders_of(source, {"from": "SELECT *, value * 2 AS twice FROM orders", "value": "twice"})
    assert float(row["amount"]) == 21.0


def test_every_identifier_is_quoted(source: Source) -> None:
    queries = mapped(source, tables(), business())
    for identifier in queries.orders.find_all(exp.Identifier):
        assert identifier.args.get("quoted") or identifier.name in ("orders", "source")
