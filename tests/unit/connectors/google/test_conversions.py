"""The destination itself: settings, capabilities, what it refuses before anything is sent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import BatchRefused, FixConfiguration, RetryLater
from connectors.google import facts
from connectors.google.account import AccessToken, GoogleAccount
from connectors.google.conversions import GoogleConversions
from connectors.types import Action, Destination, Kind, Reason
from tests.unit.connectors.google.rows import NOW, conversion, table

# Nothing listens on port 9 (discard) of this machine: what is sent comes back as not reachable.
ACCOUNT = GoogleAccount(
    "123-456-7890",
    credentials=AccessToken("token"),
    data_manager_url="http://127.0.0.1:9",
    timeout=timedelta(seconds=2),
)


def test_it_is_a_destination() -> None:
    destination = GoogleConversions(ACCOUNT, "987")
    assert isinstance(destination, Destination)
    assert destination.kind is Kind.CONVERSIONS
    assert destination.address == "google/1234567890/conversions/987"
    can = destination.capabilities
    assert (can.rows_per_request, can.restates, can.removes, can.settles_later) == (2000, True, False, True)
    assert (can.resend_window, can.reach, can.first_poll) == (
        None,
        facts.UPLOAD_WINDOW,
        facts.FIRST_STATUS_POLL,
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"conversion_action_id": "customers/1/conversionActions/2"},
        {"event_source": "web"},
        {"lookback": timedelta(days=91)},
        {"lookback": timedelta(0)},
        {"default_region": "Atlantis"},
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(FixConfiguration):
        GoogleConversions(ACCOUNT, **({"conversion_action_id": "987"} | settings))


def test_restating_to_zero_is_refused_row_by_row_unless_allowed() -> None:
    rows = table(conversion(1), conversion(2, value=Decimal(0)), conversion(3, value=Decimal("0.0001")))
    destination = GoogleConversions(ACCOUNT, "987")
    wire = destination.shape(rows, NOW).table
    with pytest.raises(BatchRefused) as caught:
        destination.send(wire, Action.RESTATE)
    assert [(rejection.index, rejection.reason) for rejection in caught.value.rejections] == [
        (1, Reason.NO_VALUE)
    ]
    # A first value of 0, and a restatement that was allowed, go out: here, to where nobody answers.
    with pytest.raises(RetryLater, match="could not be reached"):
        destination.send(wire, Action.ADD)
    with pytest.raises(RetryLater, match="could not be reached"):
        GoogleConversions(ACCOUNT, "987", allow_zero_restatement=True).send(wire, Action.RESTATE)


def test_a_conversion_cannot_be_taken_back() -> None:
    destination = GoogleConversions(ACCOUNT, "987")
    with pytest.raises(FixConfiguration, match="taken back"):
        destination.send(destination.shape(table(conversion()), NOW).table, Action.REMOVE)
