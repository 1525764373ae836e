"""Everything that has to be right before a row is sent, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clvsync.connections import open_destination
from clvsync.sync.fitting import scored
from clvsync.sync.models import findings_on
from clvsync.sync.opened import Opened
from clvsync.sync.passes import Pass, silent
from clvsync.sync.planning import plan
from clvsync.sync.segmenting import conditions
from clvsync.value.effect import DISTINCT_VALUES_NEEDED, SPREAD_NEEDED
from connectors.errors import ConnectorError
from connectors.types import Finding, Reason, Severity

_FEW = 0.8
"""Below this share of rows with an identifier, mapping more columns is worth more than anything else."""


def check_everything(business: Opened) -> Sequence[Finding]:
    """Configuration, state, warehouse, columns and rows, and each sync's destination."""
    findings = [Finding(Severity.OK, "configuration", f"{len(business.config.syncs)} syncs are understood")]
    findings.append(_state(business))
    findings += _segments(business)
    findings += _warehouse(business)
    for sync in business.config.syncs:
        destination = None
        try:
            destination = open_destination(business.config, sync)
            findings += destination.check()
        except ConnectorError as error:
            findings.append(as_finding(error))
        finally:
            if destination is not None:
                destination.close()
    return _once(findings)


def as_finding(error: ConnectorError) -> Finding:
    """An error as a line of the check."""
    return Finding(Severity.ERROR, error.what, error.problem, error.remedy)


def _state(business: Opened) -> Finding:
    try:
        _ = business.salt
    except ConnectorError as error:
        return as_finding(error)
    problems = business.ledger.verify()
    if problems:
        return Finding(
            Severity.ERROR, "state", "; ".join(problems), "Restore the last backup before anything is sent."
        )
    return Finding(Severity.OK, "state", "the ledger is whole, and its key is the right one")


def _segments(business: Opened) -> Iterator[Finding]:
    try:
        conditions(business)
    except ConnectorError as error:
        yield as_finding(error)


def _warehouse(business: Opened) -> Iterator[Finding]:
    try:
        yield from business.source.check()
        with Pass.open(business, silent) as one_pass:
            _ = one_pass.mapped
            yield Finding(Severity.OK, "columns", "every mapped column is there and of a fitting type")
            yield from _customers(one_pass)
            yield from _rows(one_pass)
    except ConnectorError as error:
        yield as_finding(error)


def _customers(one_pass: Pass) -> Iterator[Finding]:
    model = scored(one_pass)
    customers, orders, repeaters = one_pass.workspace.execute(
        "SELECT count(*), coalesce(sum(orders), 0)::BIGINT, count(*) FILTER (repeat_days > 0) FROM summary"
    ).fetchone()
    share = f", {repeaters / customers:.0%} bought on more than one day" if customers else ""
    yield Finding(Severity.OK, "orders", f"{customers:,} customers with {orders:,} orders{share}")
    yield Finding(Severity.OK, "lifetime value", f"model {model.version} scores")
    yield from findings_on(one_pass.business)


def _rows(one_pass: Pass) -> Iterator[Finding]:
    for sync in one_pass.business.config.syncs:
        destination = None
        try:
            destination = open_destination(one_pass.business.config, sync)
            stream = one_pass.business.ledger.stream_ids(sync.name).get((sync.name, destination.address))
            planned = plan(one_pass, sync, destination, stream)
        except ConnectorError as error:
            yield as_finding(error)
            continue
        finally:
            if destination is not None:
                destination.close()
        settled, spread = planned.plan.settled, planned.spread
        left_out = settled.skipped + settled.rejected
        usable = settled.read - left_out
        reasons = [each for each in settled.reasons.most_common() if each[0] in set(Reason)]
        why = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons[:3])
        yield Finding(
            Severity.OK if usable > _FEW * settled.read else Severity.WARNING,
            f"sync {sync.name}",
            f"{usable:,} of {settled.read:,} rows can go" + (f" ({why})" if left_out else ""),
            "" if usable > _FEW * settled.read else "Start with the most frequent reason.",
        )
        if spread is not None and spread.distinct > 1 and not spread.ready:
            yield Finding(
                Severity.WARNING,
                f"sync {sync.name}",
                f"the values hardly differ: {spread.distinct:,} distinct, from {spread.lowest:.2f} to "
                f"{spread.highest:.2f}",
                f"Value bidding wants {DISTINCT_VALUES_NEEDED} distinct positive values and the highest at "
                f"least {SPREAD_NEEDED:g} times the lowest: map more of the first order (channel, device).",
            )


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Two syncs of one account find the same things."""
    return list(dict.fromkeys(findings))
