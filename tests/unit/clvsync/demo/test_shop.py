"""The sample shop: the same for the same seed, with customers who differ, and dirty as stated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import phonenumbers
import pytest

from clvsync.demo import dirt
from clvsync.demo.shop import ShopFacts, build_shop
from tests.sample_shop import NOW, personal_strings, small_shop

PEOPLE = 8_000
TABLES = ("customers", "orders", "ad_spend", "truth", "truth_parameters")
KNOWN_AT_FIRST_ORDER = ("channel", "country", "device")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShopFacts]:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    return path, build_shop(path, customers=PEOPLE, seed=7, now=NOW)


@pytest.fixture(scope="module")
def facts(built: tuple[Path, ShopFacts]) -> ShopFacts:
    return built[1]


@pytest.fixture(scope="module")
def shop(built: tuple[Path, ShopFacts]) -> Iterator[Any]:
    with duckdb.connect(str(built[0]), read_only=True) as connection:
        yield connection


def number(shop: Any, query: str, **parameters: Any) -> float:
    return float(shop.execute(query, parameters or None).fetchone()[0])


def content(path: Path) -> dict[str, Any]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return {name: connection.execute(f"FROM {name}").to_arrow_table() for name in TABLES}


def test_the_same_seed_gives_the_same_shop_and_another_seed_another(tmp_path: Path) -> None:
    one, again, other = tmp_path / "one", tmp_path / "again", tmp_path / "other"
    facts = small_shop(one)[1]
    assert small_shop(again)[1] == facts
    small_shop(other, seed=8)
    assert all(
        table.equals(content(again / "shop.duckdb")[name])
        for name, table in content(one / "shop.duckdb").items()
    )
    assert not content(one / "shop.duckdb")["orders"].equals(content(other / "shop.duckdb")["orders"])


def test_building_again_replaces_the_shop(tmp_path: Path) -> None:
    path, _ = small_shop(tmp_path)
    _, facts = small_shop(tmp_path, customers=500)
    with duckdb.connect(str(path), read_only=True) as connection:
        assert number(connection, "SELECT count(*) FROM customers") == facts.customers < 600


def test_the_facts_are_those_of_the_tables(shop: Any, facts: ShopFacts) -> None:
    assert facts.people == PEOPLE == number(shop, "SELECT count(*) FROM truth")
    assert facts.customers == number(shop, "SELECT count(*) FROM customers")
    assert facts.orders == number(shop, "SELECT count(*) FROM orders")
    assert facts.mean_total_clv == pytest.approx(number(shop, "SELECT avg(total_clv) FROM truth"))
    assert facts.mean_first_value == pytest.approx(number(shop, "SELECT avg(first_value) FROM truth"))
    for days, first_orders in facts.first_orders.items():
        query = "SELECT count(*) FROM truth WHERE acquired_at >= $since"
        assert first_orders == number(shop, query, since=NOW - timedelta(days=days))


def test_history_is_two_years_and_grows(shop: Any) -> None:
    acquired = shop.execute("SELECT acquired_at FROM truth ORDER BY 1").to_arrow_table()["acquired_at"]
    first, last = acquired[0].as_py(), acquired[-1].as_py()
    assert NOW - timedelta(days=730) <= first < NOW - timedelta(days=725)
    assert NOW - timedelta(days=2) < last <= NOW
    query = "SELECT count(*) FROM truth WHERE acquired_at BETWEEN $since AND $until"
    earlier = number(shop, query, since=NOW - timedelta(days=730), until=NOW - timedelta(days=365))
    later = number(shop, query, since=NOW - timedelta(days=365), until=NOW)
    assert 1.15 < later / earlier < 1.6


def test_platform_windows_leave_enough_to_send(facts: ShopFacts) -> None:
    week, two_months, quarter = (facts.first_orders[days] / PEOPLE for days in (7, 60, 90))
    assert 0.008 < week < 0.03
    assert 0.07 < two_months < 0.15
    assert 0.10 < quarter < 0.22


def test_most_orders_are_in_the_currency_of_the_business(shop: Any) -> None:
    shares = dict(
        shop.execute("SELECT currency, count(*) / sum(count(*)) OVER () FROM orders GROUP BY 1").fetchall()
    )
    assert shares["EUR"] > 0.7
    assert {"USD", "GBP", "CHF", "PLN"} <= set(shares)


def test_an_order_keeps_one_click_id_of_its_own_channel(shop: Any) -> None:
    rows = shop.execute(
        """SELECT channel, count(*) AS orders,
                  count(gclid) + count(gbraid) + count(wbraid) AS google, count(fbclid) AS meta,
                  count(gbraid) + count(wbraid) AS braids
           FROM orders WHERE NOT is_test AND refund_of IS NULL GROUP BY channel"""
    ).fetchall()
    found = {channel: (orders, google, meta, braids) for channel, orders, google, meta, braids in rows}
    assert found["google"][1] > 0.9 * found["google"][0]
    assert found["meta"][2] > 0.9 * found["meta"][0]
    assert found["google"][3] > 0
    for channel in ("organic", "direct", "email", "affiliate"):
        assert found[channel][1:] == (0, 0, 0)
    assert found["google"][2] == found["meta"][1] == 0


def test_campaigns_of_orders_are_those_that_money_was_spent_on(shop: Any) -> None:
    ordered = set(shop.execute("SELECT DISTINCT channel, campaign_id FROM orders").fetchall())
    spent = set(shop.execute("SELECT DISTINCT channel, campaign_id FROM ad_spend").fetchall())
    assert spent == {(channel, campaign) for channel, campaign in ordered if campaign is not None}
    days = number(shop, "SELECT count(DISTINCT date) FROM ad_spend")
    assert days in (730, 731)
    assert number(shop, "SELECT min(cost) FROM ad_spend") > 0


def test_the_truth_differs_by_what_is_known_at_the_first_order(shop: Any) -> None:
    """A plain regression learned on one half of the customers tells the other half apart."""
    table = shop.execute("FROM truth").to_arrow_table()
    clv, first_value = table["total_clv"].to_numpy(), table["first_value"].to_numpy()
    dummies = [
        (table[name].to_numpy()[:, None] == np.unique(table[name].to_numpy().astype(str)))[:, 1:]
        for name in KNOWN_AT_FIRST_ORDER
    ]
    features = np.column_stack([np.ones(len(clv)), np.log(first_value), *dummies]).astype(float)
    learning = np.arange(len(clv)) % 2 == 0
    weights, *_ = np.linalg.lstsq(features[learning], np.log(clv[learning]), rcond=None)
    order = np.argsort(features[~learning] @ weights)
    tenth = len(order) // 10
    scored = clv[~learning][order]
    assert scored[-tenth:].mean() > 3 * scored[:tenth].mean()
    # First-order revenue alone must not say it all, or there would be nothing for CLV to add.
    assert np.corrcoef(first_value, clv)[0, 1] < 0.8


def test_channels_that_win_cheaply_win_customers_who_are_worth_little(shop: Any) -> None:
    clv = dict(shop.execute("SELECT campaign, avg(total_clv) FROM truth GROUP BY 1").fetchall())
    assert clv["Search climbing"] > 3 * clv["Shopping sale"]
    assert clv["newsletter"] > 2 * clv["Coupons"]


def test_what_customers_did_agrees_with_the_truth(shop: Any) -> None:
    """Realised margin of the cohorts older than the horizon against their expected total CLV."""
    rows = shop.execute(
        """WITH bought AS (
             SELECT DISTINCT order_id, customer_id, ordered_at, net_revenue::DOUBLE
                    * CASE currency WHEN 'USD' THEN 0.92 WHEN 'GBP' THEN 1.17 WHEN 'CHF' THEN 1.05
                                    WHEN 'PLN' THEN 0.23 ELSE 1 END AS revenue
             FROM orders WHERE NOT is_test)
           SELECT person.total_clv, coalesce(sum(0.42 * revenue * pow(1.10,
                    -greatest(0, epoch(ordered_at - acquired_at)) / (365.25 * 86400))), 0)
           FROM truth AS person
           LEFT JOIN bought ON bought.customer_id IN (person.customer_id, person.second_key)
                AND ordered_at <= acquired_at + INTERVAL 365 DAY
           WHERE acquired_at < $matured GROUP BY person.customer_id, person.total_clv""",
        {"matured": NOW - timedelta(days=366)},
    ).fetchnumpy()
    expected, realised = rows["total_clv"], next(rows[name] for name in rows if name != "total_clv")
    assert realised.sum() == pytest.approx(expected.sum(), rel=0.05)
    assert np.corrcoef(expected, realised)[0, 1] > 0.6


def test_no_address_and_no_page_is_anyones(shop: Any) -> None:
    domains = shop.execute(
        """SELECT DISTINCT lower(split_part(trim(email, ' \t'), '@', 2)) FROM customers
           WHERE contains(email, '@')"""
    ).fetchall()
    assert domains
    for (domain,) in domains:
        assert domain.split(".")[-2:] in (["example", "com"], ["example", "org"], ["example", "net"])
    assert (
        number(shop, "SELECT count(*) FROM orders WHERE page_url NOT LIKE 'https://shop.example.com/%'") == 0
    )
    networks = shop.execute(
        "SELECT DISTINCT regexp_extract(client_ip, '^(2001:db8::|\\d+\\.\\d+\\.\\d+\\.)') FROM orders"
    ).fetchall()
    found = {network for (network,) in networks if network}
    assert found == {"192.0.2.", "198.51.100.", "203.0.113.", "2001:db8::"}
    assert number(shop, "SELECT count(*) FROM orders WHERE client_ip = ''") == 0


def test_phones_are_valid_and_differ_except_the_bad_ones(shop: Any, facts: ShopFacts) -> None:
    rows = shop.execute(
        """SELECT phone, customers.country FROM customers JOIN truth USING (customer_id)
           WHERE phone IS NOT NULL"""
    ).fetchall()
    valid: list[str] = []
    written: set[bool] = set()
    for phone, country in rows:
        try:
            parsed = phonenumbers.parse(phone, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number_for_region(parsed, country):
            valid.append(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
            written.add(phone.startswith(("+", "00")))
    assert len(rows) - len(valid) == facts.dirt["bad_phones"]
    assert len(set(valid)) == len(valid)
    assert written == {True, False}


def test_emails_are_one_persons_alone_but_for_second_keys(shop: Any) -> None:
    query = """SELECT count(*) - count(DISTINCT lower(trim(email, ' \t')))
               FROM customers JOIN truth USING (customer_id) WHERE contains(email, '@')"""
    assert number(shop, query) == 0


@pytest.mark.parametrize(
    ("kind", "of", "share"),
    [
        ("untidy_emails", "SELECT count(*) FROM truth", dirt.EMAILS_UNTIDY * 0.94),
        ("invalid_emails", "SELECT count(*) FROM truth", dirt.EMAILS_INVALID * 0.94),
        ("bad_phones", "SELECT count(*) FROM truth", dirt.PHONES_BAD * 0.58),
        ("without_identifier", "SELECT count(*) FROM truth", dirt.WITHOUT_IDENTIFIER),
        ("second_keys", "SELECT count(*) FROM truth", dirt.SECOND_KEYS),
        ("orders_loaded_twice", "SELECT count(*) FROM orders", dirt.LOADED_TWICE),
        ("aged_clicks", "SELECT count(*) FROM truth WHERE channel IN ('google', 'meta')", dirt.CLICKS_AGED),
        (
            "clicks_after_order",
            "SELECT count(*) FROM truth WHERE channel IN ('google', 'meta')",
            dirt.CLICKS_AFTER_ORDER,
        ),
        ("two_click_ids", "SELECT count(*) FROM truth WHERE channel = 'google'", dirt.TWO_CLICK_IDS),
        ("unknown_currency", "SELECT count(*) FROM truth", dirt.UNKNOWN_CURRENCY),
        ("refunds", "SELECT count(*) FROM orders", 0.055),
        ("test_orders", "SELECT count(*) FROM truth", 0.002),
        ("zero_orders", "SELECT count(*) FROM truth", 0.005),
    ],
)
def test_dirt_stays_within_its_stated_share(
    shop: Any, facts: ShopFacts, kind: str, of: str, share: float
) -> None:
    found = facts.dirt[kind] / number(shop, of)
    assert 0.4 * share < found < 1.8 * share


def test_the_dirt_counted_is_in_the_tables(shop: Any, facts: ShopFacts) -> None:
    once = "(SELECT DISTINCT * FROM orders)"
    counted = {
        "orders_loaded_twice": f"SELECT (SELECT count(*) FROM orders) - (SELECT count(*) FROM {once})",
        "refunds": f"SELECT count(*) FROM {once} WHERE net_revenue < 0 AND refund_of IS NOT NULL",
        "zero_orders": f"SELECT count(*) FROM {once} WHERE net_revenue = 0",
        "test_orders": f"SELECT count(*) FROM {once} WHERE is_test",
        "two_click_ids": f"SELECT count(*) FROM {once} WHERE gclid IS NOT NULL AND gbraid IS NOT NULL",
        "clicks_after_order": f"SELECT count(*) FROM {once} WHERE click_time > ordered_at",
        "unknown_currency": f"""SELECT count(*) FROM {once} WHERE refund_of IS NULL
                                AND currency NOT IN ('EUR', 'USD', 'GBP', 'CHF', 'PLN')""",
        "second_keys": "SELECT count(second_key) FROM truth",
        "without_identifier": """SELECT count(*) FROM customers
                                 WHERE coalesce(email, phone, first_name, last_name, postcode) IS NULL""",
    }
    assert {kind: int(number(shop, query)) for kind, query in counted.items()} == {
        kind: facts.dirt[kind] for kind in counted
    }
    aged = (
        f"SELECT count(*) FROM {once} WHERE ordered_at - click_time > INTERVAL 90 DAY AND ordered_at <= $now"
    )
    assert number(shop, aged, now=NOW) == facts.dirt["aged_clicks"]
    future = f"SELECT count(*) FROM {once} WHERE ordered_at > $now"
    assert number(shop, future, now=NOW) == facts.dirt["future_orders"] > 0


def test_every_kind_of_dirt_meets_a_run(tmp_path: Path) -> None:
    """Even in a small shop each kind is there, and what is wrong with first orders is recent."""
    path, facts = small_shop(tmp_path)
    assert all(count > 0 for count in facts.dirt.values())
    recent = {"now": NOW, "since": NOW - timedelta(days=dirt.RECENT_DAYS)}
    with duckdb.connect(str(path), read_only=True) as connection:
        for condition in (
            "click_time > ordered_at",
            "ordered_at - click_time > INTERVAL 90 DAY",
            "gclid IS NOT NULL AND gbraid IS NOT NULL",
            "currency NOT IN ('EUR', 'USD', 'GBP', 'CHF', 'PLN')",
        ):
            query = f"SELECT count(*) FROM orders WHERE ordered_at BETWEEN $since AND $now AND {condition}"
            assert number(connection, query, **recent) > 0, condition


def test_the_same_person_under_two_keys_has_the_same_address(shop: Any) -> None:
    query = """SELECT count(*) FROM truth
               JOIN customers AS one USING (customer_id)
               JOIN customers AS other ON other.customer_id = second_key
               JOIN (SELECT DISTINCT customer_id FROM orders) AS bought ON bought.customer_id = second_key
               WHERE lower(trim(one.email, ' \t')) = lower(trim(other.email, ' \t'))"""
    assert number(shop, query) == number(shop, "SELECT count(second_key) FROM truth") > 0


def test_names_come_in_many_scripts(shop: Any) -> None:
    names = [
        name
        for (name,) in shop.execute(
            "SELECT DISTINCT first_name || ' ' || last_name FROM customers"
        ).fetchall()
        if name
    ]
    assert any("'" in name for name in names)
    assert any("ß" in name or "ü" in name for name in names)
    assert any("\u0400" <= letter <= "\u04ff" for name in names for letter in name)
    assert any("\u4e00" <= letter <= "\u9fff" for name in names for letter in name)


def test_consent_follows_the_country(shop: Any) -> None:
    shares = dict(
        shop.execute(
            """SELECT country, count(*) FILTER (WHERE consent_ad_user_data) / count(*)
               FROM customers GROUP BY country"""
        ).fetchall()
    )
    assert shares["DE"] > 0.7
    assert shares["US"] < 0.4
    states = shop.execute("SELECT DISTINCT consent_ad_user_data FROM customers").fetchall()
    assert {state for (state,) in states} == {True, False, None}
    query = "SELECT count(*) FROM customers WHERE consent_ad_personalization AND NOT consent_ad_user_data"
    assert number(shop, query) == 0


def test_personal_strings_hold_every_way_to_write_a_person(tmp_path: Path) -> None:
    path, _ = small_shop(tmp_path, customers=500)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM customers WHERE customer_id <> 'C000001'")
        connection.execute(
            """UPDATE customers SET email = ' Lena.MOOSBERGER1@Example.com', phone = '030 23125001',
               first_name = 'Lena', last_name = 'Moosberger', country = 'DE'"""
        )
    assert personal_strings(path) == {
        " Lena.MOOSBERGER1@Example.com",
        "lena.moosberger1@example.com",
        "030 23125001",
        "03023125001",
        "+493023125001",
        "493023125001",
        "Lena Moosberger",
    }
