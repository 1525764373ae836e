"""The models on the past of all CDNOW purchases: `python -m tests.benchmarks.cdnow_validation [--write]`.

Prints the tables of docs/clv-validation.md, or writes them into the page.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from clvsync.clv.backtest import Group, Quality
from clvsync.clv.candidates import NAIVE
from clvsync.sync.business import Business
from clvsync.sync.validating import ValidationReport
from tests import cdnow
from tests.cdnow_shop import cdnow_shop
from tests.fakes import Clock

PAGE = Path(__file__).parents[2] / "docs" / "clv-validation.md"
BEGIN, END = "<!-- made by python -m tests.benchmarks.cdnow_validation --write -->", "<!-- end -->"

WINDOW = timedelta(weeks=39)
CUTOFFS = {
    "Learned from 39 weeks, the next 39 predicted": date(1997, 10, 1),
    "Learned from six weeks, the next 39 predicted": date(1997, 2, 12),
}
_GROUPS = {
    Group.ALL: "All customers",
    Group.NEW: "Customers with one order at the cut-off",
    Group.ACQUIRED: "Customers won after the cut-off, on their first day",
}


def trial(cutoff: date) -> ValidationReport:
    """All models on CDNOW: the orders before the day learned from, the 39 weeks from it on predicted."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(cdnow.END + timedelta(days=1))
        with Business.open(cdnow_shop(Path(folder)), clock) as business:
            return business.validate([cutoff], WINDOW)


def tables() -> str:
    """Markdown: for each cut-off and group the standings, and for all customers the calibration."""
    return "\n".join(line for title, day in CUTOFFS.items() for line in section(title, trial(day)))


def main() -> None:
    made = tables()
    if "--write" not in sys.argv:
        print(made)
        return
    page = PAGE.read_text(encoding="utf-8")
    between = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", flags=re.DOTALL)
    PAGE.write_text(between.sub(lambda _: made, page), encoding="utf-8")


def section(title: str, report: ValidationReport) -> Iterator[str]:
    """The lines of one cut-off. Groups of a handful are left out."""
    standings = report.standings
    yield f"\n### {title}\n"
    for group, models in standings.by_group.items():
        own = models[standings.configured]
        if own.customers < 100:
            continue
        yield f"{_GROUPS[group]}: {own.customers:,}, who brought {own.actual:,.0f} USD.\n"
        yield "| model | bias of the total | error per customer | Spearman | Gini | held by the top fifth |"
        yield "|---|---|---|---|---|---|"
        for name, quality in models.items():
            yield _standing(name, quality, standings.configured)
        yield ""
    yield "Calibration of all customers by tenth, from those predicted to bring the most:\n"
    yield "| tenth | predicted | came | bias |"
    yield "|---|---|---|---|"
    everyone = standings.by_group[Group.ALL][standings.configured]
    for place, (_, predicted, came) in enumerate(everyone.tenths, start=1):
        yield f"| {place} | {predicted:.2f} | {came:.2f} | {predicted / came - 1:+.0%} |"
    yield ""


def _standing(name: str, quality: Quality, configured: str) -> str:
    shown = f"**{name}**" if name == configured else f"{name}, naive" if name in NAIVE else name
    figures = (
        _told(quality.bias, "+.1%"),
        f"{quality.mean_absolute_error:.2f}",
        _told(quality.spearman, ".3f"),
        _told(quality.gini, ".3f"),
        _told(quality.top_fifth, ".1%"),
    )
    return f"| {shown} | {' | '.join(figures)} |"


def _told(value: float | None, form: str) -> str:
    # Minus nothing is nothing.
    return "none" if value is None else format(value + 0.0 if abs(value) > 5e-4 else 0.0, form)


if __name__ == "__main__":
    main()
