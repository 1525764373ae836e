"""Rows a second from wire columns to the bytes of a request's body, by three ways, in one run.

Run on demand: `python -m tests.benchmarks.google_requests [ROWS]`. The ways take turns in this process and
the median of five turns counts: JSON dicts with orjson (what is sent), Google's raw messages turned into JSON
by the function that its REST client uses, and the same messages in binary (what gRPC would send).
The quota's ceiling is 300 requests a minute of 2,000 events: 10,000 rows a second.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from google.ads.datamanager_v1.types import IngestEventsRequest
from google.protobuf import json_format

from connectors.google import events, facts
from connectors.google.account import AccessToken, GoogleAccount
from connectors.google.conversions import GoogleConversions
from connectors.types import Table
from tests.unit.connectors.google.rows import conversion, table

TURNS = 5
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def made_up(count: int) -> Table:
    """WIRE rows of people that do not exist: a click id, e-mail, phone and address each."""
    rows = [
        conversion(
            number,
            NOW,
            event_time=NOW - timedelta(seconds=number),
            value=Decimal(number % 50_000) / 100,
            email=f"person.{number}@example.com",
            phone=f"030{1_000_000 + number}",
            first_name=f"Anna{number}",
            last_name="Müller",
            postcode="10115",
            country="DE",
        )
        for number in range(count)
    ]
    return events.shape(table(*rows)).table


def messages(wire: Table) -> Any:
    """The same request in Google's raw messages, the quickest way to fill them from Python."""
    request = IngestEventsRequest.pb(IngestEventsRequest())
    request.encoding = 1
    for row in zip(*(wire[name].to_pylist() for name in wire.column_names[1:]), strict=True):
        event = request.events.add(
            transaction_id=row[0], conversion_value=float(row[3]), currency=row[4], event_source=1
        )
        event.event_timestamp.FromDatetime(row[1])
        event.last_updated_timestamp.FromDatetime(row[2])
        setattr(event.ad_identifiers, row[5], row[6])
        identifiers = event.user_data.user_identifiers
        identifiers.add(email_address=row[7])
        identifiers.add(phone_number=row[8])
        address = identifiers.add().address
        address.given_name, address.family_name, address.region_code, address.postal_code = row[9:13]
        event.consent.ad_user_data = event.consent.ad_personalization = 1
        event.user_properties.customer_type = 1
    return request


def rate(rows: int, seconds: list[float]) -> str:
    return f"{rows / statistics.median(seconds):>12,.0f} rows/s"


def main(rows: int = facts.EVENTS_PER_REQUEST) -> None:
    """Print the rates."""
    destination = GoogleConversions(GoogleAccount("1234567890", credentials=AccessToken("none")), "987")
    wire = made_up(rows)
    ways: dict[str, Callable[[], bytes]] = {
        "dicts, orjson": lambda: orjson.dumps(destination.request(wire)),
        "raw messages, the REST client's JSON": lambda: json_format.MessageToJson(
            messages(wire), use_integers_for_enums=True
        ).encode(),
        "raw messages, binary": lambda: bytes(messages(wire).SerializeToString()),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    for name, seconds in taken.items():
        print(f"{name:<40}{rate(rows, seconds)}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
