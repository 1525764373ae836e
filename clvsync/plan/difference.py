"""What is to be done about each row: one join between this run's rows and the ledger.

Both sides stream through DuckDB as columns; nothing is looked up per row. Predictions drift a little every
day for everyone, so a value counts as moved only beyond a tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from clvsync.plan.counts import Counts
from connectors.errors import FixConfiguration
from connectors.types import Action, BatchReader, Capabilities, Reason


class Verdict(StrEnum):
    """send, restate, update and remove are to be done in this run; the others are outcomes already."""

    SEND = "send"
    RESTATE = "restate"
    UPDATE = "update"
    REMOVE = "remove"
    UNCHANGED = "unchanged"
    PENDING = "pending"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"
    REJECTED = "rejected"


ACTIONS = {
    Verdict.SEND: Action.ADD,
    Verdict.RESTATE: Action.RESTATE,
    Verdict.UPDATE: Action.ADD,
    Verdict.REMOVE: Action.REMOVE,
}


class Remark(StrEnum):
    """Reasons that the difference itself gives; those of eligibility are `connectors.types.Reason`."""

    DUPLICATE_KEY = "duplicate_key"
    OLDER_THAN_LEDGER = "older_than_ledger"
    NOT_RESTATABLE = "not_restatable"
    RESTATE_WINDOW_OVER = "restate_window_over"
    RESTATE_TO_ZERO = "restate_to_zero"
    NOT_SETTLED = "not_settled"

    @property
    def remedy(self) -> str:
        """What a person can do about it, in one sentence."""
        return _REMEDIES[self]


_REMEDIES = {
    Remark.DUPLICATE_KEY: "Make the mapped key unique; the newest row of each key counts until then.",
    Remark.OLDER_THAN_LEDGER: "Nothing to do: what was sent is newer.",
    Remark.NOT_RESTATABLE: "Nothing to do: this platform takes no second value for an event.",
    Remark.RESTATE_WINDOW_OVER: "Nothing to do: it is too long after the conversion to restate it.",
    Remark.RESTATE_TO_ZERO: "Set restate.to_zero if a value of 0 is meant; it can never be changed again.",
    Remark.NOT_SETTLED: "Nothing to do: the platform has not decided about what was sent before.",
}


def remedy_of(reason: str) -> str:
    """What a person can do about a reason, whether the plan gave it, a destination or the platform."""
    for kind in (Reason, Remark):
        if reason in set(kind):
            return kind(reason).remedy
    return Reason.REFUSED_BY_PLATFORM.remedy


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a value may move before it is sent again: the larger of `relative` (to the value that was
    tried last; 0.1 is ten percent) and `absolute` (in the value's currency)."""

    relative: Decimal = Decimal(0)
    absolute: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the destination can do and what the sync wants.

    `restate_window`: how long after the event a value may be restated (None: at any time).
    `restate_to_zero`: platforms that take a zero as a retraction never adjust the row again, so it has to be
    wanted. `resends`: sending a row again under its id is safe at any time, so that a doubtful row whose
    value has moved can be sent again. `sent_by_site`: the platform has each event from the site already, so
    that the first thing to do about it, where the destination restates, is a restatement, with a
    restatement's limits.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    restates: bool = False
    updates: bool = False
    removes: bool = False
    resends: bool = False
    restate_window: timedelta | None = None
    restate_to_zero: bool = False
    sent_by_site: bool = False

    @classmethod
    def of(
        cls,
        capabilities: Capabilities,
        tolerance: Tolerance,
        *,
        restate: bool = True,
        restate_window: timedelta | None = None,
        restate_to_zero: bool = False,
        sent_by_site: bool = False,
    ) -> Rules:
        """`restate`: whether the sync wants restatements where the destination can do them."""
        return cls(
            tolerance=tolerance,
            restates=capabilities.restates and restate,
            updates=capabilities.updates,
            removes=capabilities.removes,
            resends=capabilities.resend_window is None,
            restate_window=restate_window,
            restate_to_zero=restate_to_zero,
            sent_by_site=sent_by_site,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference, in numbers. The rows are in the workspace's table `plan`.

    `settled` counts the rows whose outcome is known without sending anything, `to_do` the others;
    `members` is how many rows the platform holds of this stream now.
    """

    settled: Counts
    to_do: dict[Verdict, int]
    members: int

    @property
    def rows_to_do(self) -> int:
        return sum(self.to_do.values())

    def held(self, reason: str) -> Counts:
        """The run's counts when nothing is sent."""
        return self.outcome(Counts(), reason)

    def outcome(self, delivered: Counts, stopped: str = "not_sent") -> Counts:
        """The run's counts after delivery. Rows that a delivery which stopped early never reached are held
        for `stopped`. Checked: raises Miscounted where rows went missing."""
        counts = Counts(read=self.settled.read, absent=self.settled.absent)
        counts.add(self.settled)
        counts.add(delivered)
        counts.count("held", self.rows_to_do - delivered.outcomes, stopped)
        counts.check()
        return counts


def difference(workspace: Any, ledger: BatchReader, rules: Rules, now: datetime) -> Plan:
    """Judge every row of the table `rows` against the ledger and write the table `plan`.

    `workspace` is a DuckDB connection with the table `rows(key VARCHAR, event_id VARCHAR, fingerprint
    BIGINT, value DECIMAL(18,4), currency VARCHAR, event_time TIMESTAMPTZ, updated_at TIMESTAMPTZ, reason
    VARCHAR)`, `reason` being eligibility's or NULL. `fingerprint` is of everything but the value. `ledger` is
    `Ledger.entries_reader`'s.

    Of rows that share a key the newest `updated_at` counts, then the highest value, then the lowest event
    id; the others are skipped as duplicates. Rows without a key are rejected, and not in `plan`.

    `plan(key, event_id, fingerprint, value, currency, event_time, updated_at, verdict, reason, action,
    previous_value, previous_currency, absent, present, ledger_reason)` has every row but those that are
    unchanged without a remark. `action` is NULL where there is nothing to do; absent rows are known from the
    ledger alone.

    Raises FixConfiguration where keys or event ids look like e-mail addresses.
    """
    _refuse_addresses(workspace)
    read, nameless, duplicates = _deduplicate(workspace)
    workspace.register("ledger_entries", ledger)
    try:
        workspace.execute(_remarkable_statement(rules))
    finally:
        workspace.unregister("ledger_entries")
    workspace.execute(_plan_statement(rules, now))
    settled = Counts(read=read)
    settled.count("rejected", nameless, Reason.MISSING_KEY)
    settled.count("skipped", duplicates, Remark.DUPLICATE_KEY)
    to_do: dict[Verdict, int] = {}
    planned = 0
    members = 0
    summary = workspace.execute(
        "SELECT verdict, reason, absent, present, count(*) FROM plan GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for verdict, reason, absent, present, rows in summary:
        members += rows if present else 0
        if absent:
            settled.absent += rows
        else:
            planned += rows
        if verdict in ACTIONS:
            to_do[Verdict(verdict)] = to_do.get(Verdict(verdict), 0) + rows
        else:
            settled.count(verdict, rows, reason)
    unremarkable = read - nameless - duplicates - planned
    settled.count("unchanged", unremarkable)
    return Plan(settled, to_do, members + unremarkable)


def _refuse_addresses(workspace: Any) -> None:
    looks = r"regexp_matches({0}, '^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$')"
    for column in ("key", "event_id"):
        test = f"contains({column}, '@') AND " + looks.format(column)
        found = workspace.execute(f"SELECT count(*) FROM rows WHERE {test}").fetchone()[0]
        if found:
            raise FixConfiguration(
                f"The column mapped as {column}",
                f"{found} of its values look like e-mail addresses, which may not rest in the ledger",
                "Map a column with the shop's own ids, or a hash.",
            )


def _deduplicate(workspace: Any) -> tuple[int, int, int]:
    """Make the view `rows_once`; rows read, how many have no key, and how many are duplicates."""
    workspace.execute(
        "CREATE OR REPLACE TEMP TABLE repeated AS"
        " SELECT key FROM rows WHERE key <> '' GROUP BY key HAVING count(*) > 1"
    )
    read, keyed, repeated = workspace.execute(
        "SELECT count(*), count(*) FILTER (key <> ''), (SELECT count(*) FROM repeated) FROM rows"
    ).fetchone()
    if not repeated:
        workspace.execute("CREATE OR REPLACE TEMP VIEW rows_once AS SELECT * FROM rows WHERE key <> ''")
        return read, read - keyed, 0
    workspace.execute(
        """
        CREATE OR REPLACE TEMP TABLE chosen AS
        SELECT rows.* FROM rows SEMI JOIN repeated USING (key)
        QUALIFY row_number() OVER (
            PARTITION BY key ORDER BY updated_at DESC NULLS LAST, value DESC NULLS LAST, event_id, fingerprint
        ) = 1
        """
    )
    workspace.execute(
        """
        CREATE OR REPLACE TEMP VIEW rows_once AS
        SELECT * FROM rows ANTI JOIN repeated USING (key) WHERE key <> '' UNION ALL SELECT * FROM chosen
        """
    )
    kept = workspace.execute("SELECT count(*) FROM rows_once").fetchone()[0]
    return read, read - keyed, keyed - kept


_SKIPPING = ", ".join(f"'{reason}'" for reason in Reason if not reason.rejects)


def _moved(tolerance: Tolerance) -> str:
    """Whether the value of a row `r` differs from its entry `l`, by integers alone."""
    share, whole = tolerance.relative.as_integer_ratio()
    distance = "abs(CAST(r.value * 10000 AS BIGINT) - l.value)"
    return f"""(
        (r.value IS NULL) <> (l.value IS NULL)
        OR coalesce(r.currency, '') <> coalesce(l.currency, '')
        OR coalesce(
            {distance} > {int(tolerance.absolute * 10_000)}
            AND {distance}::HUGEINT * {whole} > abs(l.value)::HUGEINT * {share},
            false
        )
    )"""


def _remarkable_statement(rules: Rules) -> str:
    """The one join that sees every row: the entries of rows, and of absent ones, that need judging.

    It carries no more columns than it needs, and most rows of most runs end here: accepted, and as they were.
    """
    changed = "r.fingerprint IS DISTINCT FROM l.fingerprint" if rules.updates else "false"
    return f"""
        CREATE OR REPLACE TEMP TABLE remarkable AS
        SELECT coalesce(r.key, l.key) AS key, r.key IS NULL AS absent, l.state, l.fingerprint, l.value,
            l.currency, l.present, l.updated_at, l.reason
        FROM rows_once AS r {"FULL" if rules.removes else "LEFT"} JOIN ledger_entries AS l ON r.key = l.key
        WHERE r.key IS NULL OR l.key IS NULL OR NOT (
            l.state = 'accepted' AND (r.reason IS NULL OR r.reason NOT IN ({_SKIPPING}))
            AND NOT {_moved(rules.tolerance)} AND NOT {changed}
        )
    """


def _plan_statement(rules: Rules, now: datetime) -> str:
    oldest = None if rules.restate_window is None else now - rules.restate_window
    in_window = "true" if oldest is None else f"event_time >= TIMESTAMPTZ '{oldest.isoformat()}'"
    zero = "false" if rules.restate_to_zero else "value = 0"
    # A row that the platform holds, or may hold, and that now differs.
    if rules.updates:
        differing = f"CASE WHEN NOT newer THEN '{Remark.OLDER_THAN_LEDGER}' END"
        doing = Verdict.UPDATE
        differs = "moved OR changed"
    else:
        differing = f"""CASE
            WHEN NOT {_sql(rules.restates)} THEN '{Remark.NOT_RESTATABLE}'
            WHEN NOT newer THEN '{Remark.OLDER_THAN_LEDGER}'
            WHEN NOT coalesce({in_window}, false) THEN '{Remark.RESTATE_WINDOW_OVER}'
            WHEN {zero} THEN '{Remark.RESTATE_TO_ZERO}' END"""
        doing = Verdict.RESTATE
        differs = "moved"
    first = f"['{Verdict.SEND}', NULL]"
    if rules.sent_by_site and rules.restates:
        first = f"CASE WHEN bar IS NULL THEN ['{Verdict.RESTATE}', NULL] ELSE ['{Verdict.SKIPPED}', bar] END"
    actions = " ".join(f"WHEN '{verdict}' THEN '{action}'" for verdict, action in ACTIONS.items())
    return f"""
        CREATE OR REPLACE TABLE plan AS
        WITH joined AS (
            SELECT
                key, r.event_id, r.fingerprint, r.value, r.currency, r.event_time, r.updated_at,
                r.reason AS barred, nullif(l.reason, '') AS said,
                coalesce(l.state, '') AS state,
                l.value AS previous, nullif(l.currency, '') AS previous_currency,
                coalesce(l.present, 0) = 1 AS present, l.absent,
                epoch_us(r.updated_at) > l.updated_at AS newer,
                epoch_us(r.updated_at) < l.updated_at AS older,
                r.fingerprint IS DISTINCT FROM l.fingerprint AS changed,
                {_moved(rules.tolerance)} AS moved
            FROM remarkable AS l LEFT JOIN rows_once AS r USING (key)
        ), remarked AS (
            SELECT *, {differing} AS bar, {differs} AS differs,
                coalesce(barred, '') = '{Reason.NO_CONSENT}' AS withdrawn
            FROM joined
        ), judged AS (
            SELECT *, CASE
                WHEN absent THEN CASE
                    WHEN state IN ('planned', 'sent', 'pending') THEN ['pending', '{Remark.NOT_SETTLED}']
                    WHEN present OR state = 'in_doubt' THEN ['remove', NULL] END
                WHEN state = 'sent' THEN ['in_doubt', 'answer_lost']
                WHEN state IN ('planned', 'pending') THEN ['pending', NULL]
                WHEN {_sql(rules.removes)} AND withdrawn AND (present OR state = 'in_doubt')
                    THEN ['remove', barred]
                WHEN state = 'in_doubt' THEN CASE
                    WHEN {_sql(rules.resends)} AND barred IS NULL AND differs AND bar IS NULL
                        THEN ['{doing}', NULL]
                    ELSE ['in_doubt', said] END
                WHEN state = 'accepted' THEN CASE
                    WHEN barred IS NOT NULL AND (differs OR barred IN ({_SKIPPING}))
                        THEN ['unchanged', barred]
                    WHEN barred IS NULL AND differs AND bar IS NULL THEN ['{doing}', NULL]
                    WHEN barred IS NULL AND differs THEN ['unchanged', bar]
                    ELSE ['unchanged', NULL] END
                WHEN barred NOT IN ({_SKIPPING}) THEN ['rejected', barred]
                WHEN barred IS NOT NULL THEN ['skipped', barred]
                WHEN state = 'rejected' THEN CASE
                    WHEN older OR NOT (moved OR changed) THEN ['rejected', said]
                    WHEN NOT present THEN {first}
                    WHEN bar IS NULL THEN ['{doing}', NULL]
                    ELSE ['unchanged', bar] END
                WHEN older THEN ['skipped', '{Remark.OLDER_THAN_LEDGER}']
                ELSE {first} END AS judgement
            FROM remarked
        )
        SELECT
            key, event_id, fingerprint, value, currency, event_time, updated_at,
            judgement[1] AS verdict, judgement[2] AS reason,
            CASE judgement[1] {actions} END AS action,
            CAST(previous * 0.0001 AS DECIMAL(18, 4)) AS previous_value, previous_currency, absent, present,
            said AS ledger_reason
        FROM judged
        WHERE judgement IS NOT NULL AND NOT (judgement[1] = 'unchanged' AND judgement[2] IS NULL)
    """


def _sql(flag: bool) -> str:
    return "true" if flag else "false"
