"""The join is held against a judge that looks at one row at a time and is written from the rules alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clvsync.ledger import ENTRIES
from clvsync.plan import Plan, Remark, Rules, Tolerance, Verdict, difference
from connectors.errors import FixConfiguration
from connectors.types import INSTANT, MONEY, Reason

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEN_PERCENT = Tolerance(relative=Decimal("0.1"))
ROWS = pa.schema(
    [
        ("key", pa.string()),
        ("event_id", pa.string()),
        ("fingerprint", pa.int64()),
        ("value", MONEY),
        ("currency", pa.string()),
        ("event_time", INSTANT),
        ("updated_at", INSTANT),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Row:
    key: str | None = "a"
    value: Decimal | None = Decimal(100)
    currency: str | None = "EUR"
    fingerprint: int = 1
    age: timedelta = timedelta(days=2)
    updated_at: datetime = NOW
    reason: str | None = None

    def columns(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "event_id": f"event-{self.key}",
            "fingerprint": self.fingerprint,
            "value": self.value,
            "currency": self.currency,
            "event_time": NOW - self.age,
            "updated_at": self.updated_at,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Known:
    key: str = "a"
    state: str = "accepted"
    value: Decimal | None = Decimal(100)
    currency: str | None = "EUR"
    fingerprint: int | None = 1
    present: bool = True
    updated_at: datetime = NOW - timedelta(days=1)
    reason: str = ""

    def columns(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "state": self.state,
            "fingerprint": self.fingerprint,
            "value": None if self.value is None else int(self.value * 10_000),
            "currency": self.currency or "",
            "present": int(self.present),
            "event_time": None,
            "updated_at": int(self.updated_at.timestamp() * 1_000_000),
            "reason": self.reason,
        }


@pytest.fixture(scope="module")
def workspace() -> Iterator[Any]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def plan(
    workspace: Any, rows: list[Row], known: list[Known], rules: Rules
) -> tuple[Plan, list[dict[str, Any]]]:
    given = pa.Table.from_pylist([row.columns() for row in rows], schema=ROWS)
    workspace.register("given", given)
    workspace.execute("CREATE OR REPLACE TABLE rows AS SELECT * FROM given")
    workspace.unregister("given")
    ledger = pa.Table.from_pylist([entry.columns() for entry in known], schema=ENTRIES)
    result = difference(workspace, ledger.to_reader(), rules, NOW)
    return result, workspace.execute("SELECT * FROM plan ORDER BY key").to_arrow_table().to_pylist()


def verdict(workspace: Any, row: Row | None, known: Known | None, rules: Rules) -> tuple[str, str | None]:
    """Of a single key, read off the counts so that unchanged rows show too."""
    result, rows = plan(workspace, [row] if row else [], [known] if known else [], rules)
    result.held("test").check()
    if rows:
        return rows[0]["verdict"], rows[0]["reason"]
    assert result.settled.unchanged == (1 if row else 0)
    return ("unchanged", None) if row else ("", None)


GOOGLE = Rules(TEN_PERCENT, restates=True, resends=True, restate_window=timedelta(days=55))
META = Rules(TEN_PERCENT)
AUDIENCE = Rules(TEN_PERCENT, updates=True, removes=True, resends=True)


@pytest.mark.parametrize(
    ("row", "known", "rules", "expected"),
    [
        (Row(), None, GOOGLE, ("send", None)),
        (Row(), None, replace(GOOGLE, sent_by_site=True), ("restate", None)),
        (
            Row(age=timedelta(days=56)),
            None,
            replace(GOOGLE, sent_by_site=True),
            ("skipped", "restate_window_over"),
        ),
        (
            Row(value=Decimal(0)),
            None,
            replace(GOOGLE, sent_by_site=True),
            ("skipped", "restate_to_zero"),
        ),
        (Row(), None, replace(META, sent_by_site=True), ("send", None)),
        (Row(reason=Reason.TOO_OLD), None, GOOGLE, ("rejected", "too_old")),
        (Row(reason=Reason.NO_CONSENT), None, GOOGLE, ("skipped", "no_consent")),
        (Row(), Known(), GOOGLE, ("unchanged", None)),
        (Row(value=Decimal("110.0000")), Known(), GOOGLE, ("unchanged", None)),
        (Row(value=Decimal("110.0001")), Known(), GOOGLE, ("restate", None)),
        (Row(value=Decimal("89.9999")), Known(), GOOGLE, ("restate", None)),
        (Row(currency="USD"), Known(), GOOGLE, ("restate", None)),
        (Row(fingerprint=2), Known(), GOOGLE, ("unchanged", None)),
        (Row(value=Decimal(200)), Known(), META, ("unchanged", "not_restatable")),
        (Row(value=Decimal(200), age=timedelta(days=55)), Known(), GOOGLE, ("restate", None)),
        (
            Row(value=Decimal(200), age=timedelta(days=55, microseconds=1)),
            Known(),
            GOOGLE,
            ("unchanged", "restate_window_over"),
        ),
        (
            Row(value=Decimal(200), updated_at=NOW - timedelta(1)),
            Known(),
            GOOGLE,
            ("unchanged", "older_than_ledger"),
        ),
        (Row(value=Decimal(0)), Known(), GOOGLE, ("unchanged", "restate_to_zero")),
        (Row(value=Decimal(0)), Known(), replace(GOOGLE, restate_to_zero=True), ("restate", None)),
        (Row(value=Decimal(200), reason="too_old"), Known(), GOOGLE, ("unchanged", "too_old")),
        (Row(reason="too_old"), Known(), GOOGLE, ("unchanged", None)),
        (Row(reason="no_consent"), Known(), GOOGLE, ("unchanged", "no_consent")),
        (Row(value=Decimal(200)), Known(state="pending", present=False), GOOGLE, ("pending", None)),
        (Row(), Known(state="planned", present=False), GOOGLE, ("pending", None)),
        (Row(), Known(state="sent", present=False), GOOGLE, ("in_doubt", "answer_lost")),
        (
            Row(),
            Known(state="in_doubt", present=False, reason="answer_lost"),
            GOOGLE,
            ("in_doubt", "answer_lost"),
        ),
        (Row(value=Decimal(200)), Known(state="in_doubt", present=False), GOOGLE, ("restate", None)),
        (
            Row(value=Decimal(200)),
            Known(state="in_doubt", present=False, reason="answer_lost"),
            META,
            ("in_doubt", "answer_lost"),
        ),
        (
            Row(value=Decimal(109)),
            Known(state="rejected", present=False, reason="bad_identifier"),
            GOOGLE,
            ("rejected", "bad_identifier"),
        ),
        (Row(fingerprint=2), Known(state="rejected", present=False, reason="x"), GOOGLE, ("send", None)),
        (Row(value=Decimal(111)), Known(state="rejected", present=False, reason="x"), META, ("send", None)),
        (Row(), Known(state="rejected", present=False, fingerprint=None), META, ("send", None)),
        (Row(value=Decimal(200)), Known(state="rejected", reason="x"), GOOGLE, ("restate", None)),
        (
            Row(fingerprint=2, updated_at=NOW - timedelta(2)),
            Known(state="rejected", reason="x"),
            GOOGLE,
            ("rejected", "x"),
        ),
        (Row(reason="too_old"), Known(state="rejected", reason="x"), GOOGLE, ("rejected", "too_old")),
        (Row(value=Decimal(105)), Known(), AUDIENCE, ("unchanged", None)),
        (Row(value=Decimal(200)), Known(), AUDIENCE, ("update", None)),
        (Row(fingerprint=2), Known(), AUDIENCE, ("update", None)),
        (Row(value=None, currency=None), Known(value=None, currency=None), AUDIENCE, ("unchanged", None)),
        (Row(value=None), Known(), AUDIENCE, ("update", None)),
        (Row(reason="no_consent"), Known(), AUDIENCE, ("remove", "no_consent")),
        (Row(reason="no_consent"), Known(state="rejected"), AUDIENCE, ("remove", "no_consent")),
        (
            Row(reason="no_consent"),
            Known(state="in_doubt", present=False),
            AUDIENCE,
            ("remove", "no_consent"),
        ),
        (Row(reason="no_consent"), Known(state="pending"), AUDIENCE, ("pending", None)),
        (
            Row(reason="no_consent"),
            Known(state="removed", present=False),
            AUDIENCE,
            ("skipped", "no_consent"),
        ),
        (Row(), Known(state="removed", present=False), AUDIENCE, ("send", None)),
        (
            Row(updated_at=NOW - timedelta(2)),
            Known(state="removed", present=False),
            AUDIENCE,
            ("skipped", "older_than_ledger"),
        ),
        (None, Known(), AUDIENCE, ("remove", None)),
        (None, Known(), GOOGLE, ("", None)),
        (None, Known(state="removed", present=False), AUDIENCE, ("", None)),
        (None, Known(state="rejected", present=False), AUDIENCE, ("", None)),
        (None, Known(state="pending", present=False), AUDIENCE, ("pending", "not_settled")),
    ],
)
def test_verdicts(
    workspace: Any,
    row: Row | None,
    known: Known | None,
    rules: Rules,
    expected: tuple[str, str | None],
) -> None:
    assert verdict(workspace, row, known, rules) == expected


def test_the_larger_of_two_tolerances_counts(workspace: Any) -> None:
    both = replace(GOOGLE, tolerance=Tolerance(Decimal("0.1"), Decimal(5)))
    small, large = Known(value=Decimal(10)), Known(value=Decimal(1000))
    assert verdict(workspace, Row(value=Decimal(15)), small, both)[0] == "unchanged"
    assert verdict(workspace, Row(value=Decimal("15.01")), small, both)[0] == "restate"
    assert verdict(workspace, Row(value=Decimal(1100)), large, both)[0] == "unchanged"
    assert verdict(workspace, Row(value=Decimal(1101)), large, both)[0] == "restate"


def test_what_is_to_be_done_carries_what_was_there(workspace: Any) -> None:
    _, (row,) = plan(workspace, [Row(value=Decimal("123.4567"))], [Known(value=Decimal("99.9999"))], GOOGLE)
    assert (row["action"], row["value"], row["previous_value"], row["previous_currency"]) == (
        "restate",
        Decimal("123.4567"),
        Decimal("99.9999"),
        "EUR",
    )
    assert (row["event_id"], row["event_time"]) == ("event-a", NOW - timedelta(days=2))


def test_of_rows_with_one_key_the_newest_counts(workspace: Any) -> None:
    rows = [
        Row(value=Decimal(3), updated_at=NOW - timedelta(1)),
        Row(value=Decimal(1)),
        Row(value=Decimal(2)),
        Row(key="b"),
    ]
    result, planned = plan(workspace, rows, [], GOOGLE)
    assert [(row["key"], row["value"]) for row in planned] == [("a", Decimal(2)), ("b", Decimal(100))]
    assert result.settled.skipped == 2
    assert result.settled.reasons == Counter({str(Remark.DUPLICATE_KEY): 2})
    result.held("test").check()


@pytest.mark.parametrize("rules", [GOOGLE, AUDIENCE])
def test_rows_without_a_key_are_rejected(workspace: Any, rules: Rules) -> None:
    rows = [Row(key=None), Row(key=None), Row(key=""), Row(key=""), Row(key="b"), Row(key="b")]
    result, planned = plan(workspace, rows, [Known(key="b")], rules)
    assert planned == []
    assert result.settled.reasons == Counter({"missing_key": 4, "duplicate_key": 1})
    assert (result.settled.rejected, result.settled.skipped, result.settled.unchanged) == (4, 1, 1)
    result.held("test").check()


@pytest.mark.parametrize("key", ["ada@example.com", " ada@example.co.uk "])
def test_addresses_are_refused_as_keys_without_being_told(workspace: Any, key: str) -> None:
    with pytest.raises(FixConfiguration, match="look like e-mail addresses") as raised:
        plan(workspace, [Row(key=key)], [], GOOGLE)
    assert "ada" not in str(raised.value)


def test_an_at_sign_alone_is_no_address(workspace: Any) -> None:
    assert verdict(workspace, Row(key="order@7"), None, GOOGLE)[0] == "send"


def reference(row: Row | None, known: Known | None, rules: Rules) -> str:
    """The rules as prose has them, for one key."""
    if row is None:
        assert known is not None
        return _absent(known, rules)
    barred = row.reason
    if known is not None and known.state == "sent":
        return "in_doubt"
    if known is not None and known.state in ("planned", "pending"):
        return "pending"
    on_platform = known is not None and (known.present or known.state == "in_doubt")
    if rules.removes and on_platform and barred == "no_consent":
        return "remove"
    if (known is None or known.state in ("removed", "rejected")) and barred is not None:
        return "rejected" if Reason(barred).rejects else "skipped"
    if known is None:
        return "send"
    if known.state == "removed":
        return "send" if row.updated_at >= known.updated_at else "skipped"
    moved = _moved(row, known, rules.tolerance)
    changed = row.fingerprint != known.fingerprint
    again = _again(row, known, rules)
    if known.state == "in_doubt":
        differs = moved or (rules.updates and changed)
        return again if rules.resends and barred is None and differs and again != "unchanged" else "in_doubt"
    if known.state == "rejected":
        if row.updated_at < known.updated_at or not (moved or changed):
            return "rejected"
        return again if known.present else "send"
    differs = moved or (rules.updates and changed)
    return again if differs and barred is None else "unchanged"


def _absent(known: Known, rules: Rules) -> str:
    if not rules.removes:
        return ""
    if known.state in ("planned", "sent", "pending"):
        return "pending"
    return "remove" if known.present or known.state == "in_doubt" else ""


def _moved(row: Row, known: Known, tolerance: Tolerance) -> bool:
    if (row.currency or "") != (known.currency or ""):
        return True
    if row.value is None or known.value is None:
        return (row.value is None) != (known.value is None)
    allowed = max(abs(known.value) * tolerance.relative, tolerance.absolute)
    return abs(row.value - known.value) > allowed


def _again(row: Row, known: Known, rules: Rules) -> str:
    if row.updated_at <= known.updated_at:
        return "unchanged"
    if rules.updates:
        return "update"
    if not rules.restates:
        return "unchanged"
    if rules.restate_window is not None and row.age > rules.restate_window:
        return "unchanged"
    return "unchanged" if row.value == 0 and not rules.restate_to_zero else "restate"


KEYS = st.sampled_from([f"k{index}" for index in range(12)])
VALUES = st.one_of(
    st.none(),
    st.sampled_from([Decimal(0), Decimal(90), Decimal(100), Decimal(110), Decimal("110.0001"), Decimal(200)]),
    st.decimals(0, 10**6, places=4),
)
CURRENCIES = st.sampled_from(["EUR", "EUR", "USD", None])
VERSIONS = st.sampled_from([NOW - timedelta(2), NOW - timedelta(1), NOW])
ROW = st.builds(
    Row,
    key=KEYS,
    value=VALUES,
    currency=CURRENCIES,
    fingerprint=st.integers(1, 2),
    age=st.sampled_from([timedelta(1), timedelta(55), timedelta(80)]),
    updated_at=VERSIONS,
    reason=st.sampled_from([None, None, None, "no_consent", "too_old", "no_identifier"]),
)
KNOWN = st.builds(
    Known,
    key=KEYS,
    state=st.sampled_from(["planned", "sent", "pending", "in_doubt", "rejected"]),
    value=VALUES,
    currency=CURRENCIES,
    fingerprint=st.one_of(st.none(), st.integers(1, 2)),
    present=st.booleans(),
    updated_at=VERSIONS,
    reason=st.sampled_from(["", "bad_identifier"]),
) | st.builds(
    # What is accepted is present and what was removed is not.
    lambda known, removed: replace(
        known,
        state="removed" if removed else "accepted",
        present=not removed,
        fingerprint=known.fingerprint or 1,
    ),
    st.builds(Known, key=KEYS, value=VALUES, currency=CURRENCIES, updated_at=VERSIONS),
    st.booleans(),
)
RULES = st.builds(
    Rules,
    tolerance=st.sampled_from(
        [
            Tolerance(),
            TEN_PERCENT,
            Tolerance(absolute=Decimal("9.9999")),
            Tolerance(Decimal("0.1"), Decimal(20)),
        ]
    ),
    restates=st.booleans(),
    updates=st.booleans(),
    removes=st.booleans(),
    resends=st.booleans(),
    restate_window=st.sampled_from([None, timedelta(55)]),
    restate_to_zero=st.booleans(),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ROW, max_size=12, unique_by=lambda row: row.key),
    known=st.lists(KNOWN, max_size=12, unique_by=lambda entry: entry.key),
    rules=RULES,
)
def test_the_join_judges_as_one_row_at_a_time_would(
    workspace: Any, rows: list[Row], known: list[Known], rules: Rules
) -> None:
    result, planned = plan(workspace, rows, known, rules)
    by_key = {row.key: row for row in rows}
    entries = {entry.key: entry for entry in known}
    expected = {
        key: reference(by_key.get(key), entries.get(str(key)), rules)
        for key in by_key.keys() | entries.keys()
    }
    found = dict.fromkeys(by_key, "unchanged") | {row["key"]: row["verdict"] for row in planned}
    assert found == {key: judged for key, judged in expected.items() if judged}

    assert result.settled.read == len(rows)
    assert sum(result.to_do.values()) == sum(1 for row in planned if row["action"] is not None)
    assert set(result.to_do) <= {Verdict.SEND, Verdict.RESTATE, Verdict.UPDATE, Verdict.REMOVE}
    counts = result.held("test")
    assert counts.held == result.rows_to_do


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=30), known=st.lists(KNOWN, max_size=8, unique_by=lambda entry: entry.key))
def test_every_row_is_accounted_for_whatever_repeats(
    workspace: Any, rows: list[Row], known: list[Known]
) -> None:
    result, planned = plan(workspace, rows, known, AUDIENCE)
    result.held("test").check()
    keys = [row["key"] for row in planned]
    assert len(keys) == len(set(keys))
