"""Killed at any moment and started again, the agent ends where one ends that was never killed.

Four rounds in the quick test; the slow one has ten, or as many as CLVSYNC_KILL_ROUNDS says.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from clvsync.config.loading import load
from clvsync.demo.changes import advance_shop
from clvsync.demo.shop import build_shop
from clvsync.ledger import EntryState
from clvsync.sync.business import Business
from clvsync.sync.opened import utc_now
from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.meta_state import MetaState
from connectors.sandbox.server import Sandbox
from tests.end_to_end.agent_process import LEDGER, asked, configure, opened, start

Rows = list[tuple[Any, ...]]

FEW_ROUNDS = 4
MANY_ROUNDS = int(os.environ.get("CLVSYNC_KILL_ROUNDS", "10"))
CUSTOMERS = 4_000
SEED = 20261122
LATE = 0.3
"""Seconds by which every answer to what is sent comes late, so that a kill may fall before it."""

NEW_CUSTOMERS, MARGINS = "google-new-customers", "google-margins"
PURCHASES, ORDERS = "meta-purchases", "meta-orders"
BEST, RETURNING = "best-customers", "returning-customers"
ACTIONS = {NEW_CUSTOMERS: "987", MARGINS: "988"}
EVENTS = {PURCHASES: "Purchase", ORDERS: "Lead"}


def several_syncs(tree: dict[str, Any]) -> None:
    """Six syncs, so that there are many requests to be killed in; every move of a value is sent."""
    of_orders = {"from": "orders", "carries": "increment", "sent_by": "us"}
    # Each advance of the shop puts hours of orders on one day, which the brakes rightly take for a bad one.
    tree["brakes"] = {"enabled": False}
    new_customers, purchases, best = tree["syncs"]
    new_customers["restate"] = {"after": "0%"}
    best["tolerance"] = "0%"
    tree["syncs"] = [
        new_customers,
        {"name": MARGINS, **of_orders, "to": "google.conversions", "conversion_action": ACTIONS[MARGINS]},
        purchases,
        {"name": ORDERS, **of_orders, "to": "meta.events", "event": EVENTS[ORDERS]},
        best,
        {"name": RETURNING, "from": "customers", "to": "meta.audience", "where": "orders >= 2"},
    ]


class Kills:
    """Starts runs and kills them: in turn at a random moment from the start of the process, while a request
    is under way, soon after a run has begun, and again while a request is under way. `fell` counts the kills
    by what they left."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._random = random.Random(SEED)
        self._longest = 4.0
        self.fell: Counter[str] = Counter()

    def one(self, number: int) -> None:
        before = self._open()
        process = start(self._config, "run")
        awaited, seconds = (
            (None, self._longest),
            ("sent", 1.5 * LATE),
            ("running", self._longest / 2),
            ("sent", 1.5 * LATE),
        )[number % 4]
        while awaited and process.poll() is None and not self._new(before, awaited):
            time.sleep(0.003)
        self._wait(process, self._random.uniform(0.0, seconds))
        if process.poll() is None:
            process.kill()
            process.wait()
            found = [state for state in ("running", "planned", "sent") if self._new(before, state)]
            fell = FELL[found[-1] if found else ""]
        else:
            assert process.returncode in (0, 1), (self._config.parent / "output").read_text(encoding="utf-8")
            fell = OVER
        self.fell[fell] += 1
        # Machines differ: the random moments follow what is found.
        self._longest *= {FELL[""]: 1.5, OVER: 0.7}.get(fell, 1.0)

    def _wait(self, process: subprocess.Popen[str], seconds: float) -> None:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def _open(self) -> Rows:
        """Runs and batches that are under way."""
        return asked(
            self._config.parent,
            """
            SELECT status, id, 0 FROM runs WHERE status = 'running'
            UNION ALL SELECT state, id, attempts FROM batches WHERE state IN ('planned', 'sent')
            """,
        )

    def _new(self, before: Rows, state: str) -> bool:
        """Whether there are some in `state` that an earlier kill did not leave."""
        return any(row[0] == state and row not in before for row in self._open())


OVER = "after the end"
FELL = {
    "": "before a run",
    "running": "with no batch open",
    "planned": "with a batch written",
    "sent": "with a request under way",
}


