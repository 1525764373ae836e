from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials
from google.oauth2.service_account import Credentials as ServiceAccount

from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.oauth import STATIC_TOKEN, OAuthState
from connectors.sandbox.server import Sandbox

SCOPE = "https://www.googleapis.com/auth/datamanager"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.state.reset()
    running.faults.clear()
    return running


def user(sandbox: Sandbox, **changes: Any) -> Any:
    known = {"refresh_token": "sandbox-refresh-token", "client_id": "client", "client_secret": "secret"}
    make: Any = Credentials
    return make(None, token_uri=f"{sandbox.http_url}/oauth2/token", scopes=[SCOPE], **{**known, **changes})


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def accepts(sandbox: Sandbox, token: str, scope: str = SCOPE, *, after: timedelta = timedelta(0)) -> bool:
    return sandbox.state.part(OAuthState).accepts(token, datetime.now(UTC) + after, scope)


def test_a_refresh_token_is_turned_into_a_token_of_its_scopes(sandbox: Sandbox) -> None:
    credentials = user(sandbox)
    credentials.refresh(Request())
    assert credentials.valid
    assert accepts(sandbox, credentials.token)
    assert not accepts(sandbox, credentials.token, "https://www.googleapis.com/auth/adwords")
    assert not accepts(sandbox, credentials.token, after=timedelta(hours=2))
    assert not accepts(sandbox, "made up")
    assert accepts(sandbox, STATIC_TOKEN)


def test_a_token_outlives_a_reset(sandbox: Sandbox) -> None:
    credentials = user(sandbox)
    credentials.refresh(Request())
    requests.post(f"{sandbox.http_url}/_sandbox/reset", timeout=5).raise_for_status()
    assert accepts(sandbox, credentials.token)


def test_a_service_account_signs_in(sandbox: Sandbox, private_key: str) -> None:
    make: Any = ServiceAccount.from_service_account_info
    account = make(
        {
            "client_email": "agent@sandbox.iam.gserviceaccount.com",
            "private_key": private_key,
            "token_uri": f"{sandbox.http_url}/oauth2/token",
        },
        scopes=[SCOPE],
    )
    account.refresh(Request())
    assert accepts(sandbox, account.token)
    with pytest.raises(RefreshError, match="invalid_scope"):
        account.with_scopes([]).refresh(Request())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"refresh_token": "revoked"}, "invalid_grant"),
        ({"client_id": ""}, "invalid_client"),
    ],
)
def test_refuses_as_google_refuses(sandbox: Sandbox, changes: dict[str, str], error: str) -> None:
    with pytest.raises(RefreshError, match=error):
        user(sandbox, **changes).refresh(Request())


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_id": "c", "client_secret": "s"}, 400, "invalid_request"),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b"},
            400,
            "invalid_grant",
        ),
        (
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "e30.e30.e30"},
            400,
            "invalid_grant",
        ),
    ],
)
def test_refuses_a_malformed_request(sandbox: Sandbox, form: dict[str, str], status: int, error: str) -> None:
    answer = requests.post(f"{sandbox.http_url}/oauth2/token", data=form, timeout=5)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_fails_on_request(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.BAD_TOKEN, platform="oauth"))
    with pytest.raises(RefreshError, match="invalid_grant"):
        user(sandbox).refresh(Request())
    user(sandbox).refresh(Request())
    assert sandbox.state.summary()["oauth"]["refused"] == 1
