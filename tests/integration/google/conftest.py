"""Google's own clients against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from connectors.google.account import GoogleAccount, OAuthUser
from connectors.google.conversions import GoogleConversions
from connectors.sandbox.google_accounts import BID_ON_ACTION_ID, CUSTOMER_ID
from connectors.sandbox.server import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture
def account(sandbox: Sandbox) -> Iterator[GoogleAccount]:
    made = GoogleAccount(
        CUSTOMER_ID,
        credentials=OAuthUser("client", "secret", "refresh"),
        ads_endpoint=sandbox.ads_endpoint,
        data_manager_url=sandbox.http_url,
        token_url=f"{sandbox.http_url}/oauth2/token",
        certificate=sandbox.certificate,
        timeout=timedelta(seconds=30),
    )
    yield made
    made.close()


@pytest.fixture
def destination(account: GoogleAccount) -> GoogleConversions:
    return GoogleConversions(account, BID_ON_ACTION_ID, default_region="DE")
