from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.errors import FixConfiguration
from tests.unit.connectors.meta.rows import APP_SECRET, TOKEN, account


@pytest.mark.parametrize("written", ["123", "act_123", " act_123 "])
def test_ad_account_with_or_without_prefix(written: str) -> None:
    assert account(ad_account=written).ad_account == "act_123"


def test_secrets_are_not_shown() -> None:
    shown = f"{account()!r} {account()}"
    assert TOKEN not in shown
    assert APP_SECRET not in shown


@pytest.mark.parametrize(
    "changes",
    [
        {"ad_account": "act_12x"},
        {"ad_account": "١٢٣"},
        {"access_token": SecretStr("")},
        {"access_token": SecretStr(f"{TOKEN}\n")},
        {"access_token": SecretStr("tokén")},
        {"api_version": "26"},
        {"graph_url": "http://graph.example"},
        {"graph_url": "ftp://127.0.0.1"},
        {"certificate": Path("/nowhere/server.pem")},
    ],
)
def test_wrong_settings_are_refused_without_telling_secrets(changes: dict[str, Any]) -> None:
    with pytest.raises(FixConfiguration) as refused:
        account(**changes)
    assert TOKEN not in str(refused.value)


def test_the_address_defaults_to_metas_own() -> None:
    assert account().base == "https://graph.facebook.com"
    assert account("http://127.0.0.1:8080/").base == "http://127.0.0.1:8080"
