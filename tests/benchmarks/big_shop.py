"""A shop of any size in a DuckDB file, made in columns: people that do not exist, with identifiers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

CUSTOMERS_PER_ORDER = 0.4
DAYS = 365.0
"""How long the shop has been open; customers come evenly, and those who come back do so at gamma rates."""

_CUSTOMERS = """
    CREATE TABLE customers AS
    SELECT
        format('C{:08d}', number) AS customer_id,
        format('Person.{}@Example.com', number) AS email,
        format('+4930{:08d}', number) AS phone,
        ['Anna', 'Zoë', 'Mary Jane', 'Jürgen', 'José', 'Li', 'Valéry'][number % 7 + 1] AS first_name,
        ['Müller', 'O''Neil', 'Smith', 'García', 'Nowak'][number % 5 + 1] || number % 1000 AS last_name,
        ['Berlin', 'Hamburg', 'München', 'Köln'][number % 4 + 1] AS city,
        format('{:05d}', 10000 + number % 80000) AS postcode,
        'DE' AS country,
        number % 10 < 9 AS consent
    FROM range($customers) AS numbers(number)
"""
_ORDERS = """
    CREATE TABLE orders AS
    SELECT
        format('O{:09d}', row_number() OVER (ORDER BY placed)) AS order_id,
        format('C{:08d}', customer) AS customer_id,
        make_timestamptz(placed) AS ordered_at,
        value::DECIMAL(12, 2) AS net_revenue,
        'EUR' AS currency,
        ['google', 'meta', 'email', 'direct'][customer % 4 + 1] AS channel,
        CASE customer % 4 WHEN 0 THEN md5(placed::VARCHAR) || md5(customer::VARCHAR) END AS gclid,
        CASE customer % 4 WHEN 0 THEN make_timestamptz(placed - 3600000000) END AS click_time,
        format('fb.1.{}.{}', placed // 1000, 1000000000 + customer) AS fbp,
        format('10.{}.{}.{}', customer // 65536 % 256, customer // 256 % 256, customer % 256) AS client_ip,
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36' AS user_agent,
        'https://shop.example/thanks' AS page_url
    FROM made ORDER BY placed
"""


def build(path: Path, orders: int, now: datetime, *, seed: int = 1) -> int:
    """Exactly `orders` orders until `now`; the number of customers. Each has one, some have many."""
    rng = np.random.default_rng(seed)
    customers = int(orders * CUSTOMERS_PER_ORDER)
    age = rng.uniform(0.0, DAYS, customers)
    active = np.minimum(age, rng.exponential(DAYS / 2, customers))
    repeats = orders - customers
    expected = rng.gamma(0.3, 1.0, customers) * active
    cumulated = np.cumsum(expected)
    who = np.searchsorted(cumulated, rng.uniform(0.0, cumulated[-1], repeats))
    days_ago = np.concatenate([age, age[who] - rng.uniform(0.0, 1.0, repeats) * active[who]])
    mean = rng.lognormal(4.0, 0.6, customers)
    customer = np.concatenate([np.arange(customers), who])
    made = pa.table(
        {
            "customer": customer,
            "placed": int(now.timestamp() * 1e6) - (days_ago * 86_400e6).astype(np.int64) - 60_000_000,
            "value": np.round(mean[customer] * rng.gamma(4.0, 0.25, orders) + 1.0, 2),
        }
    )
    with duckdb.connect(str(path)) as connection:
        connection.register("made", made)
        connection.execute("SET memory_limit = '2GB'")
        connection.execute(_CUSTOMERS, {"customers": customers})
        connection.execute(_ORDERS)
    return customers


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), int(sys.argv[2]), datetime.now(UTC)))
