"""Decimals of currencies, by ISO 4217 list one."""

from __future__ import annotations

import pytest

from connectors import currency


@pytest.mark.parametrize(
    ("code", "decimals"),
    [
        ("EUR", 2),
        ("JPY", 0),
        ("ISK", 0),
        ("HUF", 2),
        ("KWD", 3),
        ("CLP", 0),
        ("CLF", 4),
        ("UYI", 0),
        ("UYW", 4),
    ],
)
def test_decimals(code: str, decimals: int) -> None:
    assert code in currency.codes()
    assert currency.decimals(code) == decimals
