"""A small sample shop for tests, and every personal string in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import phonenumbers

from clvsync.demo.shop import ShopFacts, build_shop

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
CUSTOMERS = 2_000
SEED = 7

SHORTEST = 8
"""Shorter strings ("n/a", "123456") would be found by chance."""


def small_shop(
    folder: Path, *, customers: int = CUSTOMERS, seed: int = SEED, now: datetime = NOW
) -> tuple[Path, ShopFacts]:
    """A sample shop in `folder`, in well under two seconds: its DuckDB file and what was built."""
    path = folder / "shop.duckdb"
    return path, build_shop(path, customers=customers, seed=seed, now=now)


def personal_strings(path: Path) -> set[str]:
    """Every e-mail (as kept, and trimmed in lower case), phone (as kept, digits, E.164) and full name of the
    shop at `path`. Placeholders that dirt put there, and strings shorter than SHORTEST, are left out."""
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT email, phone, first_name, last_name, country FROM customers"
        ).fetchall()
    found: set[str] = set()
    for email, phone, first_name, last_name, country in rows:
        if email and "@" in email:
            found |= {email, email.strip().lower()}
        if phone:
            found |= _ways_to_write(phone, country)
        if first_name and last_name:
            found.add(f"{first_name} {last_name}")
    return {text for text in found if len(text) >= SHORTEST}


def _ways_to_write(phone: str, country: str) -> set[str]:
    try:
        number = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return set()
    if not phonenumbers.is_valid_number(number):
        return set()
    digits = "".join(sign for sign in phone if sign.isdigit())
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return {phone, digits, e164, e164.removeprefix("+")}
