"""All CDNOW purchases, from DuckDB and from PostgreSQL, to both platforms.

The purchases are real; e-mails, click ids and consents are made up, and the days are shifted so that the last
purchase was yesterday.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clvsync.connections import open_destination
from clvsync.demo.configuration import ENVIRONMENT
from clvsync.sync.fitting import scored
from clvsync.sync.passes import Pass, silent
from clvsync.sync.planning import plan
from connectors.sandbox.google_accounts import NOT_BID_ON_ACTION_ID
from connectors.sandbox.server import Sandbox
from connectors.types import MONEY, Table
from tests import cdnow
from tests.end_to_end.bench import AUDIENCE, Bench
from tests.fakes import Clock
from tests.sample_shop import NOW

GOOGLE, META = "google-margins", "meta-purchases"
CENT = 0.01

_CREATE = (
    "CREATE TABLE customers (customer_id text, email text, agreed boolean)",
    "CREATE TABLE orders (order_id bigint, customer_id text, ordered_at timestamp with time zone,"
    " value numeric(18, 4), gclid text, fbp text, page_url text, user_agent text)",
)


def shifted() -> tuple[Table, Table]:
    """Customers and orders, the last of them yesterday."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("purchases", cdnow.master())
        connection.execute(
            "CREATE TABLE days AS SELECT $1::DATE - 1 - max(ordered_on) AS later FROM purchases", [NOW]
        )
        orders = connection.execute(
            """
            SELECT order_id, customer_id,
                (ordered_on + later::INTEGER)::TIMESTAMPTZ + to_seconds(28800 + order_id * 97 % 36000)
                    AS ordered_at,
                value,
                CASE WHEN order_id % 3 < 2 THEN format('Cj0KCQ{}', order_id) END AS gclid,
                format('fb.1.1700000000000.{}', order_id) AS fbp,
                'https://shop.example.com/' AS page_url, 'Mozilla/5.0 (X11; Linux)' AS user_agent
            FROM purchases, days ORDER BY order_id
            """
        ).to_arrow_table()
        customers = connection.execute(
            """
            SELECT customer_id, format('buyer{}@example.com', customer_id) AS email,
                customer_id::INTEGER % 10 > 0 AS agreed
            FROM purchases GROUP BY customer_id ORDER BY customer_id
            """
        ).to_arrow_table()
    return customers, orders


def into_duckdb(path: Path, customers: Table, orders: Table) -> str:
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement, name, rows in zip(_CREATE, ("customers", "orders"), (customers, orders), strict=True):
            connection.execute(statement)
            connection.register("given", rows)
            connection.execute(f"INSERT INTO {name} BY NAME FROM given")
    return f"duckdb:///{path}"


def into_postgres(url: str, customers: Table, orders: Table) -> str:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        for statement, name, rows in zip(_CREATE, ("customers", "orders"), (customers, orders), strict=True):
            cursor.execute(statement)
            written = pa.BufferOutputStream()
            csv.write_csv(rows, written, csv.WriteOptions(include_header=False))
            with cursor.copy(f"COPY {name} FROM STDIN (FORMAT csv)") as copy:
                copy.write(written.getvalue().to_pybytes())
    return url


def configuration(warehouse: str) -> Any:
    def change(tree: dict[str, Any]) -> None:
        tree["business"] |= {"currency": "USD", "timezone": "America/New_York", "default_region": "US"}
        tree["business"].pop("exchange_rates")
        tree["warehouse"] = {"url": warehouse}
        tree["tables"] = {
            "customers": {"from": "customers", "key": "customer_id", "email": "email", "consent": "agreed"},
            "orders": {
                "from": "orders",
                "key": "order_id",
                "customer": "customer_id",
                "time": "ordered_at",
                "value": "value",
                **{name: name for name in ("gclid", "fbp", "page_url", "user_agent")},
            },
        }
        of_orders = {"from": "orders", "carries": "increment", "sent_by": "us"}
        to_google = {"to": "google.conversions", "conversion_action": NOT_BID_ON_ACTION_ID}
        tree["syncs"] = [
            {"name": GOOGLE, **of_orders, **to_google},
            {"name": META, **of_orders, "to": "meta.events", "event": "Purchase"},
            next(sync for sync in tree["syncs"] if sync["name"] == AUDIENCE),
        ]

    return change


