"""`check` and reading, over gRPC with TLS and REST, by Google's own clients."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import (
    ConnectorError,
    CredentialsRefused,
    FixConfiguration,
    RetryLater,
)
from connectors.google import checking, facts, reading
from connectors.google.account import AccessToken, GoogleAccount, OAuthUser, ServiceAccount
from connectors.google.conversions import GoogleConversions
from connectors.sandbox.certificate import write_certificate
from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.google_accounts import (
    BID_ON_ACTION_ID,
    CUSTOMER_ID,
    MANAGER_ACTION_ID,
    MANAGER_ID,
    NOT_BID_ON_ACTION_ID,
    SISTER_ID,
    Account,
)
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.oauth import REVOKED_REFRESH_TOKEN, STATIC_TOKEN, OAuthState
from connectors.sandbox.server import Sandbox
from connectors.types import Finding, Severity
from tests.unit.connectors.google.keys import key_file


@contextmanager
def shop(sandbox: Sandbox) -> Iterator[Account]:
    """The sandbox's own account, to change its settings."""
    with sandbox.state.lock:
        yield sandbox.state.part(GoogleState).accounts[CUSTOMER_ID]


def worst(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity in (Severity.ERROR, Severity.WARNING)]


def check(destination: GoogleConversions) -> list[Finding]:
    return list(destination.check())


def test_all_is_well(destination: GoogleConversions, sandbox: Sandbox) -> None:
    findings = check(destination)
    assert worst(findings) == []
    assert {finding.what for finding in findings} >= {
        "Sign-in",
        "Data Manager API",
        "EU political advertising",
    }
    with sandbox.state.lock:
        assert sandbox.state.part(GoogleState).conversions == {}


def test_what_is_read_is_what_stands_there(account: GoogleAccount) -> None:
    customer = reading.customer(account)
    assert (customer.customer_id, customer.currency, customer.time_zone) == (
        CUSTOMER_ID,
        "EUR",
        "Europe/Berlin",
    )
    assert (customer.status, customer.manager) == ("ENABLED", False)
    actions = {action.conversion_action_id: action for action in reading.conversion_actions(account)}
    assert actions[BID_ON_ACTION_ID].primary_for_goal
    assert not actions[NOT_BID_ON_ACTION_ID].primary_for_goal
    assert actions[BID_ON_ACTION_ID].type == facts.OFFLINE_ACTION_TYPE
    assert actions[BID_ON_ACTION_ID].owner_customer_id == CUSTOMER_ID
    campaigns = {campaign.name: campaign for campaign in reading.campaigns(account)}
    assert campaigns["Brand"].target_roas == 6.0
    assert campaigns["Generic tents"].target_roas == 3.5
    assert campaigns["Generic boots"].target_cpa == Decimal(28)
    assert campaigns["Competitors"].target_cpa == Decimal(35)
    assert campaigns["All products"].target_roas is None
    assert (campaigns["All products"].target_cpa, campaigns["All products"].channel) == (
        None,
        "PERFORMANCE_MAX",
    )
    assert campaigns["Retailers"].portfolio is not None
    assert campaigns["Brand"].portfolio is None


def test_a_service_is_kept(account: GoogleAccount) -> None:
    assert account.ads_service("GoogleAdsService") is account.ads_service("GoogleAdsService")


@pytest.mark.parametrize(
    ("action_id", "found", "remedy"),
    [("123", "does not exist", BID_ON_ACTION_ID), (MANAGER_ACTION_ID, "does not exist", BID_ON_ACTION_ID)],
)
def test_an_action_of_elsewhere(account: GoogleAccount, action_id: str, found: str, remedy: str) -> None:
    bad = worst(check(GoogleConversions(account, action_id)))
    assert any(found in finding.found and remedy in finding.remedy for finding in bad)


def test_an_action_that_takes_no_uploads(destination: GoogleConversions, sandbox: Sandbox) -> None:
    with shop(sandbox) as there:
        action = there.add_conversion_action(BID_ON_ACTION_ID, "Calls", type_="AD_CALL", status="HIDDEN")
        action.value_settings.always_use_default_value = True
        action.owner_customer = f"customers/{MANAGER_ID}"
        action.click_through_lookback_window_days = 30
    found = " | ".join(finding.found for finding in worst(check(destination)))
    for words in (
        "AD_CALL, which takes no uploads",
        "is HIDDEN",
        "values sent are ignored",
        "belongs to account 111-111-1111",
        "30 days, and 90 are configured",
    ):
        assert words in found


def test_an_action_of_the_sites_tag_is_pointed_out(destination: GoogleConversions, sandbox: Sandbox) -> None:
    with shop(sandbox) as there:
        there.add_conversion_action(
            BID_ON_ACTION_ID, "Tag", type_="WEBPAGE", counting_type="ONE_PER_CLICK", primary_for_goal=False
        )
    found = " | ".join(finding.found for finding in check(destination))
    for words in ("restate those of the tag", "one per click", "is secondary"):
        assert words in found


def test_a_missing_declaration_is_told_before_a_target_fails(
    destination: GoogleConversions, sandbox: Sandbox
) -> None:
    with shop(sandbox) as there:
        for campaign in there.campaigns.values():
            campaign.missing_eu_political_advertising_declaration = True
    [finding] = [each for each in check(destination) if each.what == "EU political advertising"]
    assert finding.severity is Severity.WARNING
    assert "and 4 more" in finding.found


