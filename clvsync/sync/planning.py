"""What a run is about to do: its rows staged, valued, and judged against the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from clvsync.config.sections import Sync
from clvsync.plan import Judgement, Limits, Plan, difference, judge
from clvsync.sync import staging
from clvsync.sync.fitting import scored
from clvsync.sync.models import why_held
from clvsync.sync.passes import Pass
from clvsync.sync.streams import Sent, stream_of
from clvsync.value.effect import Spread, spread
from connectors.types import Destination

_NO_STREAM = -1
"""Of a sync that never ran: it has no entries."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What a run is about to do, and whether the brakes let it. `model_held`: why the model behind the values
    may not be sent with, "" where it may. `spread` is of every row that may go;
    `revenue` (business's currency) and `value` (in `sent`) are sums over the rows that are to be sent."""

    plan: Plan
    judgement: Judgement
    spread: Spread | None
    revenue: Decimal
    value: Decimal
    sent: Sent
    model_held: str = ""


def plan(one_pass: Pass, sync: Sync, destination: Destination, stream_id: int | None) -> Planned:
    """Stage the sync's rows, value them, and judge them against the ledger and its history.

    `stream_id` None: the sync never ran. The rows are in the workspace's tables `rows` and `plan`.
    """
    business, config, workspace = one_pass.business, one_pass.business.config, one_pass.workspace
    scored(one_pass)
    ledger, entries_of = business.ledger, _NO_STREAM if stream_id is None else stream_id
    stream = stream_of(one_pass, sync, destination)
    if stream.stage.stays is not None:
        staging.read_members(workspace, ledger.entries_reader(entries_of))
    staging.read(workspace, business.source, stream.query(one_pass, in_clear=False, keys=None), one_pass.tell)
    staging.value(
        workspace,
        stream.stage,
        destination,
        valuer=stream.valuer(one_pass),
        currency=stream.sent.currency,
        salt=business.salt,
        now=one_pass.now,
        tell=one_pass.tell,
    )
    found = difference(workspace, ledger.entries_reader(entries_of), stream.rules, one_pass.now)
    judgement = Judgement()
    if config.brakes.enabled and stream_id is not None:
        judgement = judge(
            workspace,
            found,
            ledger.entries_reader(stream_id),
            one_pass.now,
            zone=config.business.timezone,
            limits=Limits(times=config.brakes.times),
        )
    wanted = workspace.execute("SELECT value FROM rows WHERE reason IS NULL").to_arrow_table()
    value, revenue = workspace.execute(
        """
        SELECT coalesce(sum(plan.value), 0), coalesce(sum(rows.order_value), 0)
        FROM plan JOIN rows ON plan.key = rows.key AND plan.event_id = rows.event_id
        WHERE plan.action IS NOT NULL AND NOT plan.absent
        """
    ).fetchone()
    return Planned(
        plan=found,
        judgement=judgement,
        spread=spread(wanted["value"]),
        revenue=Decimal(revenue),
        value=Decimal(value),
        sent=stream.sent,
        model_held=why_held(business, sync) if found.rows_to_do else "",
    )
