"""Trying the models on the past of the business's own orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from clvsync.sync import scoring
from clvsync.sync.models import NAME, serves
from clvsync.sync.passes import Pass
from clvsync.sync.staging import ROWS_PER_BATCH
from connectors.errors import FixConfiguration

if TYPE_CHECKING:
    from clvsync.clv.backtest import Group, Past, Trial
    from clvsync.clv.champion import Standings
    from clvsync.config.sections import Clv

SHORTEST_WINDOW = timedelta(days=28)
MOST_CUSTOMERS = 250_000
"""Beyond so many customers, every n-th by a hash of the key is tried: that many leave nothing to chance."""


class NotValidated(FixConfiguration):
    """The models cannot be tried on the past."""


@dataclass(frozen=True, slots=True)
class History:
    """The days from the first order's to the last one's, which may not be over; in the business's zone."""

    first: date
    last: date

    @property
    def length(self) -> timedelta:
        """Of the days that are over."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a trial has shown. `failed`: why the configured models may not be sent with; `warned`: what is
    worth knowing; `champions`: the best model of each group, None where none keeps within the bound on bias.
    `kept_with`: the version that scores, if this is from now on what it is judged by."""

    standings: Standings
    champions: Mapping[str, str | None]
    failed: tuple[str, ...]
    warned: tuple[str, ...]
    kept_with: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.standings.to_json(),
            "champions": dict(self.champions),
            "failed": list(self.failed),
            "warned": list(self.warned),
            "kept_with": self.kept_with,
        }


def try_on_the_past(
    one_pass: Pass, cutoffs: Sequence[date] | None = None, window: timedelta | None = None
) -> ValidationReport:
    """Validate, judge, and keep the outcome with the version that scores, which is judged by it from now on.

    What was asked for by hand, on other cut-offs or another window, is told and not kept: nobody should come
    to be sent with because of a well-chosen day.
    """
    from clvsync.clv.champion import judge

    scoring.summarise(one_pass)
    standings = validate(one_pass, cutoffs, window)
    business = one_pass.business
    max_bias = float(business.config.clv.validation.max_bias)
    verdict = judge(standings, max_bias)
    kept = business.ledger.current_model(NAME)
    if cutoffs or window or kept is None or serves(kept, business.config) is None:
        kept = None
    else:
        others = {name: value for name, value in kept.metrics.items() if name != "unvalidated"}
        business.ledger.save_metrics(NAME, kept.version, others | {"validation": standings.to_json()})
    return ValidationReport(
        standings,
        {str(group): standings.champion(group, max_bias) for group in standings.by_group},
        verdict.failed,
        verdict.warned,
        kept.version if kept else None,
    )


