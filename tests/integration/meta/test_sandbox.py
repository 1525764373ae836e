"""Both destinations through the real SDK against the stand-in platform, written from the rules alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pydantic import SecretStr

from connectors.errors import (
    BatchRefused,
    ConnectorError,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.meta.account import MetaAccount
from connectors.meta.audience import MetaAudience
from connectors.meta.events import MetaEvents
from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.meta_state import AdAccount, Audience, Dataset, MetaState
from connectors.sandbox.server import Sandbox
from connectors.types import Action, Severity, Table
from tests.unit.connectors.meta.rows import NOW, conversion, conversions, member, members

DATASET = "2001"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(clock=lambda: NOW) as started:
        yield started


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.state.reset()
    server.faults.clear()
    return server


def account(sandbox: Sandbox, token: str = "sandbox-token", **settings: Any) -> MetaAccount:
    return MetaAccount(
        "1001", SecretStr(token), graph_url=sandbox.http_url, timeout=timedelta(seconds=5), **settings
    )


def dataset(sandbox: Sandbox) -> Dataset:
    return sandbox.state.part(MetaState).datasets[DATASET]


def ad_account(sandbox: Sandbox) -> AdAccount:
    return sandbox.state.part(MetaState).accounts["1001"]


def only_audience(sandbox: Sandbox) -> Audience:
    [audience] = sandbox.state.part(MetaState).audiences.values()
    return audience


def some_events(count: int, **changes: Any) -> Table:
    return conversions(*(conversion(number, **changes) for number in range(count)))


def test_a_thousand_events_arrive_with_their_values(sandbox: Sandbox) -> None:
    events = MetaEvents(account(sandbox, app_secret=SecretStr("s3cret")), DATASET)
    shaped = events.shape(some_events(1000), NOW)
    receipt = events.send(shaped.table, Action.ADD)
    assert receipt.request_id
    assert receipt.unplaced == 0
    kept = dataset(sandbox).events
    assert len(kept) == 1000
    assert {event.content["custom_data"]["value"] for event in kept} == {129.9}
    assert len({event.content["event_id"] for event in kept}) == 1000


def test_events_sent_twice_are_kept_once(sandbox: Sandbox) -> None:
    events = MetaEvents(account(sandbox), DATASET)
    shaped = events.shape(some_events(3), NOW).table
    sandbox.faults.add(Fault(FaultKind.TIMEOUT_AFTER_ACCEPT, Platform.META))
    with pytest.raises(FateUnknown):
        events.send(shaped, Action.ADD)
    events.send(shaped, Action.ADD)
    assert len(dataset(sandbox).events) == 3


def test_one_old_event_refuses_the_batch_and_says_why(sandbox: Sandbox) -> None:
    events = MetaEvents(account(sandbox), DATASET)
    # Shaped in time, sent too late.
    old = conversion(1, event_time=NOW - timedelta(days=7, hours=1))
    shaped = events.shape(conversions(old, conversion(2)), NOW - timedelta(hours=1, seconds=1)).table
    shaped = pa.concat_tables([shaped, events.shape(some_events(3), NOW).table])
    with pytest.raises(BatchRefused) as refused:
        events.send(shaped, Action.ADD)
    assert refused.value.reason == "too_old"
    assert dataset(sandbox).received == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.THROTTLE, RetryLater),
        (FaultKind.SERVER_ERROR, FateUnknown),
        (FaultKind.HTML_ERROR, FateUnknown),
        (FaultKind.TIMEOUT_AFTER_ACCEPT, FateUnknown),
        (FaultKind.TIMEOUT_BEFORE_ACCEPT, FateUnknown),
        (FaultKind.BAD_TOKEN, CredentialsRefused),
    ],
)
def test_faults(sandbox: Sandbox, kind: FaultKind, expected: type[ConnectorError]) -> None:
    events = MetaEvents(account(sandbox), DATASET)
    shaped = events.shape(some_events(2), NOW).table
    sandbox.faults.add(Fault(kind, Platform.META, delay_seconds=120))
    with pytest.raises(ConnectorError) as failure:
        events.send(shaped, Action.ADD)
    assert type(failure.value) is expected
    assert "sandbox-token" not in str(failure.value)
    if kind is FaultKind.THROTTLE:
        assert isinstance(failure.value, RetryLater)
        assert failure.value.delay == timedelta(minutes=2)
    assert events.send(shaped, Action.ADD).unplaced == 0


def test_members_are_added_refreshed_and_taken_out(sandbox: Sandbox) -> None:
    audience = MetaAudience(account(sandbox), "Tier A", value_based=True, labels=["HIGH_VALUE_CUSTOMERS"])
    audience.prepare()
    first = members(*(member(number) for number in range(5)))
    assert audience.send(audience.shape(first, NOW).table, Action.ADD).unplaced == 0
    dearer = members(member(0, value=Decimal("999.99")))
    audience.send(audience.shape(dearer, NOW).table, Action.ADD)
    audience.send(pa.table({"key": ["customer-1", "customer-2"]}), Action.REMOVE)
    kept = only_audience(sandbox)
    assert kept.is_value_based
    assert {one.identifiers["EXTERN_ID"]: one.value for one in kept.members.values()} == {
        "customer-0": 999.99,
        "customer-3": 250.5,
        "customer-4": 250.5,
    }


def test_an_audience_is_made_once(sandbox: Sandbox) -> None:
    for _ in range(2):
        audience = MetaAudience(account(sandbox), "Tier A", value_based=False)
        audience.prepare()
        audience.close()
    assert only_audience(sandbox).name == "Tier A"


def test_an_audience_whose_making_was_lost_is_found_again(sandbox: Sandbox) -> None:
    audience = MetaAudience(account(sandbox), "Tier A", value_based=True)
    sandbox.faults.add(Fault(FaultKind.TIMEOUT_AFTER_ACCEPT, Platform.META, skip=1))
    with pytest.raises(FateUnknown):
        audience.prepare()
    audience.prepare()
    assert audience.send(audience.shape(members(member()), NOW).table, Action.ADD).unplaced == 0
    assert len(only_audience(sandbox).members) == 1


def test_ten_thousand_members_in_one_request(sandbox: Sandbox) -> None:
    audience = MetaAudience(account(sandbox), "Tier A", value_based=True)
    audience.prepare()
    table = audience.shape(members(*(member(number) for number in range(10_000))), NOW).table
    assert audience.send(table, Action.ADD).words == "10000 received, 0 invalid"


def test_failures_that_are_only_counted_leave_the_request_in_doubt(sandbox: Sandbox) -> None:
    audience = MetaAudience(account(sandbox), "Tier A", value_based=True)
    audience.prepare()
    sandbox.faults.add(Fault(FaultKind.PARTIAL_FAILURE, Platform.META))
    table = audience.shape(members(*(member(number) for number in range(10))), NOW).table
    assert audience.send(table, Action.ADD).unplaced > 0


def test_check_of_a_healthy_account_finds_nothing_wrong(sandbox: Sandbox) -> None:
    events = MetaEvents(account(sandbox), DATASET, clock=lambda: NOW)
    audience = MetaAudience(account(sandbox), "Tier A", value_based=True, clock=lambda: NOW)
    findings = [*events.check(), *audience.check()]
    assert len(findings) >= 10
    assert {finding.severity for finding in findings} <= {Severity.OK, Severity.INFO}


@pytest.mark.parametrize("token", ["expired-token", "read-only-token", "made-up-token"])
def test_check_tells_of_a_token_that_will_not_do(sandbox: Sandbox, token: str) -> None:
    events = MetaEvents(account(sandbox, token), DATASET, clock=lambda: NOW)
    errors = [finding for finding in events.check() if finding.severity is Severity.ERROR]
    assert errors
    assert all(finding.remedy for finding in errors)
    assert token not in str(errors)
    with pytest.raises(CredentialsRefused):
        events.send(events.shape(some_events(1), NOW).table, Action.ADD)


def test_terms_that_were_not_accepted_are_told_before_and_after(sandbox: Sandbox) -> None:
    ad_account(sandbox).value_based_terms_accepted = False
    audience = MetaAudience(account(sandbox), "Tier A", value_based=True, clock=lambda: NOW)
    told = [finding for finding in audience.check() if "terms" in finding.what]
    assert [finding.severity for finding in told] == [Severity.ERROR]
    assert "value_based/tos.php" in told[0].remedy
    with pytest.raises(FixConfiguration):
        audience.prepare()
