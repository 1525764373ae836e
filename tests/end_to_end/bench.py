"""The real chain between a sample shop and the sandbox, under one clock, and what each side holds after."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from clvsync.config.loading import load
from clvsync.plan import OUTCOMES
from clvsync.sync.business import Business
from clvsync.sync.chain import Fault
from clvsync.sync.report import RunReport
from connectors.sandbox.google_accounts import BID_ON_ACTION_ID, CUSTOMER_ID
from connectors.sandbox.google_state import Conversion, GoogleState
from connectors.sandbox.meta_state import KeptEvent, Member, MetaState
from connectors.sandbox.server import Sandbox
from connectors.sandbox.state import LoggedRequest
from tests.end_to_end.agent_process import configure
from tests.fakes import Clock

GOOGLE, META, AUDIENCE = "google-new-customers", "meta-purchases", "best-customers"
DATASET = "2001"
STATE = Path("state/clvsync.db")

_WRITES = ("/v1/events:ingest", "/events", "/users")
_MOST_RUNS = 12

Change = Callable[[dict[str, Any]], None]
"""Changes the configuration's YAML, read as a tree."""


@dataclass(frozen=True)
class Held:
    """One row as the ledger has it. `value` is what was tried last, `accepted` what the platform has."""

    key: str
    event_id: str
    state: str
    value: Decimal | None
    accepted: Decimal | None
    batch: int | None


@dataclass
class Bench:
    """A shop and a configuration in `folder`, sent to `sandbox`; waiting moves `clock` and takes no time."""

    folder: Path
    shop: Path
    sandbox: Sandbox
    clock: Clock
    path: Path = Path()

    def configure(self, change: Change = lambda _: None) -> Path:
        """Write clvsync.yaml: the demo's with short time-outs and `change`.

        Models are taken as they are, after a short trial: on so few customers it is a matter of luck.
        """

        def changed(tree: dict[str, Any]) -> None:
            for account in tree["accounts"].values():
                account["timeout"] = "20 seconds"
            tree["clv"] |= {"accept_unvalidated": True, "validation": {"cutoffs": 1}}
            change(tree)

        self.path = configure(self.folder, self.sandbox, self.shop, changed)
        return self.path

    @contextmanager
    def business(self) -> Iterator[Business]:
        def sleep(seconds: float) -> None:
            self.clock.forward(timedelta(seconds=seconds))

        with Business.open(load(self.path), self.clock, sleep) as business:
            yield business

    def run(self, *names: str) -> list[RunReport]:
        """One pass; the numbers of every run are added up, and no failure is a fault of our own."""
        with self.business() as business:
            reports = business.run(names or None)
        for report in reports:
            assert not isinstance(report.error, Fault), report.message
            adds_up(report.to_json())
        return reports

    def run_until_quiet(self, *names: str) -> list[list[RunReport]]:
        """Runs, hours apart, until one has nothing to send and nothing to ask after."""
        passes = []
        for _ in range(_MOST_RUNS):
            before = len(self.writes())
            passes.append(self.run(*names))
            self.clock.forward(timedelta(hours=1))
            if len(self.writes()) == before and not self.asked(
                "SELECT 1 FROM batches WHERE state IN ('planned', 'sent', 'pending')"
            ):
                return passes
        raise AssertionError(f"still sending after {_MOST_RUNS} runs: {passes[-1]}")

    def writes(self) -> list[LoggedRequest]:
        """Requests that carried rows, whatever became of them."""
        return [each for each in self.sandbox.state.requests() if each.path.endswith(_WRITES)]

    def conversions(self, action: str = BID_ON_ACTION_ID) -> dict[str, Conversion]:
        """Google's conversions on one action, by transaction id."""
        with self.sandbox.state.lock:
            held = self.sandbox.state.part(GoogleState).conversions
            return {
                str(transaction): conversion
                for (customer, of_action, transaction), conversion in held.items()
                if (customer, of_action) == (CUSTOMER_ID, action)
            }

    def events(self) -> dict[str, KeptEvent]:
        """Meta's events by event id, each of which it may count once."""
        with self.sandbox.state.lock:
            kept = list(self.sandbox.state.part(MetaState).datasets[DATASET].events)
        by_id = {str(event.content["event_id"]): event for event in kept}
        assert len(by_id) == len(kept), "Meta counts an event twice"
        return by_id

    def members(self, audience: str = AUDIENCE) -> dict[str, Member]:
        """An audience's members by external id."""
        with self.sandbox.state.lock:
            audiences = self.sandbox.state.part(MetaState).audiences.values()
            [found] = [each for each in audiences if each.name == audience]
            return {member.identifiers["EXTERN_ID"]: member for member in found.members.values()}

    def ledger(self, sync: str) -> dict[str, Held]:
        """A sync's rows by key."""
        rows = self.asked(
            "SELECT key, event_id, state, value, accepted_value, batch_id FROM entries"
            " JOIN streams ON streams.id = entries.stream_id WHERE sync = ?",
            sync,
        )
        return {
            key: Held(key, event_id, state, _amount(value), _amount(accepted), batch)
            for key, event_id, state, value, accepted, batch in rows
        }

    def asked(self, query: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """Rows of a query over the ledger's file."""
        with closing(sqlite3.connect(f"file:{self.folder / STATE}?mode=ro", uri=True)) as connection:
            return connection.execute(query, parameters).fetchall()

    def agree(self, sync: str = GOOGLE, *, action: str = BID_ON_ACTION_ID) -> None:
        """The platform holds what the ledger says it has taken, each row once, at its latest value."""
        ledger = [row for row in self.ledger(sync).values() if row.accepted is not None]
        told = {row.event_id: float(row.accepted or 0) for row in ledger}
        assert len(told) == len(ledger), "two rows share an id"
        if sync == GOOGLE or action != BID_ON_ACTION_ID:
            held = {key: each.value for key, each in self.conversions(action).items()}
        elif sync == META:
            held = {key: each.content["custom_data"]["value"] for key, each in self.events().items()}
        else:
            held = {key: each.value for key, each in self.members().items()}
        assert held == told


def adds_up(run: dict[str, Any]) -> None:
    """Every row that a run read is in exactly one of its numbers."""
    assert run["read"] == sum(run[outcome] for outcome in OUTCOMES), run
    assert 0 <= run["restated"] <= run["accepted"] + run["pending"]
    assert min(run[outcome] for outcome in OUTCOMES) >= 0


def _amount(stored: int | None) -> Decimal | None:
    return None if stored is None else Decimal(stored) / 10_000