def validate(
    one_pass: Pass, cutoffs: Sequence[date] | None = None, window: timedelta | None = None
) -> Standings:
    """Fit every candidate on the orders before each cut-off day and judge it on the window from that day.

    The workspace has the table `summary`. Without `cutoffs` and `window` they are the configuration's. The
    summaries of the past are computed in the source, as of each cut-off. Raises NotValidated where the model
    is `column`, the history too short, or too little of it to fit on.
    """
    from clvsync.clv.backtest import Quality, backtest
    from clvsync.clv.candidates import can_be_tried, configured, fit_all
    from clvsync.clv.champion import Standings

    clv = one_pass.business.config.clv
    name = configured(clv)
    if not can_be_tried(clv):
        raise NotValidated(
            "clv",
            "the model `column` cannot be tried on the past, of which the source keeps no predictions",
            "Validate it where it is made.",
        )
    history = _history(one_pass)
    window = window or clv.validation.window or usual_window(clv.horizon, history)
    given = sorted(set(cutoffs or ()))
    days = given or usual_cutoffs(history, window, clv.validation.cutoffs)
    for day in days:
        _refuse_outside(day, history, window)
    if not days:
        raise _too_short(history, window)
    trials: dict[Group, dict[str, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    by_cutoff: dict[date, dict[Group, Quality]] = {}
    left_out: dict[str, str] = {}
    for done, (day, past) in enumerate(_pasts(one_pass, days, history, window)):
        one_pass.tell("validating", done, len(days))
        fitted, unfit = fit_all(clv, past.summary, past.terms)
        left_out |= unfit
        if name in unfit:
            continue
        found = backtest(fitted, past)
        for trial in found:
            trials[trial.group][trial.model].append(trial)
        by_cutoff[day] = {trial.group: Quality.of([trial]) for trial in found if trial.model == name}
    if not by_cutoff:
        raise NotValidated(
            "clv",
            f"at no cut-off could {name} be fitted ({left_out.get(name, 'there was no customer yet')})",
            "Map a longer order history, or wait for one.",
        )
    # A model that could not be fitted at some cut-off would be judged on others than its rivals.
    groups: dict[Group, dict[str, Quality]] = {}
    for group, models in trials.items():
        beside = models[name]
        groups[group] = {
            model: Quality.of(own, beside) for model, own in models.items() if len(own) == len(beside)
        }
    return Standings(name, window.days, groups, by_cutoff, left_out)


def usual_window(horizon: timedelta, history: History) -> timedelta:
    """The horizon or, where that is shorter, a third of the history, in whole days."""
    return min(timedelta(days=horizon.days), timedelta(days=history.length.days // 3))


def usual_cutoffs(history: History, window: timedelta, most: int) -> list[date]:
    """The latest day whose window has passed, and days half a window apart before it, as long as a window of
    history lies before them; the earliest first. None where the history is too short."""
    if window < SHORTEST_WINDOW:
        return []
    latest = history.last - window
    apart = timedelta(days=window.days // 2)
    days = [latest - index * apart for index in range(most)]
    return sorted(day for day in days if day >= history.first + window)


def _refuse_outside(day: date, history: History, window: timedelta) -> None:
    if not history.first < day <= history.last + timedelta(days=1) - window:
        raise NotValidated(
            f"cut-off {day}",
            f"orders are known from {history.first} to {history.last}, and {window.days} days after the "
            "cut-off have to be among them",
            "Take an earlier day, or a shorter window.",
        )


def _too_short(history: History, window: timedelta) -> NotValidated:
    return NotValidated(
        "clv",
        f"{history.length.days} days of orders are too few to try the models on the past: a window of "
        f"{max(window, SHORTEST_WINDOW).days} days needs as long a history before it",
        "Map a longer order history, or wait for one.",
    )


def _history(one_pass: Pass) -> History:
    first, last = one_pass.workspace.execute("SELECT min(first_day), max(last_day) FROM summary").fetchone()
    if first is None:
        raise NotValidated("clv", "there is no order yet", "Map an order history.")
    return History(first, last)


def _pasts(
    one_pass: Pass, days: Sequence[date], history: History, window: timedelta
) -> Iterator[tuple[date, Past]]:
    """The past at each cut-off day that had a customer."""
    from clvsync.clv.backtest import Past
    from clvsync.clv.model import Terms, known, numbers

    config = one_pass.business.config
    clv = config.clv.model_copy(update={"horizon": window, "discount_rate": Decimal(0)})
    matured = max(history.last, *(day + window for day in days))
    with _Summaries.open(one_pass, clv) as read:
        for day in days:
            before, after, at_end = (read.before(each) for each in (day, day + window, matured))
            rows = one_pass.workspace.execute(
                f"""
                SELECT early.*, CAST(coalesce(late.revenue, 0) - coalesce(early.revenue, 0) AS DOUBLE) AS came
                FROM {before} AS early LEFT JOIN {after} AS late USING (customer_key)
                ORDER BY customer_key
                """
            ).to_arrow_table()
            if not rows.num_rows:
                continue
            acquired = one_pass.workspace.execute(
                f"SELECT * FROM {at_end} WHERE first_day BETWEEN $from AND $to ORDER BY customer_key",
                {"from": day, "to": min(day + window, matured - window) - timedelta(days=1)},
            ).to_arrow_table()
            terms = Terms.of(clv, config.business.timezone, read.instant(day))
            came = known(numbers(rows, "came")) * terms.margin
            yield day, Past(terms, rows.drop_columns(["came"]), came, acquired)


class _Summaries:
    """Order summaries of past days as tables of the workspace, each read from the source once, gone at the
    end."""

    def __init__(self, one_pass: Pass, clv: Clv) -> None:
        self._pass = one_pass
        self._clv = clv
        self._zone = ZoneInfo(one_pass.business.config.business.timezone)
        self._read: dict[date, str] = {}
        customers = one_pass.workspace.execute("SELECT count(*) FROM summary").fetchone()[0]
        self._every = -(-customers // MOST_CUSTOMERS) or 1

    @classmethod
    @contextmanager
    def open(cls, one_pass: Pass, clv: Clv) -> Iterator[_Summaries]:
        summaries = cls(one_pass, clv)
        try:
            yield summaries
        finally:
            for table in summaries._read.values():
                one_pass.workspace.execute(f"DROP TABLE {table}")

    def instant(self, day: date) -> datetime:
        """The last instant before a day."""
        return datetime.combine(day, time(), self._zone) - timedelta(microseconds=1)

    def before(self, day: date) -> str:
        """The table of the orders before a day."""
        from clvsync.customers.summary import order_summary

        if day not in self._read:
            table = f"summary_before_{day:%Y%m%d}"
            business, workspace = self._pass.business, self._pass.workspace
            query = order_summary(self._pass.mapped, self._clv, self.instant(day))
            with business.source.stream(query, rows_per_batch=ROWS_PER_BATCH) as batches:
                workspace.register("incoming", batches)
                try:
                    workspace.execute(
                        f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM incoming"
                        f" WHERE hash(customer_key) % {self._every:d} = 0"
                    )
                finally:
                    workspace.unregister("incoming")
            self._read[day] = table
        return self._read[day]