def test_conversions_kept_by_a_manager(account: GoogleAccount) -> None:
    bad = worst(check(GoogleConversions(replace(account, customer_id=SISTER_ID), BID_ON_ACTION_ID)))
    assert any("kept by account 111-111-1111" in finding.found for finding in bad)


def test_terms_that_nobody_accepted(destination: GoogleConversions, sandbox: Sandbox) -> None:
    with shop(sandbox) as there:
        there.customer.conversion_tracking_setting.accepted_customer_data_terms = False
    bad = worst(check(destination))
    assert any(finding.what == "Customer data terms" for finding in bad)


def test_a_manager_account_is_no_place_for_conversions(account: GoogleAccount) -> None:
    bad = worst(check(GoogleConversions(replace(account, customer_id=MANAGER_ID), MANAGER_ACTION_ID)))
    assert any("is a manager account" in finding.found for finding in bad)


def test_refused_credentials_end_the_check_at_once(account: GoogleAccount) -> None:
    gone = replace(account, credentials=OAuthUser("client", "secret", REVOKED_REFRESH_TOKEN))
    findings = check(GoogleConversions(gone, BID_ON_ACTION_ID))
    assert [finding.what for finding in findings] == [f"Google Ads API {facts.ADS_API_VERSION}", "Sign-in"]
    assert findings[-1].severity is Severity.ERROR
    assert "invalid_grant" in findings[-1].found


@pytest.mark.parametrize(
    ("left", "severity"),
    [(61, Severity.OK), (60, Severity.WARNING), (1, Severity.WARNING), (0, Severity.ERROR)],
)
def test_the_end_of_the_api_version_is_told_in_time(left: int, severity: Severity) -> None:
    end = facts.ADS_API_SUNSETS[facts.ADS_API_VERSION]
    now = datetime(end.year, end.month, end.day, tzinfo=UTC) - timedelta(days=left)
    assert checking.sunset(now).severity is severity


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.THROTTLE, RetryLater),
        (FaultKind.SERVER_ERROR, RetryLater),
        (FaultKind.BAD_TOKEN, CredentialsRefused),
        (FaultKind.TIMEOUT_AFTER_ACCEPT, RetryLater),
    ],
)
def test_what_the_ads_api_answers_in_trouble(
    account: GoogleAccount, sandbox: Sandbox, kind: FaultKind, expected: type[ConnectorError]
) -> None:
    sandbox.faults.add(Fault(kind, Platform.GOOGLE_ADS, times=None))
    with pytest.raises(expected):
        reading.customer(replace(account, timeout=timedelta(seconds=2)))


def test_one_refused_token_is_renewed_without_a_word(account: GoogleAccount, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.BAD_TOKEN, Platform.GOOGLE_ADS))
    assert reading.customer(account).customer_id == CUSTOMER_ID


def test_googles_own_client_goes_unchanged_where_no_certificate_is_named(
    account: GoogleAccount, sandbox: Sandbox
) -> None:
    # gRPC reads its trusted certificates once for a process, so another process is needed.
    script = (
        "from connectors.google import reading; from connectors.google.account import *;"
        f"print(reading.customer(GoogleAccount({CUSTOMER_ID!r}, credentials=AccessToken({STATIC_TOKEN!r}),"
        f" ads_endpoint={sandbox.ads_endpoint!r})).customer_id)"
    )
    trusted = os.environ | {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(sandbox.certificate)}
    finished = subprocess.run(
        [sys.executable, "-c", script], env=trusted, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.stdout.strip() == CUSTOMER_ID, finished.stderr


def test_a_service_account_signs_in_for_both(
    account: GoogleAccount, sandbox: Sandbox, tmp_path: Path
) -> None:
    robot = replace(account, credentials=ServiceAccount(key_file(tmp_path)))
    robot.sign_in()
    with sandbox.state.lock:
        granted = sandbox.state.part(OAuthState).scopes
    assert granted[robot.signed.token] >= set(facts.SCOPES)


def test_an_account_out_of_reach_is_refused(account: GoogleAccount) -> None:
    with pytest.raises((CredentialsRefused, FixConfiguration)):
        reading.customer(replace(account, customer_id="9999999999"))
    with pytest.raises(CredentialsRefused):
        reading.customer(replace(account, credentials=AccessToken("unknown")))


def test_a_server_that_is_not_there(account: GoogleAccount) -> None:
    with pytest.raises(RetryLater, match="could not be reached"):
        reading.customer(replace(account, ads_endpoint="localhost:9", timeout=timedelta(seconds=5)))


def test_another_certificate_is_not_trusted(account: GoogleAccount, tmp_path: Path) -> None:
    certificate, _ = write_certificate(tmp_path)
    with pytest.raises(FixConfiguration, match="not trusted"):
        reading.customer(replace(account, certificate=certificate))
    with pytest.raises(FixConfiguration, match="not trusted"):
        reading.customer(replace(account, certificate=None))


def test_a_wrong_query_is_ours_to_correct(account: GoogleAccount) -> None:
    with pytest.raises(FixConfiguration):
        list(reading.rows(account, "SELECT campaign.no_such_field FROM campaign"))
