"""Rows a second from identifiers in clear to a request's body, beside Meta's own SDK on the same rows.

Run on demand: `python -m tests.benchmarks.meta_requests [ROWS]`. Both sides hash the same nine columns in the
same run, in turns, in this process; the median of five turns counts. The rows are ones that the SDK does not
raise on: every e-mail plausible, every phone in international form.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
from facebook_business.adobjects.serverside.user_data import UserData
from pydantic import SecretStr

from connectors.meta import identity
from connectors.meta.account import MetaAccount
from connectors.meta.events import MetaEvents
from connectors.types import CONVERSION, Table

ROWS = 20_000
TURNS = 5
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST = ("Anna", "Zoë", "Mary Jane", "Jürgen", "José", "Li", "Valéry", "Ola")
LAST = ("Müller", "O'Neil", "Smith", "García", "Nowak", "Dupont", "Rossi", "Lee")
PLACES = (
    ("Berlin", "Berlin", "10115", "DE", "+4930{:08d}"),
    ("London", "Greater London", "M1 1AE", "GB", "+4420794{:05d}"),
    ("Los Angeles", "CA", "94035", "US", "+1650555{:04d}"),
    ("Paris", "Paris", "75001", "FR", "+331426{:05d}"),
)
# Column of ours → the SDK's argument.
ARGUMENTS = {
    "email": "email",
    "phone": "phone",
    "first_name": "first_name",
    "last_name": "last_name",
    "city": "city",
    "region": "state",
    "postcode": "zip_code",
    "country": "country_code",
    "external_id": "external_id",
}


def made_up(count: int) -> Table:
    """CONVERSION rows of people that do not exist, each with an e-mail, phone and id of their own."""
    rows = []
    for number in range(count):
        city, region, postcode, country, phone = PLACES[number % len(PLACES)]
        row: dict[str, Any] = dict.fromkeys(CONVERSION.names)
        row |= {
            "key": f"order-{number}",
            "event_id": f"order-{number}",
            "event_time": NOW - timedelta(minutes=number % 5_000),
            "value": Decimal(number % 50_000) / 100,
            "currency": "EUR",
            "updated_at": NOW,
            "ad_user_data": True,
            "ad_personalization": True,
            "email": f"Person.{number}@Example.com",
            "phone": phone.format(number % 10_000),
            "first_name": FIRST[number % len(FIRST)],
            "last_name": LAST[number // 7 % len(LAST)],
            "city": city,
            "region": region,
            "postcode": postcode,
            "country": country,
            "external_id": f"customer-{number}",
            "page_url": "https://shop.example/thanks",
            "user_agent": "Mozilla/5.0",
        }
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=CONVERSION)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def race(title: str, table: Table, columns: Sequence[str]) -> None:
    """Times both sides in turns and prints medians and ratios."""
    events = MetaEvents(MetaAccount(None, SecretStr("none"), graph_url="http://127.0.0.1:1"), "111")
    size = events.capabilities.rows_per_request
    people = [
        {ARGUMENTS[column]: value for column, value in row.items()}
        for row in table.select(list(columns)).to_pylist()
    ]

    def ours_whole() -> None:
        shaped = events.shape(table, NOW).table
        for start in range(0, shaped.num_rows, size):
            events.body(shaped.slice(start, size))

    def sdk_whole() -> None:
        for start in range(0, len(people), size):
            orjson.dumps([UserData(**person).normalize() for person in people[start : start + size]])

    contestants: dict[str, Callable[[], object]] = {
        "clvsync: normalise and hash": lambda: identity.hashed(table),
        "SDK: UserData.normalize()": lambda: [UserData(**person).normalize() for person in people],
        "clvsync: the same to whole request bodies": ours_whole,
        "SDK: UserData.normalize() to user data alone as JSON": sdk_whole,
    }
    contestants["clvsync: normalise and hash"]()  # the first turn loads countries and phone metadata
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(TURNS):
        for name, work in contestants.items():
            seconds[name].append(timed(work))
    rates = [table.num_rows / statistics.median(times) for times in seconds.values()]
    print(f"{title}, {table.num_rows:,} rows")
    for name, rows_a_second in zip(seconds, rates, strict=True):
        print(f"  {name:54} {rows_a_second:>10,.0f} rows/s")
    print(
        f"  hashing: {rates[0] / rates[1]:.1f} times the SDK; with requests: {rates[2] / rates[3]:.1f} times"
    )


def main() -> None:
    table = made_up(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
    race("nine columns", table, list(ARGUMENTS))
    # Ours checks that a number can exist in its country; the SDK only takes characters out.
    place = table.schema.get_field_index("phone")
    without = table.set_column(place, "phone", pa.nulls(table.num_rows, pa.string()))
    race("without phone", without, [column for column in ARGUMENTS if column != "phone"])


if __name__ == "__main__":
    main()
