"""The main job on a million orders: rows a second for each stage, and the peak memory of the agent's process.

`python -m tests.benchmarks.main_job [ORDERS]`. A run in a process of its own reads a DuckDB file and sends
conversions to Google, events and an audience to Meta, into a server that only counts (`sink`). Beside it, in
the same run: DuckDB's own answer to the same summary, hashlib over the same number of identifiers, and a
plain loop of `requests` that posts bodies of the same size to the same server.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psutil
import requests
import yaml

from tests.benchmarks import big_shop

ORDERS = 1_000_000
AGENT = "tests.benchmarks.main_job"
SUMMARY = """
    SELECT customer_id, min(ordered_at), max(ordered_at), count(*), count(DISTINCT ordered_at::DATE),
        sum(net_revenue), arg_min(channel, ordered_at), arg_min(net_revenue, ordered_at)
    FROM orders WHERE net_revenue > 0 GROUP BY customer_id
"""
IDENTIFIERS_A_ROW = 6
"""E-mail, phone, two names, city and postcode: what is hashed of each row that is sent."""


def configuration(folder: Path, shop: Path, port: int) -> Path:
    """The three syncs of the demo, on the big shop, sent to the sink."""
    url = f"http://127.0.0.1:{port}"
    token = {"access_token": "none"}
    conversions = {"from": "orders", "carries": "acquisition", "sent_by": "us"}
    identity = ("email", "phone", "first_name", "last_name", "city", "postcode", "country")
    of_order = ("currency", "channel", "gclid", "click_time", "fbp", "client_ip", "user_agent", "page_url")
    tree = {
        "business": {"name": "Big shop", "currency": "EUR", "timezone": "Europe/Berlin"},
        "state": {"url": f"sqlite:///{folder}/state/clvsync.db", "key": secrets.token_hex(16)},
        "warehouse": {"url": f"duckdb:///{shop}"},
        "tables": {
            "customers": {"from": "customers", "key": "customer_id", "consent": "consent"}
            | {name: name for name in identity},
            "orders": {"from": "orders", "key": "order_id", "customer": "customer_id", "time": "ordered_at"}
            | {"value": "net_revenue"}
            | {name: name for name in of_order},
        },
        "clv": {"horizon": "365 days", "margin": "0.4", "discount_rate": "0.1"},
        "accounts": {
            "google": {
                "customer_id": "1234567890",
                "credentials": token,
                "endpoints": {"data_manager": url, "ads": "localhost:1"},
            },
            "meta": {"ad_account": "act_1001", "dataset": "2001", **token, "endpoints": {"graph": url}},
        },
        "syncs": [
            {"name": "google-new-customers", "to": "google.conversions", "conversion_action": "987"}
            | conversions
            | {"value": {"policy": "scaled", "cap": "p99"}},
            {"name": "meta-orders", "to": "meta.events"} | conversions | {"carries": "increment"},
            {"name": "best-customers", "from": "customers", "to": "meta.audience"}
            | {"where": "residual_clv >= p80", "value_based": True},
        ],
    }
    path = folder / "clvsync.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


@dataclass
class Observer:
    """Gives the time between two tellings to the stage that the second one tells of."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    rows: dict[str, int] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    """The most that was resident when a stage was told of, in MB."""
    _last: float = field(default_factory=time.perf_counter)
    _before: int = 0
    _stage: str = ""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        if stage != self._stage or done < self._before:
            self._before = 0
        self.rows[stage] = self.rows.get(stage, 0) + done - self._before
        self._last, self._before, self._stage = now, done, stage
        resident = psutil.Process().memory_info().rss / 1e6
        self.memory[stage] = max(self.memory.get(stage, 0.0), resident)


def agent(config: Path) -> None:
    """What `clvsync run` does, with an observer: prints what it saw as JSON."""
    started = time.perf_counter()
    from clvsync.config.loading import load
    from clvsync.sync.business import Business

    observer = Observer(_last=started)
    with Business.open(load(config)) as business:
        observer("starting", 0, None)
        reports = business.run(tell=observer)
    print(
        json.dumps(
            {
                "seconds": observer.seconds,
                "rows": observer.rows,
                "memory": observer.memory,
                "whole": time.perf_counter() - started,
                "runs": [report.to_json() for report in reports],
            },
            default=str,
        )
    )


def measured(*command: str, rejects: bool = False) -> tuple[str, float, float]:
    """Run it: what it printed, the seconds it took and its peak memory in MB. `rejects`: its exit code may
    say that rows were refused.

    Linux counts what this process holds as the child's from before it became another program: keep it small.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ((0, 1) if rejects else (0,)):
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return printed, time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


