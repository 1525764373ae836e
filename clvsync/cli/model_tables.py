"""What the commands of the model show a person."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clvsync.cli.output import console

if TYPE_CHECKING:
    from clvsync.clv.backtest import Quality
    from clvsync.sync.models import Version
    from clvsync.sync.validating import ValidationReport

_GROUPS = {
    "all": "All customers known at the cut-off: margin in the window after it",
    "new": "Those of them with one purchase day",
    "acquired": "Customers won after the cut-off, scored on their first day: margin in the window from then",
}
_BAR = 44
_COLUMNS = 112
_PREDICTED, _ACTUAL = "cyan", "green"


def show_validation(report: ValidationReport, currency: str) -> None:
    """The standings of every model, the calibration of the configured ones, and what follows from them."""
    console().print(_validation(report, currency))


def drawn(report: ValidationReport, currency: str) -> str:
    """The same as an SVG."""
    from clvsync.picture import svg

    recording = Console(
        record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, color_system="truecolor"
    )
    recording.print(_validation(report, currency))
    return svg(recording, "clvsync clv validate", unique_id="validation")


def _validation(report: ValidationReport, currency: str) -> RenderableType:
    standings = report.standings
    days = ", ".join(day.isoformat() for day in standings.by_cutoff)
    parts: list[RenderableType] = [
        Text.from_markup(
            f"[bold]{escape(standings.configured)}[/], fitted on the orders before {days}, "
            f"judged on the {standings.window_days} days after"
        )
    ]
    for group, models in standings.by_group.items():
        own = models[standings.configured]
        parts += [
            Text(),
            Text(_GROUPS[group], style="bold"),
            Text(f"{own.customers:,} customers brought {own.actual:,.2f} {currency}", style="dim"),
            _standings(models, standings.configured, report.champions.get(group)),
            Text(f"bias by cut-off: {', '.join(_biases(report, group))}", style="dim"),
            _calibration(own),
        ]
    for name, why in standings.left_out.items():
        parts.append(Text(f"{name} was left out: {why}.", style="dim"))
    return Group(*parts, Text(), *_verdict(report))


def show_versions(versions: Sequence[Version]) -> None:
    """One line a version, the newest first, and below it why it may not be sent with."""
    if not versions:
        console().print("No model has been fitted yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("version", "fitted", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("customers", "mean CLV", "bias", "Gini", "new: bias", "Gini"):
        table.add_column(name, justify="right")
    for version in versions:
        everyone, acquired = (version.metrics.get(group, {}) for group in ("all", "acquired"))
        table.add_row(
            version.version,
            f"{version.fitted_at:%Y-%m-%d %H:%M}",
            _state(version),
            f"{version.customers:,}",
            "" if version.mean_score is None else f"{version.mean_score:,.2f}",
            *(
                _told(metrics.get(name), form)
                for metrics in (everyone, acquired)
                for name, form in (("bias", "+.0%"), ("gini", ".2f"))
            ),
        )
    console().print(table)
    for version in versions:
        show_verdict(version.failed, version.warned, of=f"[dim]{version.version}[/] ")


def show_verdict(failed: Sequence[str], warned: Sequence[str], *, of: str = "") -> None:
    """Why a model may not be sent with, and what is worth knowing."""
    for line in failed:
        console().print(f"{of}[bold red]held[/] {escape(line)}", highlight=False)
    for line in warned:
        console().print(f"{of}[yellow]note[/] {escape(line)}", highlight=False)


def _standings(models: Any, configured: str, champion: str | None) -> Table:
    from clvsync.clv.candidates import NAIVE

    table = Table(box=None, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name in ("bias", "error", "Spearman", "Gini", "top fifth"):
        table.add_column(name, justify="right")
    for name, quality in models.items():
        kind = "configured" if name == configured else "naive" if name in NAIVE else ""
        words = ", ".join(word for word in (kind, "best" if name == champion else "") if word)
        table.add_row(
            f"{escape(name)} [dim]{words}[/]",
            _told(quality.bias, "+.1%"),
            f"{quality.mean_absolute_error:,.2f}",
            _told(quality.spearman, ".3f"),
            _told(quality.gini, ".3f"),
            _told(quality.top_fifth, ".1%"),
        )
    return table


def _calibration(quality: Quality) -> Table:
    """Mean predicted and actual margin of each tenth, as numbers and as bars of one scale."""
    table = Table(box=None, pad_edge=False)
    for name in ("tenth", "predicted", "came", "bias"):
        table.add_column(name, justify="right")
    table.add_column(Text.from_markup(f"[{_PREDICTED}]━ predicted[/]  [{_ACTUAL}]━ came[/]"), no_wrap=True)
    longest = max((max(told, came) for _, told, came in quality.tenths), default=0.0)
    for place, (_, told, came) in enumerate(quality.tenths, start=1):
        bars = Text()
        bars.append(_bar(told, longest), style=_PREDICTED)
        bars.append("\n")
        bars.append(_bar(came, longest), style=_ACTUAL)
        bias = _told(told / came - 1.0 if came > 0 else None, "+.0%")
        table.add_row(str(place), f"{told:,.2f}", f"{came:,.2f}", bias, bars)
    return table


def _bar(amount: float, longest: float) -> str:
    return "━" * round(_BAR * max(amount, 0.0) / longest) if longest > 0 else ""


def _biases(report: ValidationReport, group: Any) -> Iterator[str]:
    for day, groups in report.standings.by_cutoff.items():
        if group in groups:
            yield f"{day} {_told(groups[group].bias, '+.0%')}"


def _verdict(report: ValidationReport) -> Iterator[RenderableType]:
    for line in report.failed:
        yield Text.assemble(("fails ", "bold red"), line)
    for line in report.warned:
        yield Text.assemble(("note ", "yellow"), line)
    if not report.failed:
        yield Text("The configured models may be sent with.", style="green")
    if report.kept_with is None:
        yield Text("Told only: what the version that scores is judged by has not changed.", style="dim")
    else:
        yield Text(f"Kept with version {report.kept_with}, which is judged by it from now on.", style="dim")


def _state(version: Version) -> str:
    words = ["[green]scores[/]"] if version.scores else []
    if version.accepted_at is not None:
        words.append("accepted")
    if version.failed:
        words.append("[bold red]held[/]")
    return ", ".join(words)


def _told(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
