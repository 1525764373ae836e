"""What is wrong with any shop's data, in known amounts: what a run has to skip, reject or see through."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from clvsync.demo.clicks import random_text
from clvsync.demo.market import Booleans, Columns, Integers, Strings
from clvsync.demo.purchasing import days, instant
from clvsync.demo.tables import taken

EMAILS_UNTIDY = 0.04
EMAILS_INVALID = 0.004
PHONES_BAD = 0.02
WITHOUT_IDENTIFIER = 0.015
SECOND_KEYS = 0.012
LOADED_TWICE = 0.003
CLICKS_AGED = 0.01
CLICKS_AFTER_ORDER = 0.01
TWO_CLICK_IDS = 0.01
UNKNOWN_CURRENCY = 0.003
FUTURE_ORDERS = 0.002
"""Shares of what each could strike: people with an e-mail or phone, customers, order rows, first orders
(for future dates: recent ones)."""

RECENT_DAYS = 60.0
"""Of what is wrong with first orders, at least one is this recent, so that a run meets it."""

_BAD_PHONES = ("n/a", "0", "123456", "+49", "privat", "00000000000", "siehe E-Mail")
_BAD_EMAILS = ("keine", "n/a", "kunde.example.com", "unbekannt", "(at) example.com")
_UNKNOWN_CURRENCIES = ("EURO", "XQZ", "€")

Counts = dict[str, int]


def soil_customers(rng: np.random.Generator, customers: Columns) -> Counts:
    """Untidy and invalid e-mails, bad phones, and customers of whom nothing is known; changed in place."""
    size = len(customers["email"])
    email, phone = customers["email"], customers["phone"]
    known = email != np.array(None)
    draw = rng.random(size)
    untidy = np.flatnonzero(known & (draw < EMAILS_UNTIDY))
    email[untidy] = untidied(rng, email[untidy])
    invalid = np.flatnonzero(known & (draw >= EMAILS_UNTIDY) & (draw < EMAILS_UNTIDY + EMAILS_INVALID))
    email[invalid] = np.array(_BAD_EMAILS, dtype=object)[rng.integers(0, len(_BAD_EMAILS), invalid.size)]
    bad = np.flatnonzero((phone != np.array(None)) & (rng.random(size) < PHONES_BAD))
    phone[bad] = np.array(_BAD_PHONES, dtype=object)[rng.integers(0, len(_BAD_PHONES), bad.size)]
    unknown = np.flatnonzero(rng.random(size) < WITHOUT_IDENTIFIER)
    for name in ("email", "phone", "first_name", "last_name", "city", "region", "postcode"):
        customers[name][unknown] = None
    invalid, bad, untidy = (np.setdiff1d(rows, unknown) for rows in (invalid, bad, untidy))
    return {
        "untidy_emails": untidy.size,
        "invalid_emails": invalid.size,
        "bad_phones": bad.size,
        "without_identifier": unknown.size,
    }


def untidied(rng: np.random.Generator, emails: Strings) -> Strings:
    """The same addresses in capitals, or with blanks around them."""
    upper = np.array([email.upper() for email in emails], dtype=object)
    return np.asarray(np.where(rng.random(len(emails)) < 0.5, upper, " " + emails + " \t"), dtype=object)


def second_keys(rng: np.random.Generator, customers: Columns, orders: Columns, new_ids: Strings) -> Columns:
    """Give the last order of some repeat customers to a second key of the same person; changed in place.

    `new_ids` are at most as many keys as there may be; `customers` are sorted by key. Returns the new
    customers, with `customer_id` the new key and `first_key` the old one.
    """
    by_customer = np.lexsort((orders["ordered_at"], orders["customer_id"]))
    ids = orders["customer_id"][by_customer]
    last = np.append(ids[1:] != ids[:-1], True)
    repeat = ~orders["first"] & ~orders["is_test"] & (orders["value"] > 0)
    rows = by_customer[last & repeat[by_customer]]
    owner = np.searchsorted(customers["customer_id"], orders["customer_id"][rows])
    reachable = np.array([address is not None and "@" in address for address in customers["email"][owner]])
    chosen = rng.permutation(np.flatnonzero(reachable))[: len(new_ids)]
    rows, owner, ids = rows[chosen], owner[chosen], new_ids[: chosen.size]
    again = taken(customers, owner)
    again["first_key"] = again["customer_id"]
    again["customer_id"] = ids
    again["created_at"] = orders["ordered_at"][rows]
    again["email"] = untidied(
        rng, np.array([email.strip().lower() for email in again["email"]], dtype=object)
    )
    again["phone"] = np.full(len(ids), None, dtype=object)
    orders["customer_id"][rows] = ids
    return again


def soil_orders(rng: np.random.Generator, orders: Columns, now: datetime) -> Counts:
    """Wrong click times, two click ids, unknown currencies and future dates of first orders; in place."""
    first = orders["first"]
    recent: Booleans = orders["ordered_at"] > instant(now) - days(RECENT_DAYS)
    _, customer, order_count = np.unique(orders["customer_id"], return_inverse=True, return_counts=True)
    once = order_count[customer] == 1
    gclid = orders["gclid"] != np.array(None)
    clicked = first & (gclid | (orders["fbclid"] != np.array(None)))
    free = np.full(len(first), True)

    def strike(could: Booleans, share: float) -> Integers:
        rows = _some(rng, could & free, recent, share)
        free[rows] = False
        return rows

    two = strike(first & gclid, TWO_CLICK_IDS)
    orders["gbraid"][two] = "0AAAAA" + random_text(rng, two.size, 26)
    aged = strike(clicked, CLICKS_AGED)
    orders["click_time"][aged] = orders["ordered_at"][aged] - days(rng.uniform(91.0, 200.0, aged.size))
    after = strike(clicked, CLICKS_AFTER_ORDER)
    zones = rng.choice([1.0, 2.0], size=after.size) / 24.0  # local time read as UTC
    orders["click_time"][after] = orders["ordered_at"][after] + days(zones)
    unknown = strike(first, UNKNOWN_CURRENCY)
    codes = np.array(_UNKNOWN_CURRENCIES, dtype=object)
    orders["currency"][unknown] = codes[rng.integers(0, len(codes), unknown.size)]
    future = strike(first & once & recent, FUTURE_ORDERS)
    orders["ordered_at"][future] = instant(now) + days(rng.uniform(1.0, 3.0, future.size))
    return {
        "two_click_ids": two.size,
        "aged_clicks": aged.size,
        "clicks_after_order": after.size,
        "unknown_currency": unknown.size,
        "future_orders": future.size,
    }


def loaded_twice(rng: np.random.Generator, orders: Columns) -> Columns:
    """Exact copies of some rows, as a load that ran twice leaves them."""
    return taken(orders, np.flatnonzero(rng.random(len(orders["order_id"])) < LOADED_TWICE))


def _some(rng: np.random.Generator, could: Booleans, recent: Booleans, share: float) -> Integers:
    """That share of the rows that could be struck, and at least one recent one where there is any."""
    rows = np.flatnonzero(could & (rng.random(len(could)) < share))
    candidates = np.flatnonzero(could & recent)
    if candidates.size and not recent[rows].any():
        rows = np.append(rows, rng.choice(candidates))
    return rows
