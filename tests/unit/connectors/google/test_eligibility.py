"""Which conversions Google takes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.google import eligibility, facts
from connectors.types import Reason
from tests.unit.connectors.google.rows import NOW, conversion, table, with_presence


def reason(default_region: str | None = None, lookback_days: int = 90, **changes: Any) -> str | None:
    rows = with_presence(table(conversion(**changes)))
    answer = eligibility.conversions(
        rows, NOW, lookback=timedelta(days=lookback_days), default_region=default_region
    )
    [found] = answer.to_pylist()
    assert found is None or isinstance(found, str)
    return found


def days(count: float) -> timedelta:
    return timedelta(days=count)


def test_a_whole_row_goes() -> None:
    assert reason() is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": "  "}, Reason.MISSING_KEY),
        ({"event_id": ""}, Reason.MISSING_KEY),
        ({"event_time": None}, Reason.MISSING_KEY),
        ({"ad_user_data": False}, Reason.NO_CONSENT),
        ({"gclid": None}, Reason.NO_CLICK_OR_IDENTIFIER),
        ({"wbraid": "w"}, Reason.SEVERAL_CLICK_IDS),
        ({"value": None}, Reason.NO_VALUE),
        ({"value": Decimal("-0.01")}, Reason.NO_VALUE),
        ({"currency": "eur"}, Reason.UNKNOWN_CURRENCY),
        ({"currency": None}, Reason.UNKNOWN_CURRENCY),
        ({"event_time": NOW + timedelta(seconds=1)}, Reason.IN_FUTURE),
        ({"click_time": NOW - days(1)}, Reason.BEFORE_CLICK),
        ({"event_time": NOW - days(1), "click_time": NOW - days(92)}, Reason.CLICK_TOO_OLD),
        ({"event_time": NOW - days(20), "click_time": NOW - days(91)}, Reason.TOO_OLD),
        ({"event_time": NOW - days(91), "click_time": None}, Reason.TOO_OLD),
        ({"event_time": NOW, "click_time": NOW - days(0.25) + timedelta(seconds=1)}, Reason.TOO_RECENT),
    ],
)
def test_each_rule_has_its_reason(changes: dict[str, Any], expected: Reason) -> None:
    assert reason(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"ad_user_data": None, "ad_personalization": None},
        {"ad_personalization": False},
        {"value": Decimal(0)},
        {"click_time": None},
        {"event_time": NOW - days(3), "click_time": NOW - days(3)},
        {"event_time": NOW, "click_time": NOW - days(1)},
        {"event_time": NOW, "click_time": NOW - days(0.25)},
        {"event_time": NOW, "click_time": NOW, "gclid": None, "email": "jane@example.com"},
        {"gclid": None, "email": "jane@example.com"},
        {"gclid": None, "phone": "1"},
        {"gclid": None, "first_name": "a", "last_name": "b", "postcode": "1", "country": "DE"},
        {"event_time": NOW - days(89), "click_time": NOW - facts.UPLOAD_WINDOW},
    ],
)
def test_what_the_rules_leave_alone(changes: dict[str, Any]) -> None:
    assert reason(**changes) is None


def test_part_of_an_address_is_nobody() -> None:
    part: dict[str, Any] = {"gclid": None, "first_name": "a", "last_name": "b", "postcode": "1"}
    assert reason(**part) == Reason.NO_CLICK_OR_IDENTIFIER
    assert reason(default_region="DE", **part) is None


def test_the_actions_own_lookback_decides() -> None:
    changes: dict[str, Any] = {"event_time": NOW - days(1), "click_time": NOW - days(9)}
    assert reason(lookback_days=7, **changes) == Reason.CLICK_TOO_OLD
    assert reason(lookback_days=8, **changes) is None


def test_rows_are_judged_one_by_one() -> None:
    rows = with_presence(
        table(conversion(1, currency="XX"), conversion(2), conversion(3, ad_user_data=False, currency="XX"))
    )
    answer = eligibility.conversions(rows, NOW, lookback=timedelta(days=90))
    assert answer.to_pylist() == [Reason.UNKNOWN_CURRENCY, None, Reason.NO_CONSENT]


def test_no_rows_give_no_reasons() -> None:
    assert len(eligibility.conversions(with_presence(table()), NOW, lookback=timedelta(days=90))) == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"event_time": NOW - facts.TAG_CONVERSION_WAIT + timedelta(seconds=1)}, Reason.TOO_RECENT),
        ({"event_time": NOW - facts.TAG_CONVERSION_WAIT}, None),
        ({"gclid": None, "email": "someone@example.com"}, Reason.NO_CLICK_OR_IDENTIFIER),
        ({"gclid": None, "wbraid": "w"}, None),
    ],
)
def test_what_the_sites_tag_cannot_have_recorded_does_not_go(
    changes: dict[str, Any], expected: Reason | None
) -> None:
    rows = with_presence(table(conversion(**changes)))
    found = eligibility.conversions(rows, NOW, lookback=days(90), sent_by_site=True)
    assert found.to_pylist() == [expected]
