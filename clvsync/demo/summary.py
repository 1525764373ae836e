"""The picture a demo run ends with: what became of every row, why, and how the values sent differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from clvsync.demo.market import Floats
from clvsync.plan import remedy_of

Run = Mapping[str, Any]
"""One run in the shape of `clvsync run --json`."""

OUTCOMES = (
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
_HEADERS = {
    "accepted": "ac-\ncepted",
    "restated": "re-\nstated",
    "pending": "pend-\ning",
    "in_doubt": "in\ndoubt",
    "unchanged": "un-\nchanged",
    "removed": "re-\nmoved",
    "skipped": "skip-\nped",
    "rejected": "re-\njected",
}
"""Broken in two, so that the table fits a terminal of 80 columns."""
_COLOURS = {
    "accepted": "green",
    "restated": "cyan",
    "pending": "yellow",
    "in_doubt": "yellow",
    "rejected": "red",
    "held": "yellow",
}
_STATUS_COLOURS = {"failed": "bold red", "held": "yellow", "running": "cyan"}

BINS = 10
BAR_WIDTH = 34


@dataclass(frozen=True, slots=True)
class Pass:
    """The runs of one pass over the syncs."""

    title: str
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class SentValues:
    """The values a sync sent, one conversion a row, beside the same orders' own revenue; in `currency`.

    NaN in `order_value`: the order's revenue is not known.
    """

    sync: str
    currency: str
    value: Floats
    order_value: Floats


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of a sync differ. `tenths` are the means of each tenth of the rows, lowest first."""

    rows: int
    distinct: int
    lowest: float
    highest: float
    total: float
    revenue: float
    tenths: Floats
    order_tenths: Floats

    @property
    def top_to_bottom(self) -> float:
        """Mean of the top tenth ÷ mean of the bottom tenth."""
        return _ratio(float(self.tenths[-1]), float(self.tenths[0]))

    @property
    def highest_to_lowest(self) -> float:
        return _ratio(self.highest, self.lowest)


def spread(sent: SentValues) -> Spread | None:
    """How the values differ; None where none was sent."""
    known = ~np.isnan(sent.value)
    value, order_value = sent.value[known], sent.order_value[known]
    if not value.size:
        return None
    ordered = np.argsort(value, kind="stable")
    parts = np.array_split(ordered, min(BINS, value.size))
    return Spread(
        rows=int(value.size),
        distinct=int(np.unique(value).size),
        lowest=float(value.min()),
        highest=float(value.max()),
        total=float(value.sum()),
        revenue=float(np.nansum(order_value)),
        tenths=np.array([value[part].mean() for part in parts]),
        order_tenths=np.array([_mean(order_value[part]) for part in parts]),
    )


def show(
    console: Console,
    passes: Sequence[Pass],
    sent: Sequence[SentValues],
    *,
    next_steps: Sequence[tuple[str, str]],
) -> None:
    """Print the whole picture. `next_steps` are (command or address, what it shows)."""
    console.print(summary(passes, sent, next_steps=next_steps))


def summary(
    passes: Sequence[Pass], sent: Sequence[SentValues], *, next_steps: Sequence[tuple[str, str]]
) -> RenderableType:
    parts: list[RenderableType] = [_heading("What became of every row"), outcomes_table(passes)]
    why = reasons_table(passes)
    if why is not None:
        parts += [_heading("Why rows did not go, and what to do"), why]
    for values in sent:
        parts += [_heading(f"What {values.sync} sent"), values_picture(values)]
    if next_steps:
        parts += [_heading("Where to look next"), _steps_table(next_steps)]
    return Group(*parts)


def outcomes_table(passes: Sequence[Pass]) -> Table:
    """One line a run, passes one below the other. Outcomes that no row of any run had have no column."""
    had = [
        name
        for name in OUTCOMES
        if any(run.get(name) or run.get("earlier", {}).get(name) for part in passes for run in part.runs)
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True, header_style="dim")
    table.add_column("sync", overflow="fold", min_width=22, max_width=24, vertical="bottom")
    table.add_column("read", justify="right", vertical="bottom")
    for name in had:
        table.add_column(_HEADERS.get(name, name), justify="right", vertical="bottom")
    for number, part in enumerate(passes):
        if number:
            table.add_row()
        table.add_row(Text(part.title, style="bold"))
        for run in part.runs:
            table.add_row(_sync_cell(run), _count(run, "read"), *(_count(run, name) for name in had))
            if earlier := run.get("earlier"):
                # What an earlier run left pending and this one found decided.
                settled = [Text(f"{earlier[name]:,}" if earlier.get(name) else "") for name in had]
                table.add_row(Text("  of earlier runs"), "", *settled, style="dim")
    return table


