"""A shop without surprises: customers of one order each, all of whom agree and can be found."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tests.sample_shop import NOW

GOOGLE, META, AUDIENCE = SYNCS = "google-new-customers", "meta-purchases", "best-customers"
"""Named as the demo's; everyone belongs to the audience."""

_CUSTOMERS = """
    SELECT format('C{:05d}', n) AS customer_id, format('someone.{:05d}@example.com', n) AS email,
        'DE' AS country, true AS agreed, 20.0 + n * 101 % 480 AS total_clv
    FROM range($first, $end) AS r(n)
"""
_ORDERS = """
    SELECT format('O{:05d}', n) AS order_id, format('C{:05d}', n) AS customer_id,
        $latest - to_seconds(($end - 1 - n) * $seconds / ($end - $first)) AS ordered_at,
        CAST(10 + n % 90 AS DECIMAL(12, 2)) AS net_revenue, format('Cj0K-{:05d}', n) AS gclid,
        format('fb.1.1700000000000.{}', 100000 + n) AS fbp, 'https://shop.example.com/' AS page_url,
        'Mozilla/5.0 (X11)' AS user_agent
    FROM range($first, $end) AS r(n)
"""


def build(folder: Path, *, customers: int, now: datetime = NOW) -> Path:
    """A DuckDB file with so many customers, whose orders lie within the four days before an hour before
    `now`."""
    path = folder / "plain.duckdb"
    latest, within = now - timedelta(hours=1), timedelta(days=4)
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE customers AS {_CUSTOMERS}", {"first": 0, "end": customers})
        connection.execute(
            f"CREATE TABLE orders AS {_ORDERS}",
            {"first": 0, "end": customers, "latest": latest, "seconds": within.total_seconds()},
        )
    return path


def advance(path: Path, now: datetime, *, new: int, every: int = 10) -> None:
    """An hour until `now`: `new` customers, and every so many-th of the others worth a quarter more."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "UPDATE customers SET total_clv = total_clv * 1.25 WHERE hash(customer_id, $1) % $2 = 0",
            [now.isoformat(), every],
        )
        [(first,)] = connection.execute("SELECT count(*) FROM customers").fetchall()
        span = {"first": first, "end": first + new}
        connection.execute(f"INSERT INTO customers {_CUSTOMERS}", span)
        connection.execute(f"INSERT INTO orders {_ORDERS}", {**span, "latest": now, "seconds": 3600.0})


def configuration(tree: dict[str, Any]) -> None:
    """The shop's tables and three syncs, valued by the shop's own column."""
    tree["tables"] = {
        "customers": {
            "from": "customers",
            "key": "customer_id",
            "email": "email",
            "country": "country",
            "consent": "agreed",
            "total_clv": "total_clv",
            "residual_clv": "total_clv",
        },
        "orders": {
            "from": "orders",
            "key": "order_id",
            "customer": "customer_id",
            "time": "ordered_at",
            "value": "net_revenue",
            **{name: name for name in ("gclid", "fbp", "page_url", "user_agent")},
        },
    }
    tree["clv"] |= {"acquisition": "column", "existing": "column"}
    of_orders = {"from": "orders", "sent_by": "us"}
    to_google = {"to": "google.conversions", "conversion_action": "987", "carries": "acquisition"}
    to_meta = {"to": "meta.events", "event": "Purchase", "carries": "increment"}
    tree["syncs"] = [
        {"name": GOOGLE, **of_orders, **to_google},
        {"name": META, **of_orders, **to_meta},
        {"name": AUDIENCE, "from": "customers", "to": "meta.audience", "value_based": True},
    ]