@dataclass(frozen=True)
class Agent:
    """A configuration, and the platforms that it sends to."""

    config: Path
    sandbox: Sandbox

    def conversions(self, sync: str) -> dict[str, Any]:
        """Google's conversions of a sync, by transaction id."""
        held = self.sandbox.state.part(GoogleState).conversions
        return {key: each for (_, action, key), each in held.items() if action == ACTIONS[sync]}

    def events(self, sync: str) -> dict[str, dict[str, Any]]:
        """Meta's events of a sync, by event id."""
        (dataset,) = self.sandbox.state.part(MetaState).datasets.values()
        sent = [kept.content for kept in dataset.events if kept.content["event_name"] == EVENTS[sync]]
        found = {event["event_id"]: event for event in sent}
        assert len(found) == len(sent), "an event is counted twice"
        return found

    def members(self, sync: str) -> dict[str, float | None]:
        """The members of a sync's audience, by key, with their values."""
        audiences = self.sandbox.state.part(MetaState).audiences.values()
        (audience,) = (each for each in audiences if each.name == sync)
        found = {each.identifiers["EXTERN_ID"]: each.value for each in audience.members.values()}
        assert len(found) == len(audience.members), "a member is counted twice"
        return found

    def accepted(self, sync: str) -> Rows:
        """What the ledger says that the platform has: key, event id, value."""
        of_sync = f"""
            SELECT key, event_id, accepted_value FROM entries JOIN streams ON streams.id = stream_id
            WHERE sync = '{sync}' AND state = 'accepted'
        """
        return [
            (key, event_id, None if value is None else Decimal(value).scaleb(-4))
            for key, event_id, value in asked(self.config.parent, of_sync)
        ]


@pytest.mark.timeout(300 + 30 * MANY_ROUNDS)
@pytest.mark.parametrize("rounds", [FEW_ROUNDS, pytest.param(MANY_ROUNDS, marks=pytest.mark.slow, id="many")])
def test_killed_and_started_again_it_ends_where_one_ends_that_was_never_killed(
    tmp_path: Path, rounds: int
) -> None:
    shop = tmp_path / "shop.duckdb"
    build_shop(shop, customers=CUSTOMERS, seed=SEED, now=utc_now() - timedelta(hours=4))
    with Sandbox() as sandbox:
        killed = Agent(configure(tmp_path / "killed", sandbox, shop, several_syncs), sandbox)
        for path in ("/events", "/users"):
            sandbox.faults.add(Fault(FaultKind.SLOW, path=path, times=None, delay_seconds=LATE))
        kills = Kills(killed.config)
        for number in range(rounds):
            kills.one(number)
            if number % 3 == 2:
                advance_shop(shop, seed=SEED + number, now=utc_now())
        sandbox.faults.clear()
        print(f"\n{rounds} runs killed {dict(kills.fell)}")
        day = None
        while day != today():
            # Worth moves with the day: both have to end on the same one.
            day = today()
            run_until_quiet(killed.config)
            spared = never_killed(tmp_path / "spared", killed, shop)

    assert kills.fell[FELL["sent"]] >= rounds // 4, "too few kills fell into sends"
    assert kills.fell.total() - kills.fell[OVER] >= rounds // 2, "too few runs were killed"
    look_at_ledger(killed, runs_killed=sum(kills.fell[FELL[each]] for each in ("running", "planned", "sent")))
    withdrawn, customers = withdrawn_and_customers(shop)
    for sync in ACTIONS:
        look_at_google(killed, spared, sync, withdrawn, customers)
    for sync in EVENTS:
        look_at_meta(killed, spared, sync, withdrawn, customers)
    for sync in (BEST, RETURNING):
        look_at_audience(killed, spared, sync)
    look_at_returning(killed, shop)


def today() -> date:
    return datetime.now(ZoneInfo("Europe/Berlin")).date()


def run_until_quiet(config: Path) -> None:
    """Run until a run has nothing to do."""
    for _ in range(4):
        with Business.open(load(config)) as business:
            reports = business.run()
        assert {report.status for report in reports} == {"done"}, [report.message for report in reports]
        moves = ("accepted", "pending", "removed", "held")
        if not any(report.earlier or report.counts[name] for report in reports for name in moves):
            return
    pytest.fail("it sends something on every run")


