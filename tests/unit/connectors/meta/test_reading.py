from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses

from connectors.meta import facts, reading
from connectors.meta.client import GraphClient
from connectors.types import Finding, Severity
from tests.unit.connectors.meta.rows import NOW, TOKEN, account

BASE = "https://graph.facebook.com/v26.0"


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> Iterator[GraphClient]:
    with GraphClient(account()) as opened:
        yield opened


def worst(findings: Iterator[Finding]) -> Finding:
    return max(findings, key=lambda finding: list(Severity).index(finding.severity))


@pytest.mark.parametrize(
    ("version", "now", "severity"),
    [
        ("v26.0", NOW, Severity.OK),
        ("v24.0", datetime(2026, 7, 1, tzinfo=UTC), Severity.OK),
        ("v24.0", datetime(2026, 9, 1, tzinfo=UTC), Severity.WARNING),
        ("v24.0", datetime(2026, 10, 6, tzinfo=UTC), Severity.ERROR),
        ("v99.0", NOW, Severity.WARNING),
    ],
)
def test_versions_end(version: str, now: datetime, severity: Severity) -> None:
    [finding] = reading.version(account(api_version=version), now)
    assert finding.severity is severity


def told(**changes: Any) -> dict[str, Any]:
    scopes = ["ads_management", "ads_read"]
    return {"data": {"type": "SYSTEM_USER", "is_valid": True, "expires_at": 0, "scopes": scopes} | changes}


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({}, Severity.OK, ""),
        ({"is_valid": False}, Severity.ERROR, "not valid"),
        ({"scopes": ["ads_read"]}, Severity.ERROR, "lacks ads_management"),
        ({"type": "USER"}, Severity.WARNING, "of kind USER"),
        (
            {"expires_at": int((NOW + timedelta(days=3)).timestamp())},
            Severity.WARNING,
            "expires on 2026-11-25",
        ),
        ({"expires_at": int((NOW - timedelta(days=1)).timestamp())}, Severity.ERROR, "expired on"),
        ({"expires_at": int((NOW + timedelta(days=90)).timestamp())}, Severity.OK, ""),
        ({"expires_at": "soon"}, Severity.INFO, "not known"),
    ],
)
def test_token(
    server: responses.RequestsMock,
    client: GraphClient,
    changes: dict[str, Any],
    severity: Severity,
    words: str,
) -> None:
    server.post(f"{BASE}/debug_token", json=told(**changes))
    finding = worst(reading.token(client, account(), facts.EVENTS_PERMISSIONS, NOW))
    assert finding.severity is severity
    assert words in finding.found
    assert TOKEN not in str(server.calls[0].request.url)


def test_permissions_where_a_server_does_not_tell_more(
    server: responses.RequestsMock, client: GraphClient
) -> None:
    server.post(f"{BASE}/debug_token", status=404, body="nothing here")
    entries = [
        {"permission": "ads_read", "status": "granted"},
        {"permission": "ads_management", "status": "declined"},
    ]
    server.get(f"{BASE}/me/permissions", json={"data": entries})
    finding = worst(reading.token(client, account(), facts.EVENTS_PERMISSIONS, NOW))
    assert finding.found == "it lacks ads_management"


@pytest.mark.parametrize(
    ("answer", "severity"),
    [
        ({"account_status": 1, "currency": "EUR", "timezone_name": "Europe/Berlin"}, Severity.OK),
        ({"account_status": 2}, Severity.ERROR),
        ({"account_status": 4711}, Severity.ERROR),
        ({}, Severity.ERROR),
    ],
)
def test_account(
    server: responses.RequestsMock, client: GraphClient, answer: dict[str, Any], severity: Severity
) -> None:
    server.get(f"{BASE}/act_123", json=answer)
    [finding] = reading.account(client, "act_123")
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("answer", "severity"),
    [
        ({"last_fired_time": "2026-11-21T10:00:00+0000"}, Severity.OK),
        ({"id": "111"}, Severity.INFO),
        ({"is_unavailable": True}, Severity.ERROR),
        (
            {"error": {"code": 100, "error_subcode": 33, "message": "Unsupported get request."}},
            Severity.ERROR,
        ),
    ],
)
def test_dataset(
    server: responses.RequestsMock, client: GraphClient, answer: dict[str, Any], severity: Severity
) -> None:
    server.get(f"{BASE}/111", json=answer)
    [finding] = reading.dataset(client, "111")
    assert finding.severity is severity
    assert finding.remedy or severity is Severity.OK


@pytest.mark.parametrize(
    ("accepted", "value_based", "severity"),
    [
        ({"custom_audience_tos": 1, "value_based_custom_audience_tos": 1}, True, Severity.OK),
        ({"custom_audience_tos": 1}, False, Severity.OK),
        ({"custom_audience_tos": 1}, True, Severity.ERROR),
        ({}, False, Severity.ERROR),
        (None, True, Severity.INFO),
    ],
)
def test_audience_terms(
    server: responses.RequestsMock,
    client: GraphClient,
    accepted: dict[str, int] | None,
    value_based: bool,
    severity: Severity,
) -> None:
    server.get(f"{BASE}/act_123", json={"tos_accepted": accepted})
    [finding] = reading.audience_terms(client, "act_123", value_based=value_based)
    assert finding.severity is severity
    assert severity is Severity.OK or "https://" in finding.remedy


def test_quotas_and_outdated_version(server: responses.RequestsMock, client: GraphClient) -> None:
    assert list(reading.quotas(client, account())) == []
    headers = {
        "X-App-Usage": '{"call_count":100,"total_cputime":1,"total_time":1}',
        "X-Ad-Api-Version-Warning": "The call has been auto-upgraded to v27.0",
    }
    server.get(f"{BASE}/111", json={"id": "111"}, headers=headers)
    client.get("Meta dataset 111", "111")
    full, outdated = reading.quotas(client, account())
    assert full.severity is Severity.WARNING
    assert "100 percent" in full.found
    assert outdated.severity is Severity.WARNING
