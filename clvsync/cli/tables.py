"""What commands show a person: tables and short sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from clvsync.cli.effects import show_effect, show_spread
from clvsync.cli.output import console

if TYPE_CHECKING:
    from clvsync.ledger.records import Entry
    from clvsync.sync.explaining import Story
    from clvsync.sync.fitting import FitReport
    from clvsync.sync.preview import Preview
    from clvsync.sync.report import RunReport
    from clvsync.sync.status import SyncStatus
    from connectors.types import Finding

_COLOURS = {"ok": "green", "info": "cyan", "warning": "yellow", "error": "bold red"}
_STATUS_COLOURS = {"done": "green", "failed": "bold red", "held": "yellow", "running": "cyan"}
_SHOWN = (
    "accepted",
    "restated",
    "pending",
    "in_doubt",
    "unchanged",
    "removed",
    "skipped",
    "rejected",
    "held",
)


def show_runs(reports: Sequence[RunReport]) -> None:
    """One line a run, and below it why rows did not go."""
    if not reports:
        console().print("No runs yet.")
        return
    shown = [name for name in _SHOWN if any(report.counts.get(name) for report in reports)]
    table = Table(box=None, pad_edge=False)
    table.add_column("sync", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("read", justify="right", no_wrap=True)
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("value sent", justify="right", no_wrap=True)
    table.add_column("run", no_wrap=True, style="dim")
    for report in reports:
        colour = _STATUS_COLOURS.get(report.status, "white")
        table.add_row(
            report.sync,
            f"[{colour}]{report.status}[/]",
            f"{report.counts.get('read', 0):,}",
            *(f"{report.counts[name]:,}" if report.counts.get(name) else "" for name in shown),
            amounts(report.value_sent),
            report.run_id,
        )
    console().print(table)
    for report in reports:
        lines = []
        if report.earlier:
            lines.append("of earlier runs: " + _listed(report.earlier))
        if report.reasons:
            lines.append(_listed(report.reasons))
        if report.message:
            lines.append(f"[yellow]{escape(report.message)}[/]")
        for line in lines:
            console().print(f"[dim]{report.sync}[/] {line}", highlight=False)


def _listed(rows_by_name: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {rows:,}" for name, rows in sorted(rows_by_name.items()))


def show_preview(seen: Preview) -> None:
    """What would be done, how the values differ, and a few rows as they would leave."""
    console().print(f"[bold]{seen.sync}[/] → {seen.destination}", highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, rows in seen.would.items():
        table.add_row(name.replace("_", " "), f"{rows:,}")
    console().print(table)
    for reason, rows in sorted(seen.reasons.items()):
        console().print(f"  {reason}: {rows:,}", highlight=False)
    if seen.effect is not None:
        sent = next(iter(seen.value))
        show_effect(seen.effect, sent, next(iter(seen.to_send["revenue"])))
        to_send = seen.to_send["value"]
        if any(to_send.values()):
            console().print(f"of which to be sent now: {amounts(to_send)}", highlight=False)
    if seen.spread is not None:
        show_spread(seen.spread)
    if seen.held:
        console().print(f"[yellow]It would be held:[/] {escape(seen.held)}", highlight=False)
    if seen.rows:
        shown = Table(title="as they would leave", title_justify="left", box=None, pad_edge=False)
        names = [name for name in seen.rows[0] if any(row.get(name) is not None for row in seen.rows)]
        for name in names:
            shown.add_column(name, overflow="ellipsis", max_width=24)
        for row in seen.rows:
            shown.add_row(*("" if row.get(name) is None else escape(str(row[name])) for name in names))
        console().print(shown)


def show_status(lines: Sequence[SyncStatus]) -> None:
    """One line a sync."""
    table = Table(box=None, pad_edge=False)
    for name in ("sync", "schedule", "last run", "status", "under way", "pending", "in doubt", "rejected"):
        table.add_column(name)
    for line in lines:
        colour = _STATUS_COLOURS.get(line.status, "white")
        table.add_row(
            line.sync,
            line.schedule,
            moment(line.last_run),
            f"[{colour}]{line.status}[/]",
            f"{line.unsettled_batches:,} batches" if line.unsettled_batches else "",
            f"{line.pending:,}",
            f"{line.in_doubt:,}",
            f"{line.rejected:,}",
        )
    console().print(table)
    for line in lines:
        if line.message:
            console().print(f"[yellow]{line.sync}[/]: {escape(line.message)}", highlight=False)


def show_findings(findings: Sequence[Finding]) -> None:
    """One line a thing looked at, with what to do below where something is to be done."""
    for finding in findings:
        colour = _COLOURS[finding.severity]
        console().print(
            f"[{colour}]{finding.severity:8}[/] [bold]{escape(finding.what)}[/]: {escape(finding.found)}",
            highlight=False,
        )
        if finding.remedy:
            console().print(f"         → {escape(finding.remedy)}", highlight=False)


def show_rejects(entries: Sequence[Entry]) -> None:
    """One line a row that was refused."""
    if not entries:
        console().print("No rejected rows.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("sync", "key", "reason", "the platform's words", "last sent", "what to do"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        table.add_row(
            entry.sync,
            escape(entry.key),
            entry.reason or "",
            escape(entry.words or ""),
            moment(entry.last_sent_at),
            remedy(entry.reason),
        )
    console().print(table)


def show_fit(fitted: FitReport) -> None:
    """The models that score now, and what they learned from."""
    console().print(
        f"Fitted on {fitted.customers:,} customers and {fitted.orders:,} orders; version {fitted.version}.",
        highlight=False,
    )
    for name, value in fitted.parameters.items():
        console().print(f"  {name}: {value}", highlight=False)
    if not fitted.changed:
        console().print("Nothing has changed since the last fit.")


def show_story(story: Story) -> None:
    """One customer, from the orders to what the platforms said."""
    for chapter in story.chapters:
        console().print(f"[bold]{escape(chapter.title)}[/]")
        for line in chapter.lines:
            console().print(f"  {escape(line)}", highlight=False)


def remedy(reason: str | None) -> str:
    """What to do about a reason of ours."""
    from clvsync.plan import remedy_of

    return remedy_of(reason) if reason else ""


def amounts(by_currency: Mapping[str, Decimal]) -> str:
    """ "1,234.50 EUR, 3.00 USD"."""
    return ", ".join(f"{amount:,.2f} {code}" for code, amount in sorted(by_currency.items()))


def moment(instant: datetime | None) -> str:
    """An instant in UTC, to the second."""
    return instant.strftime("%Y-%m-%d %H:%M:%S") if instant else "never"


def entry_json(entry: Entry) -> dict[str, Any]:
    """A refused row for programs."""
    return {
        "sync": entry.sync,
        "key": entry.key,
        "reason": entry.reason,
        "words": entry.words,
        "last_sent_at": entry.last_sent_at,
        "remedy": remedy(entry.reason),
    }
