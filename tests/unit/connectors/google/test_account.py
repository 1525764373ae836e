"""Which account, which addresses, which credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.errors import CredentialsRefused, FixConfiguration
from connectors.google import facts
from connectors.google.account import AccessToken, GoogleAccount, OAuthUser, ServiceAccount
from tests.unit.connectors.google.keys import key_file

TOKEN = AccessToken("very-secret")


@pytest.mark.parametrize("written", ["123-456-7890", "1234567890", "123 456 7890"])
def test_ids_are_taken_as_people_write_them(written: str) -> None:
    account = GoogleAccount(written, written, credentials=TOKEN)
    assert account.customer_id == account.login_customer_id == "1234567890"
    assert account.name == "Google Ads account 123-456-7890"


@pytest.mark.parametrize("written", ["", "123", "12345678901", "customers/1", "１２３４５６７８９０"])
def test_what_is_no_id_is_refused(written: str) -> None:
    with pytest.raises(FixConfiguration, match="customer_id"):
        GoogleAccount(written, credentials=TOKEN)


def test_the_addresses_are_googles_own_unless_given() -> None:
    account = GoogleAccount("1234567890", credentials=TOKEN)
    assert account.ads_endpoint == facts.ADS_ENDPOINT
    assert account.data_manager_url == facts.DATA_MANAGER_URL
    assert account.token_url == facts.TOKEN_URL


@pytest.mark.parametrize(
    "addresses",
    [
        {"data_manager_url": "http://example.com"},
        {"token_url": "http://example.com/token"},
        {"ads_endpoint": "http://localhost:1"},
        {"ads_endpoint": "localhost:port"},
        {"ads_endpoint": "localhost/path"},
        {"certificate": Path("/nowhere/at/all.pem")},
    ],
)
def test_addresses_that_cannot_be_right_are_refused(addresses: dict[str, Any]) -> None:
    with pytest.raises(FixConfiguration):
        GoogleAccount("1234567890", credentials=TOKEN, **addresses)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("localhost:1", "localhost:1"),
        ("https://ads.example.com", "ads.example.com:443"),
        ("[::1]:5", "[::1]:5"),
    ],
)
def test_the_ads_endpoint_is_a_host_and_a_port(written: str, address: str) -> None:
    assert GoogleAccount("1234567890", credentials=TOKEN, ads_endpoint=written).ads_endpoint == address


def test_secrets_are_not_shown() -> None:
    for credentials in (TOKEN, OAuthUser("client", "very-secret", "very-secret")):
        assert "very-secret" not in repr(GoogleAccount("1234567890", credentials=credentials))


def test_clients_are_made_once() -> None:
    account = GoogleAccount("1234567890", credentials=TOKEN)
    assert account.data_manager is account.data_manager
    assert account.session is account.session
    assert account.signed is account.signed
    account.close()


def test_a_service_account_asks_for_both_apis_where_it_is_told_to(tmp_path: Path) -> None:
    credentials = ServiceAccount(key_file(tmp_path))
    account = GoogleAccount("1234567890", credentials=credentials, token_url="http://127.0.0.1:1/token")
    assert set(account.signed.scopes) == set(facts.SCOPES)
    assert account.signed._token_uri == "http://127.0.0.1:1/token"
    assert GoogleAccount("1234567890", credentials=credentials).signed._token_uri == facts.TOKEN_URL


def test_a_bad_key_file_says_so_without_showing_it(tmp_path: Path) -> None:
    path = key_file(tmp_path, private_key="very-secret")
    with pytest.raises(CredentialsRefused) as caught:
        _ = GoogleAccount("1234567890", credentials=ServiceAccount(path)).signed
    assert str(path) in str(caught.value)
    assert "very-secret" not in str(caught.value)
    with pytest.raises(FixConfiguration, match="cannot be read"):
        _ = GoogleAccount("1234567890", credentials=ServiceAccount(tmp_path / "none.json")).signed
