"""A bad day stops the line: is what this run would send far from the sync's own history?

Days are those of the events, not of the runs, so that a catch-up after an outage is no alarm while a source
that doubled yesterday's orders is. A day is judged against the median of its weekdays, and only where it is
beyond both a multiple of it and the days' usual scatter (median absolute deviation).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from clvsync.plan.difference import Plan, Verdict

_SCATTER = 5 * 1.4826
"""Five standard deviations; 1.4826 turns the median absolute deviation of a normal distribution into one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`times` above or below the usual day is too far. Fewer than `fewest_days` of history (of any weekday)
    judge nothing; fewer than `fewest_weekdays` of the same weekday are judged by all days. `fewest_rows`: a
    day below it, before and now, is too small to tell. `removal_share` of an audience that may be removed at
    once."""

    times: float = 4.0
    fewest_days: int = 14
    fewest_weekdays: int = 4
    fewest_rows: int = 20
    history: timedelta = timedelta(days=84)
    removal_share: float = 0.3


@dataclass(frozen=True, slots=True)
class Judgement:
    """`held` and, for a person, why: one sentence each."""

    reasons: tuple[str, ...] = field(default=())

    @property
    def held(self) -> bool:
        return bool(self.reasons)

    def __str__(self) -> str:
        return " ".join(self.reasons)


def judge(
    workspace: Any,
    plan: Plan,
    history: Any,
    now: datetime,
    *,
    zone: str = "UTC",
    limits: Limits | None = None,
) -> Judgement:
    """Judge the workspace's table `plan` before anything of it is sent.

    `history` is `Ledger.entries_reader`'s of the same stream; `zone` is the business's, in which days are
    counted. A run without history is never held. Today, which is not over, is only judged for being too much.
    """
    limits = limits or Limits()
    reasons = _removals(plan, limits)
    if plan.to_do.get(Verdict.SEND) or plan.to_do.get(Verdict.RESTATE) or plan.to_do.get(Verdict.UPDATE):
        reasons += _days(workspace, history, now, zone, limits)
        reasons += _restatements(workspace, limits)
    return Judgement(tuple(reasons))


def _removals(plan: Plan, limits: Limits) -> list[str]:
    removals = plan.to_do.get(Verdict.REMOVE, 0)
    if removals < limits.fewest_rows or removals <= limits.removal_share * plan.members:
        return []
    return [
        f"{removals:,} of {plan.members:,} members would be removed "
        f"(at most {limits.removal_share:.0%} at once)."
    ]


def _restatements(workspace: Any, limits: Limits) -> list[str]:
    """Values that all moved together say more about the model or the currency than about customers."""
    found = workspace.execute(
        """
        SELECT currency, count(*), sum(value), sum(previous_value)
        FROM plan WHERE verdict IN ('restate', 'update') AND currency = previous_currency
        GROUP BY currency ORDER BY currency
        """
    ).fetchall()
    reasons = []
    for currency, rows, after, before in found:
        if rows < limits.fewest_rows or not before or after is None:
            continue
        ratio = float(after) / float(before)
        if ratio > limits.times or ratio < 1 / limits.times:
            reasons.append(
                f"{rows:,} values already sent would go from {before:,.2f} to {after:,.2f} {currency} in all."
            )
    return reasons


def _days(workspace: Any, history: Any, now: datetime, zone: str, limits: Limits) -> list[str]:
    workspace.register("ledger_entries", history)
    try:
        # Both sides of each day: what the platform has been given already, and what this run would add.
        workspace.execute(
            """
            CREATE OR REPLACE TEMP TABLE days AS
            WITH given AS (
                SELECT CAST(timezone($zone, make_timestamptz(l.event_time)) AS DATE) AS day, l.currency,
                    l.value / 10000.0 AS value, 1 AS given, 0 AS added
                FROM ledger_entries AS l
                WHERE l.state IN ('accepted', 'pending', 'in_doubt') AND l.event_time >= epoch_us($since)
            ), added AS (
                SELECT CAST(timezone($zone, event_time) AS DATE) AS day, currency,
                    CAST(value AS DOUBLE) AS value, 0 AS given, 1 AS added
                FROM plan WHERE verdict = 'send' AND event_time >= $since
            )
            SELECT day, currency, sum(given) AS given, sum(added) AS added,
                sum(given + added) AS events, sum(value) AS value,
                coalesce(sum(value) FILTER (given = 1), 0) AS value_given
            FROM (FROM given UNION ALL FROM added) WHERE day IS NOT NULL GROUP BY day, currency
            """,
            {"zone": zone, "since": now - limits.history},
        )
    finally:
        workspace.unregister("ledger_entries")
    today, yesterday = workspace.execute(
        "SELECT CAST(timezone($zone, $now) AS DATE), CAST(timezone($zone, $now) AS DATE) - 1",
        {"zone": zone, "now": now},
    ).fetchone()
    found = workspace.execute(
        """
        WITH volume AS (
            SELECT day, NULL AS currency, sum(given) AS given, sum(added) AS added, sum(events) AS events,
                sum(events) AS amount, sum(given) AS amount_given
            FROM days GROUP BY day
            UNION ALL
            SELECT day, currency, given, added, events, value, value_given FROM days
        ), usual AS (
            -- A day that the ledger holds nothing of says nothing of what is usual.
            SELECT day, currency, amount_given AS amount, given AS rows FROM volume
            WHERE given > 0 AND day < $today
        ), judged AS (
            SELECT day, currency, amount, events, isodow(day) AS weekday FROM volume WHERE added > 0
        ), compared AS (
            SELECT j.*, list(u.amount) AS all_days,
                list(u.amount) FILTER (isodow(u.day) = j.weekday) AS same_weekday,
                median(u.rows) AS usual_rows
            FROM judged AS j JOIN usual AS u
                ON u.currency IS NOT DISTINCT FROM j.currency AND u.day <> j.day
            GROUP BY ALL
        ), measured AS (
            SELECT *, CASE WHEN len(same_weekday) >= $fewest_weekdays THEN same_weekday ELSE all_days END
                AS base
            FROM compared WHERE len(all_days) >= $fewest_days AND greatest(events, usual_rows) >= $fewest_rows
        ), scattered AS (
            SELECT *, list_median(base) AS usual,
                list_median(list_transform(base, lambda x: abs(x - list_median(base)))) AS scatter
            FROM measured
        )
        SELECT day, currency, amount, usual FROM scattered
        WHERE (amount > $times * usual AND amount > usual + $scatter * scatter)
            OR (day = $yesterday AND amount < usual / $times AND amount < usual - $scatter * scatter)
        ORDER BY day, currency NULLS FIRST
        """,
        {
            "today": today,
            "yesterday": yesterday,
            "fewest_days": limits.fewest_days,
            "fewest_weekdays": limits.fewest_weekdays,
            "fewest_rows": limits.fewest_rows,
            "times": limits.times,
            "scatter": _SCATTER,
        },
    ).fetchall()
    return [_sentence(*row) for row in found]


def _sentence(day: Any, currency: str | None, amount: float, usual: float) -> str:
    if currency is None:
        return f"{day} would have {amount:,.0f} events where {usual:,.0f} are usual."
    return f"{day} would have a value of {amount:,.2f} {currency} where {usual:,.2f} is usual."