@contextmanager
def sink() -> Iterator[int]:
    """The port of a sink that serves as long as the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.sink"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def duckdb_alone(shop: Path) -> float:
    """Seconds of DuckDB's own summary of the orders, written into a table."""
    started = time.perf_counter()
    with duckdb.connect(config={"memory_limit": "512MB"}) as connection:
        connection.execute(f"ATTACH '{shop}' AS shop (READ_ONLY)")
        connection.execute("USE shop")
        connection.execute(f"CREATE TABLE memory.summary AS {SUMMARY}")
    return time.perf_counter() - started


def hashlib_alone(rows: int) -> float:
    """Seconds of SHA-256 over `rows` rows of identifiers that are ready to be hashed."""
    texts = [f"person.{number}@example.com".encode() for number in range(rows * IDENTIFIERS_A_ROW)]
    started = time.perf_counter()
    for text in texts:
        hashlib.sha256(text).hexdigest()
    return time.perf_counter() - started


def requests_alone(port: int, posts: int, size: int) -> float:
    """Seconds of `posts` requests with a body of `size` bytes that is there already."""
    body = b"x" * size
    started = time.perf_counter()
    with requests.Session() as session:
        for _ in range(posts):
            session.post(f"http://127.0.0.1:{port}/v1/events:ingest", data=body, timeout=60)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else ORDERS
    with tempfile.TemporaryDirectory(prefix="clvsync-benchmark-") as name, sink() as port:
        folder = Path(name)
        shop = folder / "shop.duckdb"
        customers = int(measured(sys.executable, "-m", big_shop.__name__, str(shop), str(orders))[0])
        config = configuration(folder, shop, port)
        print(f"{orders:,} orders of {customers:,} customers, {shop.stat().st_size / 1e6:,.0f} MB")
        printed, _, peak = measured(sys.executable, "-m", AGENT, "agent", str(config))
        found = json.loads(printed)
        taken = requests.get(f"http://127.0.0.1:{port}/taken", timeout=10).json()
        sent = sum(each["accepted"] + each["pending"] for each in found["runs"])
        size = taken["bytes"] // max(taken["requests"], 1)
        peers = {
            "summarising": ("DuckDB alone", duckdb_alone(shop)),
            "hashing": (f"hashlib, {IDENTIFIERS_A_ROW} a row", hashlib_alone(sent)),
            "sending": (
                f"requests, {size / 1e3:,.0f} kB each",
                requests_alone(port, taken["requests"], size),
            ),
        }
        show(found, orders, sent, peers)
        print(f"peak memory of the first run: {peak:,.0f} MB\n")
        clvsync = str(Path(sys.executable).with_name("clvsync"))
        _, seconds, peak = measured(clvsync, "run", "--json", "-c", str(config), rejects=True)
        print(f"`clvsync run` again, nothing to send: {seconds:.1f} s, peak memory {peak:,.0f} MB")


def show(found: dict[str, Any], orders: int, sent: int, peers: dict[str, tuple[str, float]]) -> None:
    """A line a stage: rows, seconds, rows a second, and the peer."""
    for run in found["runs"]:
        counts = {name: run[name] for name in ("read", "accepted", "pending", "skipped", "rejected", "held")}
        print(f"  {run['sync']:<24}{run['status']:<8}{ {k: v for k, v in counts.items() if v} }")
    lines: list[tuple[str, int, float]] = []
    for stage, seconds in found["seconds"].items():
        rows = orders if stage == "summarising" else found["rows"][stage]
        lines.append((stage, rows, seconds))
    delivered = sum(seconds for stage, seconds in found["seconds"].items() if stage.startswith("sending"))
    lines += [("sending, all three", sent, delivered), ("the whole run", orders, found["whole"])]
    print(f"\n{'stage':<32}{'rows':>11}{'seconds':>9}{'rows/s':>12}{'MB':>7}  beside")
    for stage, rows, seconds in lines:
        rate = rows / seconds if seconds else 0.0
        memory = f"{found['memory'][stage]:>7,.0f}" if stage in found["memory"] else " " * 7
        beside = ""
        if stage == "summarising":
            peer, alone = peers["summarising"]
            beside = f"{peer}: {alone:.2f} s ({seconds / alone:.1f} times as long)"
        print(f"{stage:<32}{rows:>11,}{seconds:>9.2f}{rate:>12,.0f}{memory}  {beside}")
    for name in ("hashing", "sending"):
        peer, alone = peers[name]
        print(f"  of the sending, {peer} would take {alone:.2f} s ({delivered / alone:.1f} times less)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["agent"]:
        agent(Path(sys.argv[2]))
    else:
        main()
