"""The way to Google's servers: past proxies, password files and redirects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.errors import FixConfiguration
from connectors.google import ingestion
from connectors.google.account import AccessToken, GoogleAccount
from connectors.sandbox.server import Sandbox
from tests.integration.meta.wire import Wire, answer

TAKEN = answer('{"requestId": "1"}')
STATUS = answer('{"requestStatusPerDestination": []}')


def ingest(account: GoogleAccount) -> None:
    ingestion.ingest(account, ingestion.EVENTS, {})


def settle(account: GoogleAccount) -> None:
    ingestion.settle(account, "1")


def at(url: str) -> GoogleAccount:
    return GoogleAccount("1234567890", credentials=AccessToken("secret-token"), data_manager_url=url)


def test_a_proxy_of_the_environment_does_not_see_loopback(
    sandbox: Sandbox, account: GoogleAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    account.sign_in()
    with Wire([TAKEN]) as server:
        ingest(at(server.url))
    with Wire([STATUS]) as server:
        settle(at(server.url))


@pytest.mark.parametrize(("call", "behaviour"), [(ingest, TAKEN), (settle, STATUS)])
def test_a_netrc_file_cannot_replace_the_token(
    call: Callable[[GoogleAccount], None],
    behaviour: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    with Wire([behaviour]) as server:
        # Not by the address that is known for loopback, for which the environment is not asked at all.
        monkeypatch.setattr("connectors.transport.is_loopback", lambda _: False)
        monkeypatch.setattr("connectors.transport.base_url", lambda _, url: url)
        call(at(server.url))
    assert server.seen[0].headers["authorization"] == "Bearer secret-token"


@pytest.mark.parametrize("call", [ingest, settle])
@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(call: Callable[[GoogleAccount], None], status: int) -> None:
    with (
        Wire([TAKEN]) as elsewhere,
        Wire([answer("", status, Location=f"{elsewhere.url}/x")]) as server,
        pytest.raises(FixConfiguration),
    ):
        call(at(server.url))
    assert elsewhere.seen == []
