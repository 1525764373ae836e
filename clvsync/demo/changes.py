"""What happens in the sample shop between two runs of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from clvsync.demo import market, orders, purchasing
from clvsync.demo.identities import emails, identities, phone_capacity, phones
from clvsync.demo.market import Columns, Integers, Strings
from clvsync.demo.places import COUNTRIES
from clvsync.demo.purchasing import days, instant
from clvsync.demo.tables import append, keys, stacked
from clvsync.demo.truth import truth_rows

HOURS = 4.0
"""New orders fall in so many hours before `now`."""

NEW_CUSTOMERS = 0.002
REPEAT_ORDERS = 0.006
REFUNDS = 0.0006
WITHDRAWALS = 0.0005
CORRECTIONS = 0.0005
"""Shares of the shop's people, each at least FEWEST."""
FEWEST = 4

RESTATED_DAYS = 50
"""Half of the repeat orders are of customers won this recently, whose conversions may still be restated."""
REFUNDABLE_DAYS = 30
WITHDRAWN_RANK = 0.8
"""Consent is withdrawn by customers above this rank of true CLV, who are likely to be in an audience."""


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """How many of each change were made."""

    new_customers: int
    repeat_orders: int
    refunds: int
    consent_withdrawals: int
    corrected_emails: int
    corrected_phones: int


def advance_shop(path: Path, *, seed: int, now: datetime) -> ChangeFacts:
    """Let a few hours pass in the shop at `path`: new customers, repeat orders, refunds of recent first
    orders, consent withdrawn, e-mails and phones corrected. `ad_spend` stays. The same arguments on the same
    shop make the same changes."""
    rng = np.random.default_rng(seed)
    with duckdb.connect(str(path)) as connection:
        people = _number(connection, "SELECT count(*) FROM truth")

        def count(share: float) -> int:
            return max(FEWEST, round(people * share))

        connection.execute("BEGIN")
        returned = _refunds(connection, rng, count(REFUNDS), now)
        repeats = _repeat_orders(connection, rng, count(REPEAT_ORDERS), now)
        withdrawn = _withdraw_consent(connection, rng, count(WITHDRAWALS))
        corrected_emails = _correct_emails(connection, rng, count(CORRECTIONS))
        corrected_phones = _correct_phones(connection, rng, count(CORRECTIONS))
        firsts = _new_customers(connection, rng, count(NEW_CUSTOMERS), now)
        next_order = _number(connection, "SELECT max(substr(order_id, 2, 7)::BIGINT) + 1 FROM orders")
        sold = orders.numbered(stacked(firsts, repeats), next_order)
        append(connection, "orders", stacked(sold, returned))
        connection.execute("COMMIT")
    return ChangeFacts(
        new_customers=len(firsts["customer_id"]),
        repeat_orders=len(repeats["customer_id"]),
        refunds=len(returned["order_id"]),
        consent_withdrawals=withdrawn,
        corrected_emails=corrected_emails,
        corrected_phones=corrected_phones,
    )


def _new_customers(connection: Any, rng: np.random.Generator, size: int, now: datetime) -> Columns:
    """New people with their identities and truth; their first orders are returned."""
    at = np.sort(_recently(rng, size, now))
    acquired = purchasing.acquire(rng, at)
    nature = purchasing.natures(rng, acquired)
    value = purchasing.order_values(
        rng, nature.mean_value, acquired.category, acquired.discounted, repeat=False
    )
    start = _number(connection, "SELECT max(substr(customer_id, 2)::BIGINT) + 1 FROM customers")
    numbers = np.arange(start, start + size)
    ids = keys("C", numbers, 6)
    append(
        connection,
        "customers",
        {
            "customer_id": ids,
            "created_at": at,
            **identities(rng, acquired.country, numbers, _people_by_country(connection)),
            "is_test": np.full(size, False),
        },
    )
    append(connection, "truth", truth_rows(ids, acquired, nature, value))
    return orders.first_orders(rng, ids, acquired, value)


