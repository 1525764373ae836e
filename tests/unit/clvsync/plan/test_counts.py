from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.plan import OUTCOMES, Counts, Miscounted, Plan, Verdict


@given(st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(0, 1000))), st.integers(-3, 3))
def test_a_row_that_went_missing_is_noticed(outcomes: list[tuple[str, int]], missing: int) -> None:
    counts = Counts(read=sum(rows for _, rows in outcomes) + missing)
    for outcome, rows in outcomes:
        counts.count(outcome, rows, "because")
    if missing:
        with pytest.raises(Miscounted, match="accounted for"):
            counts.check()
    else:
        counts.check()
        assert counts.reasons.total() == counts.read


def test_more_rows_cannot_be_restated_than_were_taken() -> None:
    with pytest.raises(Miscounted):
        Counts(read=1, accepted=1, restated=2).check()


def test_an_outcome_has_to_be_one() -> None:
    with pytest.raises(ValueError, match="no outcome"):
        Counts().count("lost", 1)


def test_rows_that_a_stopped_delivery_never_reached_are_held() -> None:
    settled = Counts(read=10)
    settled.count("unchanged", 4)
    plan = Plan(settled, {Verdict.SEND: 6}, members=4)
    delivered = Counts()
    delivered.count("accepted", 2)
    delivered.sent({"EUR": Decimal("3.50")})
    counts = plan.outcome(delivered, "credentials_refused")
    assert (counts.accepted, counts.held, counts.unchanged) == (2, 4, 4)
    assert counts.as_dict()["reasons"] == {"credentials_refused": 4}
    assert counts.as_dict()["value_sent"] == {"EUR": "3.50"}
    delivered.count("accepted", 5)
    with pytest.raises(Miscounted):
        plan.outcome(delivered)


def test_json_names_every_outcome_once() -> None:
    assert list(Counts().as_dict()) == [
        "read",
        "absent",
        "accepted",
        "restated",
        "pending",
        "in_doubt",
        "unchanged",
        "held",
        "rejected",
        "skipped",
        "removed",
        "value_sent",
        "reasons",
    ]
