from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from clvsync.customers.events import content_columns, conversions
from clvsync.customers.members import content_columns as member_content_columns
from clvsync.customers.members import members
from connectors.types import IDENTITY_COLUMNS, PERSONAL_COLUMNS, Source
from tests.shop import AS_OF, CUSTOMERS, ORDERS, by, duckdb_source, read, shop


def test_an_acquisition_is_sent_once_per_customer(source: Source) -> None:
    rows = by(read(source, conversions(shop(source), "acquisition", AS_OF)), "key")
    assert {key: row["customer_key"] for key, row in rows.items()} == {
        "1": "anna",
        "11": "ben",
        "40": "eve",
        "61": "gina",
        "71": "hugo",
    }
    assert {row["customer_type"] for row in rows.values()} == {"new"}


def test_increments_are_all_positive_orders(source: Source) -> None:
    rows = by(read(source, conversions(shop(source), "increment", AS_OF)), "key")
    assert set(rows) == {"1", "2", "3", "5", "11", "12", "40", "61", "62", "71", "72"}
    assert rows["1"]["customer_type"] == "new"
    assert rows["2"]["customer_type"] == "returning"


def test_amounts_are_in_the_orders_currency_and_in_the_businesss(source: Source) -> None:
    rows = by(read(source, conversions(shop(source), "increment", AS_OF)), "key")
    assert (rows["11"]["order_value"], rows["11"]["currency"]) == (Decimal(80), "USD")
    assert rows["11"]["business_value"] == Decimal(72)
    assert (rows["12"]["currency"], rows["12"]["business_value"]) == ("XXX", None)
    assert (rows["62"]["currency"], rows["62"]["business_value"]) == (None, None)
    assert rows["1"]["currency"] == "EUR"


def test_consent_is_resolved_row_by_row(source: Source) -> None:
    rows = by(read(source, members(shop(source))), "key")
    assert set(rows) == {"anna", "ben", "finn", "gina", "hugo"}
    consents = {key: row["ad_user_data"] for key, row in rows.items()}
    assert consents == {"anna": True, "ben": True, "finn": False, "gina": False, "hugo": False}
    assert consents == {key: row["ad_personalization"] for key, row in rows.items()}


def test_a_customer_who_is_not_known_has_agreed_to_nothing(source: Source) -> None:
    row = by(read(source, conversions(shop(source), "acquisition", AS_OF)), "key")["40"]
    assert row["ad_user_data"] is False
    assert row["has_email"] is False


def test_without_personal_columns_only_their_presence_leaves_the_source(source: Source) -> None:
    table = read(source, conversions(shop(source), "acquisition", AS_OF))
    assert not set(table.column_names) & set(PERSONAL_COLUMNS)
    rows = by(table, "key")
    assert (rows["1"]["has_email"], rows["1"]["has_gclid"], rows["1"]["has_phone"]) == (True, True, False)
    assert rows["11"]["has_email"] is False  # spaces alone
    assert "anna@" not in str(table.to_pylist())


def test_personal_columns_of_a_few_keys(source: Source) -> None:
    query = conversions(shop(source), "increment", AS_OF, in_clear=True, keys=["1", "3", "20", "none"])
    rows = by(read(source, query), "key")
    assert set(rows) == {"1", "3"}  # order 20 is a test customer's
    assert set(PERSONAL_COLUMNS) <= set(rows["1"])
    assert (rows["1"]["email"], rows["1"]["gclid"]) == ("anna@example.com", "click-1")
    assert rows["3"]["customer_type"] == "returning"
    assert rows["3"]["gclid"] is None


def test_both_readings_agree(source: Source) -> None:
    plain = by(read(source, conversions(shop(source), "increment", AS_OF)), "key")
    clear = by(read(source, conversions(shop(source), "increment", AS_OF, in_clear=True)), "key")
    assert set(plain) == set(clear)
    for key, row in clear.items():
        for name in PERSONAL_COLUMNS:
            assert plain[key][f"has_{name}"] is (row[name] is not None)
        shared = set(row) - set(PERSONAL_COLUMNS)
        assert {name: row[name] for name in shared} == {name: plain[key][name] for name in shared}


def test_since_leaves_out_events_and_not_history(source: Source) -> None:
    query = conversions(shop(source), "increment", AS_OF, since=datetime(2024, 2, 10, 9, tzinfo=UTC))
    rows = by(read(source, query), "key")
    assert "2" not in rows
    assert rows["3"]["customer_type"] == "returning"


def test_instants_are_zoned(source: Source) -> None:
    row = by(read(source, conversions(shop(source), "acquisition", AS_OF)), "key")["1"]
    assert row["event_time"] == datetime(2024, 1, 10, 8, tzinfo=UTC)
    assert row["click_time"] == datetime(2024, 1, 10, 7, 30, tzinfo=UTC)


def test_an_order_key_that_stands_twice_gives_one_row(tmp_path: Path) -> None:
    source = duckdb_source(
        tmp_path, *CUSTOMERS, *ORDERS, "INSERT INTO orders SELECT * FROM orders WHERE id IN (3, 71)"
    )
    assert "3" in by(read(source, conversions(shop(source), "increment", AS_OF)), "key")


def test_a_member_is_one_row_however_many_the_source_has(source: Source) -> None:
    rows = by(read(source, members(shop(source), in_clear=True)), "key")
    assert rows["anna"]["email"] == "anna@example.com"  # the other row is left out by `where`
    assert set(rows["anna"]) == {"key", "ad_user_data", "ad_personalization", *IDENTITY_COLUMNS}
    only = read(source, members(shop(source), in_clear=True, keys=["anna", "carl"]))
    assert only["key"].to_pylist() == ["anna"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE customers SET email = 'new@example.com' WHERE email = 'anna@example.com'",
        "UPDATE customers SET email = NULL, country = 'anna@example.com' WHERE email = 'anna@example.com'",
        "UPDATE customers SET consent = 'no' WHERE email = 'anna@example.com'",
    ],
)
def test_content_changes_when_what_is_sent_changes(tmp_path: Path, source: Source, change: str) -> None:
    changed = duckdb_source(tmp_path, *CUSTOMERS, *ORDERS, change)

    def contents(of: Source) -> list[list[object]]:
        event = by(read(of, conversions(shop(of), "acquisition", AS_OF)), "key")
        member = by(read(of, members(shop(of))), "key")
        return [
            [event["1"][name] for name in content_columns()],
            [member["anna"][name] for name in member_content_columns()],
            [event["11"][name] for name in content_columns()],
        ]

    (event, member, other), (new_event, new_member, same) = contents(source), contents(changed)
    assert event != new_event
    assert member != new_member
    assert other == same