def planned(bench: Bench) -> tuple[Table, dict[str, Table]]:
    """Every customer's scores, and what each sync's next run would do."""
    with bench.business() as business, Pass.open(business, silent) as one_pass:
        scored(one_pass)
        scores = one_pass.workspace.execute("SELECT * FROM scores ORDER BY customer_key").to_arrow_table()
        plans = {}
        for sync in business.config.syncs:
            destination = open_destination(business.config, sync)
            plan(one_pass, sync, destination, None)
            destination.close()
            plans[sync.name] = one_pass.workspace.execute(
                "SELECT key, event_id, verdict, reason, fingerprint, currency, event_time, value"
                " FROM plan ORDER BY key"
            ).to_arrow_table()
        return scores, plans


def furthest(one: Table, other: Table, column: str) -> float:
    """The largest difference between two columns, row by row; they are null in the same rows."""
    left, right = (pc.cast(each[column], pa.float64()) for each in (one, other))
    assert pc.is_null(left).equals(pc.is_null(right))
    return float(pc.max(pc.abs(pc.subtract(left, right))).as_py() or 0.0)


def test_both_engines_come_to_the_same_and_all_of_it_arrives(
    tmp_path: Path, sandbox: Sandbox, clock: Clock, fresh_postgres_url: str
) -> None:
    customers, orders = shifted()
    assert (customers.num_rows, orders.num_rows) == (23_570, 69_659)
    assert orders.schema.field("value").type == MONEY
    latest = pc.max(orders["ordered_at"]).as_py()
    assert (
        timedelta(0)
        < clock.now - datetime.fromtimestamp(latest.timestamp(), clock.now.tzinfo)
        < timedelta(days=2)
    )
    addresses = {
        "duckdb": into_duckdb(tmp_path / "cdnow.duckdb", customers, orders),
        "postgres": into_postgres(fresh_postgres_url, customers, orders),
    }
    benches: dict[str, Bench] = {}
    for engine, address in addresses.items():
        folder = tmp_path / engine
        folder.mkdir()
        if benches:
            # The same key makes the same fingerprints.
            (folder / ENVIRONMENT).write_text((tmp_path / "duckdb" / ENVIRONMENT).read_text())
        benches[engine] = Bench(folder, Path(), sandbox, clock)
        benches[engine].configure(configuration(address))

    results = {engine: planned(bench) for engine, bench in benches.items()}
    (scores, plans), (other_scores, other_plans) = results["duckdb"], results["postgres"]
    # Purchases worth nothing are none: who made no other is no customer yet.
    bought = pc.count_distinct(orders.filter(pc.greater(orders["value"], 0))["customer_id"]).as_py()
    assert scores.num_rows == other_scores.num_rows >= bought > 23_000
    assert scores["customer_key"].equals(other_scores["customer_key"])
    for column in ("total_clv", "residual_clv", "realised_value"):
        assert furthest(scores, other_scores, column) < CENT
    for sync, rows in plans.items():
        same = [name for name in rows.column_names if name != "value"]
        assert rows.select(same).equals(other_plans[sync].select(same)), sync
        assert furthest(rows, other_plans[sync], "value") <= CENT

    held = {}
    for engine, bench in benches.items():
        bench.sandbox.state.reset()
        reports = {report.sync: report for report in bench.run()}
        for sync, report in reports.items():
            assert report.status == "done"
            going = pc.sum(pc.equal(plans[sync]["verdict"], "send")).as_py()
            assert report.counts["accepted"] + report.counts["pending"] == going > 300
            assert report.counts["read"] == plans[sync].num_rows
        bench.run(GOOGLE)
        bench.agree(GOOGLE, action=NOT_BID_ON_ACTION_ID)
        bench.agree(META)
        bench.agree(AUDIENCE)
        held[engine] = (
            {key: each.value for key, each in bench.conversions(NOT_BID_ON_ACTION_ID).items()},
            {key: each.content["custom_data"]["value"] for key, each in bench.events().items()},
            set(bench.members()),
        )
    assert held["duckdb"] == held["postgres"]
