"""Even with every logger turned up, nothing personal and no secret is written."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from connectors.google import reading
from connectors.google.account import GoogleAccount
from connectors.google.conversions import GoogleConversions
from connectors.types import Action
from tests.unit.connectors.google.rows import conversion, table


def test_debugging_shows_no_row_and_no_secret(
    account: GoogleAccount, destination: GoogleConversions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    now = datetime.now(UTC)
    person = {"email": "jane.doe@example.com", "first_name": "Jane", "last_name": "Doe", "postcode": "10115"}
    wire = destination.shape(table(conversion(1, now, country="DE", **person)), now).table
    receipt = destination.send(wire, Action.ADD)
    destination.settle(str(receipt.request_id))
    reading.customer(account)
    said = caplog.text
    assert "Starting new HTTP connection" in said
    for secret in ("Cj0KCQ1", "10115", *wire["email"].to_pylist(), "secret", str(account.signed.token)):
        assert secret not in said