def reasons_table(passes: Sequence[Pass]) -> Table | None:
    """Every reason that a row was skipped, rejected or held for: how often in each pass, and the remedy."""
    counts: dict[tuple[str, str], dict[int, int]] = {}
    for number, part in enumerate(passes):
        for run in part.runs:
            for reason, rows in run.get("reasons", {}).items():
                found = counts.setdefault((str(run["sync"]), str(reason)), {})
                found[number] = found.get(number, 0) + int(rows)
    if not counts:
        return None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("sync", overflow="fold")
    table.add_column("reason", overflow="fold", style="yellow")
    for part in passes:
        table.add_column(part.title.lower(), justify="right", max_width=7)
    table.add_column("what to do", overflow="fold", ratio=1)
    shown = ""
    for (sync, reason), found in sorted(
        counts.items(), key=lambda item: (item[0][0], -sum(item[1].values()))
    ):
        table.add_row(
            Text(sync if sync != shown else ""),
            Text(_words(reason)),
            *(_number(found.get(number, 0)) for number in range(len(passes))),
            Text(remedy_of(reason)),
        )
        shown = sync
    return table


def _words(reason: str) -> str:
    """Our reasons in words; the platforms' own, in capitals, as they are."""
    return reason if reason.isupper() else reason.replace("_", " ")


def values_picture(sent: SentValues) -> RenderableType:
    """Sum against revenue, a bar for each tenth of the values, and how far they are apart."""
    found = spread(sent)
    if found is None:
        return Text("Nothing was sent.", style="dim")
    unit = sent.currency
    lines = Text.assemble(
        (f"{found.rows:,}", "bold"),
        " conversions, value sent ",
        (f"{found.total:,.2f} {unit}", "bold"),
        f" against {found.revenue:,.2f} {unit} revenue of the same orders",
        f" ({found.total / found.revenue:.0%})." if found.revenue > 0 else ".",
    )
    parts: list[RenderableType] = [lines, Padding(_tenths_table(found, unit), (1, 0))]
    parts.append(
        Text.assemble(
            "Top tenth ",
            (_times(found.top_to_bottom), "bold cyan"),
            " the bottom tenth; ",
            (f"{found.distinct:,}", "bold"),
            " distinct values; highest : lowest ",
            (f"{found.highest_to_lowest:,.0f} : 1", "bold")
            if found.lowest > 0
            else ("lowest is 0", "yellow"),
            ".",
        )
    )
    alike = _alike(sent)
    if alike:
        parts.append(Text(alike))
    return Group(*parts)


def _tenths_table(found: Spread, unit: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("tenth of conversions", no_wrap=True)
    table.add_column(f"mean value, {unit}", justify="right", no_wrap=True)
    table.add_column("", width=BAR_WIDTH)
    table.add_column(f"mean first order, {unit}", justify="right", no_wrap=True)
    largest = float(found.tenths.max())
    last = len(found.tenths) - 1
    for number, (value, order_value) in enumerate(zip(found.tenths, found.order_tenths, strict=True)):
        name = {0: "lowest", last: "highest"}.get(number, "")
        table.add_row(
            Text.assemble(f"{number + 1:>2} ", (name, "dim")),
            f"{value:,.2f}",
            Bar(largest or 1.0, 0.0, value, width=BAR_WIDTH, color="cyan"),
            "" if np.isnan(order_value) else f"{order_value:,.2f}",
        )
    return table


def _alike(sent: SentValues) -> str:
    """How differently orders of about the same size are valued: what first-order revenue cannot say."""
    known = ~np.isnan(sent.value) & ~np.isnan(sent.order_value)
    value, order_value = sent.value[known], sent.order_value[known]
    if value.size < 10 * BINS:
        return ""
    low, high = np.quantile(order_value, [0.4, 0.6])
    middle = value[(order_value >= low) & (order_value <= high)]
    cheap, dear = np.quantile(middle, [0.1, 0.9])
    return (
        f"First orders between {low:,.0f} and {high:,.0f} {sent.currency} look alike to the platform; "
        f"sent by CLV, one in ten of them is worth {cheap:,.0f} or less and one in ten {dear:,.0f} or more."
    )


def _steps_table(steps: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="cyan", overflow="fold")
    table.add_column(style="dim")
    for command, shows in steps:
        table.add_row(escape(command), escape(shows))
    return table


def _heading(text: str) -> RenderableType:
    return Padding(Rule(Text(text, style="bold"), align="left", style="dim"), (1, 0, 0, 0))


def _sync_cell(run: Run) -> Text:
    status = str(run.get("status", ""))
    name = Text(f" {run['sync']}")
    return (
        name if status in ("", "done") else name.append(f" {status}", _STATUS_COLOURS.get(status, "yellow"))
    )


def _count(run: Run, name: str) -> Text:
    rows = int(run.get(name, 0))
    return Text(f"{rows:,}", style=_COLOURS.get(name, "")) if rows else Text("·", style="dim")


def _number(rows: int) -> Text:
    return Text(f"{rows:,}") if rows else Text("·", style="dim")


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom > 0 else float("inf")


def _times(ratio: float) -> str:
    return f"{ratio:.1f} ×" if np.isfinite(ratio) else "far above"
