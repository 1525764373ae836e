"""The sample shop Northwind Outdoor: a seeded simulation in an embedded DuckDB file.

Tables `customers`, `orders` and `ad_spend` are what a shop has; `truth` and `truth_parameters` hold what the
simulation knows and no configuration reads: every person's nature and expected total CLV. Assumptions stand
in market.py, the process and its formulas in purchasing.py, what is wrong with the data in dirt.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np

from clvsync.demo import dirt, orders, purchasing
from clvsync.demo.changes import ChangeFacts, advance_shop
from clvsync.demo.identities import identities
from clvsync.demo.market import Columns
from clvsync.demo.purchasing import Acquisitions, days
from clvsync.demo.spend import ad_spend
from clvsync.demo.tables import TABLES, create, keys, stacked, taken, text
from clvsync.demo.truth import truth_parameters, truth_rows

__all__ = ["ChangeFacts", "ShopFacts", "advance_shop", "build_shop"]

TEST_CUSTOMERS = 0.002


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What was built. `people` have one key or two; `customers` and `orders` are rows of the tables.

    `first_orders` counts those of the last 7, 60 and 90 days (Meta's window, the weeks in which Google
    restates, Google's longest click window). `dirt` counts what is wrong, by kind. Amounts in EUR.
    """

    people: int
    customers: int
    orders: int
    first_orders: Mapping[int, int]
    mean_first_value: float
    mean_total_clv: float
    dirt: Mapping[str, int]


def build_shop(path: Path, *, customers: int = 24_000, seed: int = 7, now: datetime) -> ShopFacts:
    """Simulate two years that end at `now` (aware) and write them to `path`, replacing what is there.

    `customers` is the number of people. The same arguments give the same rows.
    """
    draw = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]
    numbers = np.arange(1, customers + 1)
    acquired = purchasing.acquire(draw[0], purchasing.arrival_times(draw[0], customers, now))
    nature = purchasing.natures(draw[1], acquired)
    first_value = purchasing.order_values(
        draw[1], nature.mean_value, acquired.category, acquired.discounted, repeat=False
    )
    ids = keys("C", numbers, 6)
    people: Columns = {
        "customer_id": ids,
        "created_at": acquired.at - days(draw[2].exponential(0.2, customers)),
        **identities(draw[2], acquired.country, numbers, {}),
        "is_test": np.full(customers, False),
    }
    struck = dirt.soil_customers(draw[3], people)
    testers, test_orders = _testers(draw[3], acquired, customers)
    samples = orders.samples(draw[4], ids, acquired)
    people["created_at"][np.searchsorted(ids, samples["customer_id"])] = samples["ordered_at"]
    sales = stacked(
        orders.first_orders(draw[4], ids, acquired, first_value),
        orders.history(draw[4], ids, acquired, nature, now),
        samples,
        test_orders,
    )
    sales = orders.numbered(sales, 1)
    start = customers + len(testers["customer_id"]) + 1
    second_ids = keys("C", np.arange(start, start + max(1, round(customers * dirt.SECOND_KEYS))), 6)
    seconds = dirt.second_keys(draw[3], people, sales, second_ids)
    struck |= dirt.soil_orders(draw[3], sales, now)
    returned = orders.drawn_refunds(draw[5], sales, now)
    sales = stacked(sales, returned)
    twice = dirt.loaded_twice(draw[3], sales)
    struck |= {
        "second_keys": len(seconds["customer_id"]),
        "refunds": len(returned["order_id"]),
        "zero_orders": int((sales["net_revenue"] == 0).sum()),
        "test_orders": len(test_orders["customer_id"]),
        "orders_loaded_twice": len(twice["order_id"]),
    }
    sales = stacked(sales, twice)
    truth = truth_rows(ids, acquired, nature, first_value)
    truth["second_key"][np.searchsorted(ids, seconds["first_key"])] = seconds["customer_id"]
    tables = {
        "customers": stacked(people, testers, seconds),
        "orders": taken(sales, np.argsort(sales["order_id"], kind="stable")),
        "ad_spend": ad_spend(draw[5], customers, now),
        "truth": truth,
        "truth_parameters": truth_parameters(),
    }
    _write(path, tables)
    age = (purchasing.instant(now) - acquired.at) / np.timedelta64(1, "D")
    return ShopFacts(
        people=customers,
        customers=len(tables["customers"]["customer_id"]),
        orders=len(sales["order_id"]),
        first_orders={window: int((age <= window).sum()) for window in (7, 60, 90)},
        mean_first_value=float(first_value.mean()),
        mean_total_clv=float(truth["total_clv"].mean()),
        dirt=struck,
    )


def _testers(rng: np.random.Generator, acquired: Acquisitions, customers: int) -> tuple[Columns, Columns]:
    """Customers that the shop's own people made to try things out, and an order of each."""
    size = max(2, round(customers * TEST_CUSTOMERS))
    numbers = np.arange(customers + 1, customers + 1 + size)
    rows = np.sort(rng.choice(customers, size, replace=False))
    ids, at, country = keys("C", numbers, 6), acquired.at[rows], acquired.country[rows]
    testers: Columns = {
        "customer_id": ids,
        "created_at": at,
        **identities(rng, country, numbers, {}),
        "is_test": np.full(size, True),
    }
    testers["email"] = "test+" + text(numbers) + "@example.com"
    testers["phone"] = np.full(size, None, dtype=object)
    testers["first_name"] = np.full(size, "Test", dtype=object)
    return testers, orders.test_orders(rng, ids, country, at)


def _write(path: Path, tables: Mapping[str, Columns]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in (path, path.with_name(path.name + ".wal")):
        old.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as connection:
        for name in TABLES:
            create(connection, name, tables[name])