def never_killed(folder: Path, killed: Agent, shop: Path) -> Agent:
    """An agent that starts from nothing but the same models and key, runs in peace, and has platforms of its
    own (stopped, to be read)."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / LEDGER).parent.mkdir(parents=True)
    shutil.copyfile(killed.config.parent / ".env", folder / ".env")
    with closing(sqlite3.connect(folder / LEDGER)) as copy:
        with closing(sqlite3.connect(killed.config.parent / LEDGER)) as original:
            original.backup(copy)
        for table in ("entries", "batches", "runs", "streams"):
            copy.execute(f"DELETE FROM {table}")
        copy.commit()
    with Sandbox() as sandbox:
        config = configure(folder, sandbox, shop, several_syncs)
        run_until_quiet(config)
    return Agent(config, sandbox)


def withdrawn_and_customers(shop: Path) -> tuple[set[str], dict[str, str]]:
    """Customers who have said no, and the customer of each order."""
    with duckdb.connect(str(shop), read_only=True) as connection:
        no = connection.execute("SELECT customer_id FROM customers WHERE consent_ad_user_data = false")
        withdrawn = {key for (key,) in no.fetchall()}
        orders = connection.execute("SELECT order_id, customer_id FROM orders").fetchall()
    return withdrawn, dict(orders)


def look_at_ledger(killed: Agent, *, runs_killed: int) -> None:
    with opened(killed.config) as ledger:
        assert ledger.verify() == []
    states = {state for (state,) in asked(killed.config.parent, "SELECT DISTINCT state FROM entries")}
    assert states <= {EntryState.ACCEPTED, EntryState.REMOVED, EntryState.REJECTED}
    assert not asked(killed.config.parent, "SELECT 1 FROM runs WHERE status = 'running'")
    failed = asked(killed.config.parent, "SELECT message FROM runs WHERE status <> 'done'")
    assert len(failed) == runs_killed
    assert all("ended before it did" in message for (message,) in failed)


def look_at_google(
    killed: Agent, spared: Agent, sync: str, withdrawn: set[str], customers: dict[str, str]
) -> None:
    held, expected = killed.conversions(sync), spared.conversions(sync)
    ledger = {event_id: value for _, event_id, value in killed.accepted(sync)}
    assert held
    assert {key: money(each.value) for key, each in held.items()} == ledger
    assert not any(told.stale or told.ignored for each in held.values() for told in each.history)
    assert set(expected) <= set(held), "a conversion is lost"
    oldest = min(each.event_at for each in expected.values())
    for key in set(held) - set(expected):
        # Sent while it could be; one that starts today can send it no more.
        assert customers[key] in withdrawn or held[key].event_at < oldest
    if sync == NEW_CUSTOMERS:
        owners = Counter(customers[key] for key in held)
        assert owners.most_common(1)[0][1] == 1, "a customer was acquired twice"
    restated = load(killed.config).sync(sync).restate.within  # type: ignore[union-attr]
    latest = {key: each for key, each in expected.items() if each.event_at >= utc_now() - restated}
    assert latest
    assert {key: held[key].value for key in latest} == {key: each.value for key, each in latest.items()}


def look_at_meta(
    killed: Agent, spared: Agent, sync: str, withdrawn: set[str], customers: dict[str, str]
) -> None:
    held, expected = killed.events(sync), spared.events(sync)
    ledger = {event_id: value for _, event_id, value in killed.accepted(sync)}
    assert held
    assert {key: money(event["custom_data"]["value"]) for key, event in held.items()} == ledger
    assert set(expected) <= set(held), "an event is lost"
    oldest = min(event["event_time"] for event in expected.values())
    for key in set(held) - set(expected):
        assert customers[key] in withdrawn or held[key]["event_time"] < oldest


def look_at_audience(killed: Agent, spared: Agent, sync: str) -> None:
    held = killed.members(sync)
    assert held
    assert held == spared.members(sync)
    assert set(held) == {key for key, _, _ in killed.accepted(sync)}


def look_at_returning(killed: Agent, shop: Path) -> None:
    """The audience against its definition, written down once more in the shop's own terms."""
    with duckdb.connect(str(shop), read_only=True) as connection:
        found = connection.execute(
            """
            SELECT customer_id, contains(email, '@') AND contains(email, '.') FROM customers
            WHERE NOT is_test
                AND coalesce(consent_ad_user_data, upper(country) IN ('US', 'USA', 'UNITED STATES'))
                AND coalesce(consent_ad_personalization, upper(country) IN ('US', 'USA', 'UNITED STATES'))
                AND 2 <= (
                    SELECT count(*) FROM orders
                    WHERE orders.customer_id = customers.customer_id
                        AND net_revenue > 0 AND NOT orders.is_test
                )
            """
        ).fetchall()
    held = set(killed.members(RETURNING))
    defined = {key for key, _ in found}
    assert held <= defined
    without_address = {key for key, has_address in found if not has_address}
    assert defined - held <= without_address


def money(value: float) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.0001"))
