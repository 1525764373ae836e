"""Conversions delivered to the sandbox: taken, restated, refused, lost on the way, settled."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import (
    BatchRefused,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.google import facts
from connectors.google.account import AccessToken, GoogleAccount, OAuthUser
from connectors.google.conversions import GoogleConversions
from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.google_accounts import BID_ON_ACTION_ID, MANAGER_ID, SISTER_ID
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.oauth import REVOKED_REFRESH_TOKEN
from connectors.sandbox.server import Sandbox
from connectors.types import Action, Reason, SettlementState, Table
from tests.unit.connectors.google.rows import conversion, table, with_presence

EVENTS_PATH = "/v1/events:ingest"


def wire(destination: GoogleConversions, *rows: dict[str, Any]) -> Table:
    shaped = destination.shape(table(*rows), datetime.now(UTC))
    assert shaped.rejections == ()
    return shaped.table


def recent(number: int = 1, **changes: Any) -> dict[str, Any]:
    return conversion(number, datetime.now(UTC), **changes)


def kept(sandbox: Sandbox) -> dict[str, float | None]:
    """transaction id → value of every conversion at the sandbox."""
    with sandbox.state.lock:
        conversions = sandbox.state.part(GoogleState).conversions.values()
        return {str(each.transaction_id): each.value for each in conversions}


def strike(sandbox: Sandbox, kind: FaultKind, **settings: Any) -> None:
    sandbox.faults.add(Fault(kind, Platform.GOOGLE_DATA_MANAGER, path=EVENTS_PATH, **settings))


def test_what_is_eligible_is_taken_and_settles(sandbox: Sandbox, destination: GoogleConversions) -> None:
    person = {"email": "Jane.Doe@gmail.com", "phone": "030 901820", "first_name": "Jane", "last_name": "Doe"}
    rows = [
        recent(1),
        recent(2, gclid=None, wbraid="w2", **person, postcode="10115", country="DE"),
        recent(3, gclid=None, email="someone@example.com", ad_user_data=None, ad_personalization=None),
    ]
    eligible = destination.eligibility(with_presence(table(*rows)), datetime.now(UTC))
    assert eligible.to_pylist() == [None, None, None]
    receipt = destination.send(wire(destination, *rows), Action.ADD)
    assert receipt.request_id is not None
    assert (receipt.settled, receipt.rejections, receipt.unplaced) == (False, (), 0)
    assert destination.settle(receipt.request_id).state is SettlementState.ACCEPTED
    assert kept(sandbox) == {"order-1": 123.45, "order-2": 123.45, "order-3": 123.45}


def test_a_newer_value_replaces_the_older_and_counts_once(
    sandbox: Sandbox, destination: GoogleConversions
) -> None:
    destination.send(wire(destination, recent(1)), Action.ADD)
    destination.send(
        wire(destination, recent(1, value=Decimal("80.10"), updated_at=datetime.now(UTC))), Action.RESTATE
    )
    assert kept(sandbox) == {"order-1": 80.1}


def test_a_full_request_is_taken(sandbox: Sandbox, destination: GoogleConversions) -> None:
    size = destination.capabilities.rows_per_request
    receipt = destination.send(wire(destination, *(recent(number) for number in range(size))), Action.ADD)
    assert destination.settle(str(receipt.request_id)).state is SettlementState.ACCEPTED
    assert len(kept(sandbox)) == size


def test_many_threads_share_one_destination(sandbox: Sandbox, destination: GoogleConversions) -> None:
    requests = [wire(destination, recent(number)) for number in range(12)]
    with ThreadPoolExecutor(destination.capabilities.concurrency) as pool:
        receipts = list(pool.map(lambda rows: destination.send(rows, Action.ADD), requests))
        settled = list(pool.map(lambda receipt: destination.settle(str(receipt.request_id)), receipts))
    assert len({receipt.request_id for receipt in receipts}) == len(kept(sandbox)) == 12
    assert {settlement.state for settlement in settled} == {SettlementState.ACCEPTED}


def test_requests_keep_to_the_quotas_pace(destination: GoogleConversions) -> None:
    rows = wire(destination, recent())
    destination.send(rows, Action.ADD)
    started = time.monotonic()
    for _ in range(3):
        destination.send(rows, Action.ADD)
    assert time.monotonic() - started >= 2 * 60 / facts.REQUESTS_PER_MINUTE


def test_the_rows_that_google_refuses_are_placed_and_the_rest_goes(
    sandbox: Sandbox, destination: GoogleConversions
) -> None:
    rows = wire(destination, recent(0), recent(1), recent(2))
    # As if a row had slipped by our own rules.
    spoilt = rows.set_column(5, "currency", [["EUR", "EURO", "EUR"]])
    with pytest.raises(BatchRefused) as caught:
        destination.send(spoilt, Action.ADD)
    [rejection] = caught.value.rejections
    assert (rejection.index, rejection.reason) == (1, Reason.REFUSED_BY_PLATFORM)
    assert "INVALID_CURRENCY_CODE" in rejection.words
    assert kept(sandbox) == {}
    destination.send(rows.take([0, 2]), Action.ADD)
    assert set(kept(sandbox)) == {"order-0", "order-2"}


def test_a_throttled_request_is_sent_later(sandbox: Sandbox, destination: GoogleConversions) -> None:
    strike(sandbox, FaultKind.THROTTLE, delay_seconds=12.5)
    with pytest.raises(RetryLater) as caught:
        destination.send(wire(destination, recent()), Action.ADD)
    assert type(caught.value) is RetryLater
    assert caught.value.delay == timedelta(seconds=12.5)
    assert kept(sandbox) == {}


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.HTML_ERROR])
def test_a_server_error_leaves_the_fate_open(
    sandbox: Sandbox, destination: GoogleConversions, kind: FaultKind
) -> None:
    strike(sandbox, kind)
    with pytest.raises(FateUnknown) as caught:
        destination.send(wire(destination, recent()), Action.ADD)
    assert "<" not in str(caught.value)


@pytest.mark.parametrize("taken", [True, False])
def test_a_lost_answer_leaves_the_fate_open_and_sending_again_counts_once(
    sandbox: Sandbox, account: GoogleAccount, taken: bool
) -> None:
    kind = FaultKind.TIMEOUT_AFTER_ACCEPT if taken else FaultKind.TIMEOUT_BEFORE_ACCEPT
    strike(sandbox, kind, hold_seconds=3)
    hurried = GoogleConversions(replace(account, timeout=timedelta(seconds=1)), BID_ON_ACTION_ID)
    rows = wire(hurried, recent())
    with pytest.raises(FateUnknown):
        hurried.send(rows, Action.ADD)
    assert len(kept(sandbox)) == int(taken)
    receipt = hurried.send(rows, Action.ADD)
    assert hurried.settle(str(receipt.request_id)).state is SettlementState.ACCEPTED
    assert kept(sandbox) == {"order-1": 123.45}
    hurried.close()


def test_a_dropped_connection_leaves_the_fate_open(sandbox: Sandbox, destination: GoogleConversions) -> None:
    strike(sandbox, FaultKind.TIMEOUT_AFTER_ACCEPT)
    with pytest.raises(FateUnknown):
        destination.send(wire(destination, recent()), Action.ADD)
    assert kept(sandbox) == {"order-1": 123.45}


def test_nothing_is_sent_twice_by_itself(sandbox: Sandbox, destination: GoogleConversions) -> None:
    rows = wire(destination, recent())
    destination.send(rows, Action.ADD)
    strike(sandbox, FaultKind.SERVER_ERROR, times=None)
    with pytest.raises(FateUnknown):
        destination.send(rows, Action.ADD)
    assert [request.path for request in sandbox.state.requests()].count(EVENTS_PATH) == 2


def test_failures_after_the_taking_come_as_counts(sandbox: Sandbox, destination: GoogleConversions) -> None:
    strike(sandbox, FaultKind.PARTIAL_FAILURE)
    receipt = destination.send(wire(destination, *(recent(number) for number in range(10))), Action.ADD)
    settlement = destination.settle(str(receipt.request_id))
    assert settlement.state is SettlementState.PARTIAL
    assert set(settlement.counts) == {"INTERNAL_ERROR"}
    assert 0 < sum(settlement.counts.values()) < 10
    assert settlement.retryable


def test_a_request_still_under_way_is_pending(sandbox: Sandbox, destination: GoogleConversions) -> None:
    with sandbox.state.lock:
        sandbox.state.part(GoogleState).settings.settle_after_seconds = 3600
    receipt = destination.send(wire(destination, recent()), Action.ADD)
    assert destination.settle(str(receipt.request_id)).state is SettlementState.PENDING


def test_clicks_that_google_does_not_know_fail_for_good(
    sandbox: Sandbox, destination: GoogleConversions
) -> None:
    with sandbox.state.lock:
        sandbox.state.part(GoogleState).settings.known_clicks_only = True
    receipt = destination.send(wire(destination, recent()), Action.ADD)
    settlement = destination.settle(str(receipt.request_id))
    assert settlement.state is SettlementState.FAILED
    assert sum(settlement.counts.values()) == 1
    assert not settlement.retryable


def test_a_request_that_google_does_not_know_leaves_its_rows_in_doubt(
    destination: GoogleConversions,
) -> None:
    settlement = destination.settle("no-such-request")
    assert settlement.state is SettlementState.PARTIAL
    assert list(settlement.counts.values()) == [0]
    assert not settlement.retryable


def test_a_refused_token_stops_and_calls(sandbox: Sandbox, account: GoogleAccount) -> None:
    gone = replace(account, credentials=OAuthUser("client", "secret", REVOKED_REFRESH_TOKEN))
    destination = GoogleConversions(gone, BID_ON_ACTION_ID)
    with pytest.raises(CredentialsRefused, match="invalid_grant"):
        destination.send(wire(destination, recent()), Action.ADD)
    stale = GoogleConversions(replace(account, credentials=AccessToken("unknown")), BID_ON_ACTION_ID)
    with pytest.raises(CredentialsRefused, match="nothing renews it"):
        stale.send(wire(stale, recent()), Action.ADD)
    assert kept(sandbox) == {}


def test_one_refused_token_is_renewed_without_a_word(
    sandbox: Sandbox, destination: GoogleConversions
) -> None:
    strike(sandbox, FaultKind.BAD_TOKEN)
    destination.send(wire(destination, recent()), Action.ADD)
    assert set(kept(sandbox)) == {"order-1"}


def test_a_sign_in_server_that_fails_is_tried_later(sandbox: Sandbox, destination: GoogleConversions) -> None:
    sandbox.faults.add(Fault(FaultKind.SERVER_ERROR, Platform.OAUTH, times=None))
    with pytest.raises(RetryLater) as caught:
        destination.send(wire(destination, recent()), Action.ADD)
    assert type(caught.value) is RetryLater


def test_a_server_that_is_not_there_took_nothing(account: GoogleAccount) -> None:
    destination = GoogleConversions(replace(account, data_manager_url="http://127.0.0.1:9"), BID_ON_ACTION_ID)
    with pytest.raises(RetryLater) as caught:
        destination.send(wire(destination, recent()), Action.ADD)
    assert type(caught.value) is RetryLater


@pytest.mark.parametrize(
    ("customer_id", "action_id"), [(None, "123"), (SISTER_ID, BID_ON_ACTION_ID), ("9999999999", "987")]
)
def test_a_wrong_place_is_a_matter_of_configuration(
    account: GoogleAccount, customer_id: str | None, action_id: str
) -> None:
    there = replace(account, customer_id=customer_id or account.customer_id)
    destination = GoogleConversions(there, action_id)
    with pytest.raises((FixConfiguration, CredentialsRefused)):
        destination.send(wire(destination, recent()), Action.ADD)


def test_a_manager_gives_access(sandbox: Sandbox, account: GoogleAccount) -> None:
    destination = GoogleConversions(replace(account, login_customer_id=MANAGER_ID), BID_ON_ACTION_ID)
    destination.send(wire(destination, recent()), Action.ADD)
    assert set(kept(sandbox)) == {"order-1"}
