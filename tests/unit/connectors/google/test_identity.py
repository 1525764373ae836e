"""Google's identifier rules, by the vectors that Google publishes and by any text at all."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.google import identity


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        # data-manager/api/devguides/concepts/formatting
        ("cloudy.sanfrancisco+shopping@gmail.com", "cloudysanfrancisco@gmail.com"),
        ("user.name+NYC@Example.com", "user.name+nyc@example.com"),
        # the published tests of Google's own formatter
        ("Jefferson.Loves.hiking@gmail.com", "jeffersonloveshiking@gmail.com"),
        (" alexz@example.com ", "alexz@example.com"),
        ("a.b+c@GoogleMail.com", "ab@googlemail.com"),
        ("jane doe@example.com", "janedoe@example.com"),
        ("a.b@notgmail.com", "a.b@notgmail.com"),
        ("a.b@gmail.com.example.org", "a.b@gmail.com.example.org"),
        ("...@gmail.com", None),
        ("+only@gmail.com", None),
        ("no address", None),
        ("", None),
        (None, None),
    ],
)
def test_emails_follow_the_written_rule(written: str | None, normalised: str | None) -> None:
    column = pa.array([written], pa.string())
    assert identity.plain_emails(column).to_pylist() == [normalised]
    assert identity.emails(column).to_pylist() == [sha(normalised) if normalised else None]


def test_hashes_are_those_that_google_publishes() -> None:
    assert identity.emails(pa.array(["alexz@example.com"])).to_pylist() == [
        "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"
    ]
    assert identity.phones(pa.array(["+1 800 555 0100"])).to_pylist() == [
        "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"
    ]
    assert identity.names(pa.array(["Givenname", " FamilyName "])).to_pylist() == [
        "128a07bfe2df877c52076e60d7774cf5baaa046c5a6c48daf30ff43ecca2f814",
        "77762c287e61ce065bee5c15464012c6fbe088398b8057627d5577249430d574",
    ]


def test_a_phone_is_read_in_its_own_country_first() -> None:
    numbers = pa.array(
        ["030 901820", "020 7946 0018", "030 901820", "441134960987", "+44 113 496 0987", "123"]
    )
    countries = pa.array(["DE", "United Kingdom", None, "GB", None, None])
    assert identity.phones(numbers, countries, "DE").to_pylist() == [
        sha("+4930901820"),
        sha("+442079460018"),
        sha("+4930901820"),
        sha("+441134960987"),
        sha("+441134960987"),
        None,
    ]
    assert identity.phones(pa.array(["030 901820"])).to_pylist() == [None]


def test_names_lose_punctuation_and_honorifics() -> None:
    column = pa.array(["Mrs. Jane", "O'Brien Jr.", "李", "Mary Jane"])
    assert identity.names(column).to_pylist() == [sha("jane"), sha("obrien"), sha("李"), sha("mary jane")]


def test_values_already_hashed_are_not_hashed_again() -> None:
    hashed = sha("alexz@example.com")
    for rule in (identity.emails, identity.names, identity.phones):
        assert rule(pa.array([hashed.upper()])).to_pylist() == [hashed]


def test_region_and_postcode_stay_plain() -> None:
    regions = identity.region_codes(pa.array(["Germany", None, "Atlantis", "us"]), "FR")
    assert regions.to_pylist() == ["DE", "FR", None, "US"]
    codes = identity.postal_codes(pa.array([" SW1A 1AA ", "94107-1234", sha("10115"), ""]))
    assert codes.to_pylist() == ["SW1A 1AA", "94107-1234", None, None]


anything = st.lists(st.none() | st.text(max_size=40) | st.emails(), min_size=1, max_size=20)


@given(anything, st.sampled_from([None, "DE", "US"]))
def test_no_input_raises_or_passes_through_in_clear(values: list[str | None], region: str | None) -> None:
    column = pa.array(values, pa.string())
    for hashed in (identity.emails(column), identity.phones(column, None, region), identity.names(column)):
        assert len(hashed) == len(values)
        for value in hashed.to_pylist():
            assert value is None or (len(value) == 64 and set(value) <= set("0123456789abcdef"))
    assert len(identity.region_codes(column, region)) == len(values)
    assert len(identity.postal_codes(column)) == len(values)


@given(anything)
def test_emails_normalise_to_a_fixed_point(values: list[str | None]) -> None:
    once = identity.plain_emails(pa.array(values, pa.string()))
    assert identity.plain_emails(once).to_pylist() == once.to_pylist()
