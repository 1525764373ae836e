"""The demo, played: build the shop, start the sandbox, run every sync, let some hours pass, run again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from clvsync.config.loading import load
from clvsync.config.sections import GoogleEndpoints, MetaEndpoints
from clvsync.demo.changes import advance_shop
from clvsync.demo.configuration import write_configuration
from clvsync.demo.market import EXCHANGE_RATES
from clvsync.demo.shop import build_shop
from clvsync.demo.summary import Pass, SentValues
from clvsync.sync.business import Business
from clvsync.sync.opened import utc_now
from clvsync.sync.staging import Progress

if TYPE_CHECKING:
    from connectors.sandbox.server import Sandbox

SHOP = "shop.duckdb"
SEED = 7
_BETWEEN_RUNS = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Played:
    """What a demo has to show. `went_well`: every run ended well and the second sent less than the first."""

    passes: Sequence[Pass]
    sent: Sequence[SentValues]
    next_steps: Sequence[tuple[str, str]]

    @property
    def went_well(self) -> bool:
        first, second = self.passes
        return all(run["status"] == "done" for run in (*first.runs, *second.runs)) and all(
            0 < _sent(after) < _sent(before) for before, after in zip(first.runs, second.runs, strict=True)
        )


def play(folder: Path, *, customers: int, say: Callable[[str], None], tell: Progress) -> Played:
    """Play it in `folder`, in place of what an earlier demo left there. `say` gets a sentence a step."""
    from connectors.sandbox.server import Sandbox

    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "state", ignore_errors=True)
    say(f"Building a shop of {customers:,} customers …")
    build_shop(folder / SHOP, customers=customers, seed=SEED, now=utc_now() - _BETWEEN_RUNS)
    with Sandbox() as sandbox:
        certificate = folder / "sandbox-certificate.pem"
        shutil.copyfile(sandbox.certificate, certificate)
        path = write_configuration(
            folder,
            google=GoogleEndpoints(ads=sandbox.ads_endpoint, data_manager=sandbox.http_url),
            meta=MetaEndpoints(graph=sandbox.http_url),
            certificate=certificate,
            shop=SHOP,
        )
        say(f"The sandbox stands in for Google and Meta at {sandbox.http_url}. First run …")
        first = _run(path, "First run", tell)
        changed = advance_shop(folder / SHOP, seed=SEED, now=utc_now())
        say(
            f"Four hours pass: {changed.new_customers} new customers, {changed.repeat_orders} repeat orders, "
            f"{changed.refunds} refunds, {changed.consent_withdrawals} consents withdrawn, "
            f"{changed.corrected_emails + changed.corrected_phones} contacts corrected. Second run …"
        )
        second = _run(path, "Second run", tell)
        sent = [_values_at_google(sandbox, folder / SHOP)]
    return Played([first, second], sent, _next_steps(folder, path))


def _run(path: Path, title: str, tell: Progress) -> Pass:
    with Business.open(load(path)) as business:
        return Pass(title, [report.to_json() for report in business.run(tell=tell)])


def _values_at_google(sandbox: Sandbox, shop: Path) -> SentValues:
    """What the platform holds now, beside the revenue of the same orders."""
    from connectors.sandbox.google_state import GoogleState

    held = sandbox.state.part(GoogleState)
    values = {
        each.transaction_id: each.value
        for each in held.conversions.values()
        if each.transaction_id is not None and each.value is not None
    }
    with duckdb.connect(str(shop), read_only=True) as connection:
        rates = " ".join(f"WHEN '{code}' THEN {rate}" for code, rate in EXCHANGE_RATES.items())
        revenue = dict(
            connection.execute(
                f"SELECT order_id, net_revenue * CASE currency {rates} ELSE 1 END FROM orders"
            ).fetchall()
        )
    keys = list(values)
    return SentValues(
        "google-new-customers",
        "EUR",
        np.array([values[key] for key in keys]),
        np.array([float(revenue.get(key, "nan")) for key in keys]),
    )


def _sent(run: Any) -> int:
    return int(run["accepted"]) + int(run["pending"]) + int(run["removed"])


def _next_steps(folder: Path, path: Path) -> Sequence[tuple[str, str]]:
    config = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    command = f".venv/bin/clvsync {{}} -c {config}"
    with duckdb.connect(str(folder / SHOP), read_only=True) as connection:
        found = connection.execute(
            "SELECT customer_id FROM orders WHERE NOT is_test GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchone()
    customer = found[0] if found else "KEY"
    return [
        (command.format(f"explain {customer}"), "one customer, from the orders to what the platforms said"),
        (command.format("rejects list"), "the rows that were refused, and what to do"),
        (command.format("status"), "each sync, its last run and what waits"),
        (str(config), "the configuration, to make your own"),
    ]
