"""advance_shop makes exactly the changes that it says."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import phonenumbers
import pytest

from clvsync.demo.changes import HOURS, REFUNDABLE_DAYS, RESTATED_DAYS, ChangeFacts
from clvsync.demo.shop import advance_shop
from tests.sample_shop import NOW, small_shop

LATER = NOW + timedelta(hours=4)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_shop(tmp_path_factory.mktemp("before"))[0]


@pytest.fixture(scope="module")
def advanced(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ChangeFacts]:
    path = tmp_path_factory.mktemp("after") / "shop.duckdb"
    shutil.copy(before, path)
    return path, advance_shop(path, seed=11, now=LATER)


def rows(path: Path, table: str, key: str) -> dict[str, dict[str, Any]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(f"FROM {table}").to_arrow_table().to_pylist()
    return {row[key]: row for row in found}


def changed(before: Path, after: Path) -> dict[str, set[str]]:
    """Customer keys by the column that changed."""
    old, new = rows(before, "customers", "customer_id"), rows(after, "customers", "customer_id")
    found: dict[str, set[str]] = {}
    for key, row in old.items():
        for name, value in row.items():
            if new[key][name] != value:
                found.setdefault(name, set()).add(key)
    return found


def test_new_customers_ordered_for_the_first_time_in_the_last_hours(
    before: Path, advanced: tuple[Path, ChangeFacts]
) -> None:
    path, facts = advanced
    old = rows(before, "customers", "customer_id")
    fresh = rows(path, "customers", "customer_id").keys() - old.keys()
    truth = rows(path, "truth", "customer_id")
    sold = rows(path, "orders", "order_id").values()
    assert len(fresh) == facts.new_customers > 0
    for key in fresh:
        own = [order for order in sold if order["customer_id"] == key]
        assert [LATER - timedelta(hours=HOURS) <= order["ordered_at"] <= LATER for order in own] == [True]
        assert truth[key]["total_clv"] > 0


def test_new_orders_are_repeats_half_of_them_of_customers_recently_won(
    before: Path, advanced: tuple[Path, ChangeFacts]
) -> None:
    path, facts = advanced
    old = rows(before, "orders", "order_id")
    truth = rows(before, "truth", "customer_id")
    fresh = [order for key, order in rows(path, "orders", "order_id").items() if key not in old]
    repeats = [order for order in fresh if order["customer_id"] in truth and order["refund_of"] is None]
    assert len(repeats) == facts.repeat_orders > 0
    recent = [
        order
        for order in repeats
        if truth[order["customer_id"]]["acquired_at"] > LATER - timedelta(days=RESTATED_DAYS)
    ]
    assert len(recent) == facts.repeat_orders // 2
    assert all(order["net_revenue"] > 0 for order in repeats)


def test_refunds_are_of_recent_first_orders(before: Path, advanced: tuple[Path, ChangeFacts]) -> None:
    path, facts = advanced
    old = rows(before, "orders", "order_id")
    new = rows(path, "orders", "order_id")
    refunded = [row for key, row in new.items() if key not in old and row["refund_of"] is not None]
    assert len(refunded) == facts.refunds > 0
    for refund in refunded:
        sold = old[refund["refund_of"]]
        assert -sold["net_revenue"] <= refund["net_revenue"] < 0
        assert refund["currency"] == sold["currency"]
        assert refund["ordered_at"] > sold["ordered_at"] > LATER - timedelta(days=REFUNDABLE_DAYS)
        earlier = [row for row in old.values() if row["customer_id"] == sold["customer_id"]]
        assert min(row["ordered_at"] for row in earlier) == sold["ordered_at"]


def test_consent_is_withdrawn_and_identifiers_are_corrected(
    before: Path, advanced: tuple[Path, ChangeFacts]
) -> None:
    path, facts = advanced
    found = changed(before, path)
    old, new = rows(before, "customers", "customer_id"), rows(path, "customers", "customer_id")
    withdrawn = found.pop("consent_ad_user_data")
    assert len(withdrawn) == facts.consent_withdrawals > 0
    assert found.pop("consent_ad_personalization") <= withdrawn
    for key in withdrawn:
        assert old[key]["consent_ad_user_data"] is True
        assert new[key]["consent_ad_user_data"] is new[key]["consent_ad_personalization"] is False
    emails = found.pop("email")
    assert len(emails) == facts.corrected_emails > 0
    assert all("@" in new[key]["email"] and "@" not in (old[key]["email"] or "") for key in emails)
    phones = found.pop("phone")
    assert len(phones) == facts.corrected_phones > 0
    for key in phones:
        assert phonenumbers.is_valid_number(phonenumbers.parse(new[key]["phone"], new[key]["country"]))
    assert not found


def test_nothing_else_changes(before: Path, advanced: tuple[Path, ChangeFacts]) -> None:
    path, facts = advanced
    old, new = rows(before, "orders", "order_id"), rows(path, "orders", "order_id")
    assert {key: new[key] for key in old} == old
    assert len(new) - len(old) == facts.new_customers + facts.repeat_orders + facts.refunds
    assert rows(before, "truth_parameters", "name") == rows(path, "truth_parameters", "name")


def test_no_two_people_share_an_identifier_after_many_changes(before: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    shutil.copy(before, path)
    for step in range(1, 6):
        advance_shop(path, seed=step, now=NOW + timedelta(hours=4 * step))
    with duckdb.connect(str(path), read_only=True) as connection:
        kept = connection.execute(
            """SELECT email, phone, customers.country FROM customers JOIN truth USING (customer_id)"""
        ).fetchall()
    emails = [email.strip().lower() for email, _, _ in kept if email and "@" in email]
    assert len(set(emails)) == len(emails)
    phones = []
    for _, phone, country in kept:
        try:
            parsed = phonenumbers.parse(phone or "", country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            phones.append(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    assert len(set(phones)) == len(phones)


def test_the_same_seed_makes_the_same_changes(
    before: Path, advanced: tuple[Path, ChangeFacts], tmp_path: Path
) -> None:
    again, other = tmp_path / "again.duckdb", tmp_path / "other.duckdb"
    shutil.copy(before, again)
    shutil.copy(before, other)
    assert advance_shop(again, seed=11, now=LATER) == advanced[1]
    advance_shop(other, seed=12, now=LATER)
    assert rows(again, "orders", "order_id") == rows(advanced[0], "orders", "order_id")
    assert rows(again, "customers", "customer_id") == rows(advanced[0], "customers", "customer_id")
    assert rows(other, "orders", "order_id") != rows(again, "orders", "order_id")