def _repeat_orders(connection: Any, rng: np.random.Generator, size: int, now: datetime) -> Columns:
    """Orders of existing customers, those who buy more often more likely; half of them recently won."""
    known = _rows(
        connection,
        """SELECT customer_id, country, mean_value, rate * (1 - dropout) AS weight,
                  acquired_at > $now - to_days($days) AS recent
           FROM truth WHERE acquired_at < $now ORDER BY customer_id""",
        {"now": now, "days": RESTATED_DAYS},
    )
    recent = _chosen(rng, np.where(known["recent"], known["weight"], 0.0), size // 2)
    others = _chosen(rng, np.where(known["recent"], 0.0, known["weight"]), size - recent.size)
    rows = np.concatenate((recent, others))
    return orders.repeat_orders(
        rng,
        known["customer_id"][rows],
        _country_index(known["country"][rows]),
        _recently(rng, rows.size, now),
        known["mean_value"][rows],
    )


def _refunds(connection: Any, rng: np.random.Generator, size: int, now: datetime) -> Columns:
    """Refunds of recent first orders that have none yet."""
    open_orders = _rows(
        connection,
        """SELECT DISTINCT order_id, customer_id, net_revenue::DOUBLE AS net_revenue, currency
           FROM orders AS sold
           WHERE net_revenue > 0 AND NOT is_test AND length(currency) = 3
             AND ordered_at BETWEEN $now - to_days($days) AND $now - INTERVAL 1 DAY
             AND ordered_at = (SELECT min(ordered_at) FROM orders WHERE customer_id = sold.customer_id)
             AND NOT EXISTS (FROM orders WHERE refund_of = sold.order_id)
           ORDER BY order_id""",
        {"now": now, "days": REFUNDABLE_DAYS},
    )
    rows = _chosen(rng, np.ones(len(open_orders["order_id"])), size)
    whole = rng.random(rows.size) < market.REFUND_WHOLE
    chosen = {name: values[rows] for name, values in open_orders.items()}
    return orders.refunds(chosen, _recently(rng, rows.size, now), whole)


def _withdraw_consent(connection: Any, rng: np.random.Generator, size: int) -> int:
    """Valuable customers who had agreed agree no more. How many."""
    agreed = _rows(
        connection,
        """SELECT customer_id, (percent_rank() OVER (ORDER BY total_clv) > $rank)::DOUBLE AS weight
           FROM customers JOIN truth USING (customer_id) WHERE consent_ad_user_data ORDER BY customer_id""",
        {"rank": WITHDRAWN_RANK},
    )
    ids = agreed["customer_id"][_chosen(rng, agreed["weight"], size)]
    connection.execute(
        """UPDATE customers SET consent_ad_user_data = false, consent_ad_personalization = false
           WHERE list_contains($ids, customer_id)""",
        {"ids": list(ids)},
    )
    return len(ids)


def _correct_emails(connection: Any, rng: np.random.Generator, size: int) -> int:
    """Addresses that were missing or wrong are there now. How many."""
    wrong = _rows(
        connection,
        """SELECT customer_id, first_name, last_name FROM customers
           WHERE NOT is_test AND last_name IS NOT NULL AND NOT contains(coalesce(email, ''), '@')
           ORDER BY customer_id""",
        {},
    )
    rows = _chosen(rng, np.ones(len(wrong["customer_id"])), size)
    ids = wrong["customer_id"][rows]
    numbers = np.array([int(key[1:]) for key in ids], dtype=np.int64)
    return _update(
        connection, "email", ids, emails(rng, wrong["first_name"][rows], wrong["last_name"][rows], numbers)
    )


def _correct_phones(connection: Any, rng: np.random.Generator, size: int) -> int:
    """Phones that were no number are one now. How many."""
    wrong = _rows(
        connection,
        """SELECT customer_id, country FROM customers
           WHERE NOT is_test AND (length(regexp_replace(phone, '\\D', '', 'g')) < 7 OR phone = '00000000000')
           ORDER BY customer_id""",
        {},
    )
    rows = _chosen(rng, np.ones(len(wrong["customer_id"])), size)
    ids, country = wrong["customer_id"][rows], wrong["country"][rows]
    numbers = np.array([int(key[1:]) for key in ids], dtype=np.int64)
    new = np.full(rows.size, None, dtype=object)
    for part in COUNTRIES:
        living = np.flatnonzero(country == part.code)
        # New customers are given the sequence from its start; these the second half, by their own number.
        half = phone_capacity(part) // 2
        new[living] = phones(rng, part, half + numbers[living] % half)
    return _update(connection, "phone", ids, new)


def _update(connection: Any, column: str, ids: Strings, values: Strings) -> int:
    if len(ids):
        connection.executemany(
            f"UPDATE customers SET {column} = $2 WHERE customer_id = $1", list(zip(ids, values, strict=True))
        )
    return len(ids)


def _rows(connection: Any, query: str, parameters: dict[str, Any]) -> Columns:
    """The query's columns: text as str or None, numbers and booleans as they are."""
    table = connection.execute(query, parameters).to_arrow_table()
    return {name: table[name].to_numpy() for name in table.column_names}


def _number(connection: Any, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])


def _people_by_country(connection: Any) -> dict[str, int]:
    return dict(connection.execute("SELECT country, count(*) FROM customers GROUP BY country").fetchall())


def _country_index(codes: Strings) -> Integers:
    index = {country.code: number for number, country in enumerate(COUNTRIES)}
    return np.array([index[code] for code in codes], dtype=np.int64)


def _recently(rng: np.random.Generator, size: int, now: datetime) -> Any:
    return instant(now) - days(rng.uniform(0.0, HOURS / 24.0, size))


def _chosen(rng: np.random.Generator, weights: Any, size: int) -> Integers:
    """Different rows, drawn by weight; fewer where fewer have any."""
    size = min(size, int(np.count_nonzero(weights)))
    if not size:
        return np.array([], dtype=np.int64)
    return np.asarray(rng.choice(len(weights), size, replace=False, p=weights / weights.sum()))
