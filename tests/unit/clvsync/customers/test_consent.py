from __future__ import annotations

from typing import Any

import duckdb
import pytest

from clvsync.customers.consent import resolved
from clvsync.customers.expressions import null, number, text
from connectors.errors import FixConfiguration


def answer(country: str | None, regimes: dict[str, Any], given: bool | None = None) -> bool:
    said = null("BOOLEAN") if given is None else number(1).eq(number(1 if given else 0))
    where = null("TEXT") if country is None else text(country)
    query = f"SELECT {resolved(said, where, regimes).sql('duckdb')}"
    (value,) = duckdb.execute(query).fetchone() or (None,)
    assert isinstance(value, bool)
    return value


EUROPEAN = {"default": "opt_in", "US": "opt_out", "gb": "opt_out"}
AMERICAN = {"default": "opt_out", "DE": "opt_in"}


@pytest.mark.parametrize("country", ["US", "us", "USA", "United States", "United States of America"])
def test_a_country_is_recognised_however_it_is_written(country: str) -> None:
    assert answer(country, EUROPEAN) is True


@pytest.mark.parametrize(
    ("country", "regimes", "expected"),
    [
        ("UK", EUROPEAN, True),
        ("DE", EUROPEAN, False),
        (None, EUROPEAN, False),
        ("nowhere", EUROPEAN, False),
        ("Germany", AMERICAN, False),
        ("DEU", AMERICAN, False),
        ("FR", AMERICAN, True),
        (None, AMERICAN, True),
        # It might be Germany misspelt.
        ("Germny", AMERICAN, False),
        ("DE", {}, False),
        ("DE", {"default": "opt_out"}, True),
    ],
)
def test_without_an_answer_the_regime_speaks(
    country: str | None, regimes: dict[str, Any], expected: bool
) -> None:
    assert answer(country, regimes) is expected


@pytest.mark.parametrize("country", ["US", "DE", None])
@pytest.mark.parametrize("regimes", [EUROPEAN, AMERICAN])
def test_an_answer_stands(country: str | None, regimes: dict[str, Any]) -> None:
    assert answer(country, regimes, given=True) is True
    assert answer(country, regimes, given=False) is False


def test_a_code_that_is_no_country_is_named() -> None:
    with pytest.raises(FixConfiguration, match="'EU'"):
        answer("DE", {"EU": "opt_in"})
