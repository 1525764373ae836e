"""Identifiers over columns, against a reference written row by row in plain Python."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import identity
from connectors.types import Array

Cell = str | None

# No deadline: the first example imports the libraries.
EXAMPLES = settings(deadline=None, max_examples=60)
FEWER = settings(deadline=None, max_examples=25)

# Letters that fold, compose, hide or separate in ways of their own, and what real columns hold.
AWKWARD = "İIıiΣσςẞßT\u0308\u0301e\u0327\u200b\u200c\ufeff\u00a0\u2003\u2028\x85\x1c\x00\t\n\r .,-'’@+0(9"
PIECES = (
    "anna@example.com",
    "Anna.Maria@Example.co.uk",
    "+49 30 901820",
    "0049 30 901820",
    "(650) 253-0000",
    "020 7946 0958",
    "Dr. ",
    "Mr",
    " Jr.",
    "O'Brien",
    "Germany",
    "USA",
    "uk",
    "California",
    "US-TX",
    "SW1A 1AA",
    "94035-1234",
    "a" * 64,
    "0123456789ABCDEF" * 4,
)
text = st.one_of(
    st.text(max_size=12),
    st.text(alphabet=AWKWARD, max_size=12),
    st.sampled_from(PIECES),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(alphabet=AWKWARD, max_size=3)), max_size=4).map(
        "".join
    ),
)
cells = st.lists(st.one_of(st.none(), text), max_size=25)

HASHED = re.compile(r"[0-9a-fA-F]{64}")


def array(column: list[Cell]) -> Array:
    return pa.array(column, pa.string())


def assigned(value: Cell) -> bool:
    """Whether this Python's Unicode knows every letter: Arrow's may be newer."""
    return value is None or all(unicodedata.category(letter) != "Cn" for letter in value)


known_cells = cells.map(lambda column: [value for value in column if assigned(value)])


# --- the reference -----------------------------------------------------------------------------------------

SPACING = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\u2028\u2029"
INVISIBLE = "\xad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"


def clean(value: Cell) -> Cell:
    if value is None:
        return None
    spaced = "".join(" " if letter in SPACING else letter for letter in value)
    seen = "".join(
        letter for letter in spaced if unicodedata.category(letter) != "Cc" and letter not in INVISIBLE
    )
    return unicodedata.normalize("NFC", seen).strip() or None


def lower(value: Cell) -> Cell:
    cleaned = clean(value)
    return None if cleaned is None else unicodedata.normalize("NFC", cleaned.lower())


def words(value: Cell) -> Cell:
    lowered = lower(value)
    if lowered is None:
        return None
    letters = "".join(letter for letter in lowered if unicodedata.category(letter)[0] not in "PS")
    return clean(" ".join(part for part in letters.split() if part))


def postcode(value: Cell) -> Cell:
    lowered = lower(value)
    if lowered is None:
        return None
    dashed = re.sub(
        "-+", "-", "".join("-" if unicodedata.category(each) == "Pd" else each for each in lowered)
    )
    kept = "".join(each for each in dashed if each == "-" or unicodedata.category(each)[0] in "LMN")
    return clean(kept.strip("-"))


def sha256(value: Cell) -> Cell:
    if not value:
        return None
    if HASHED.fullmatch(value.strip()):
        return value.strip().lower()
    return hashlib.sha256(value.encode()).hexdigest()


def looks_like_email(value: Cell) -> bool:
    return (
        value is not None and re.search(r"[^\t\n\f\r @]+@[^\t\n\f\r @]+\.[^\t\n\f\r @]+", value) is not None
    )


# --- agreement ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (identity.clean, clean),
        (identity.lower, lower),
        (identity.names, words),
        (identity.cities, words),
        (identity.postcodes, postcode),
        (identity.sha256, sha256),
        (identity.is_hashed, lambda value: value is not None and HASHED.fullmatch(value.strip()) is not None),
        (identity.looks_like_email, looks_like_email),
    ],
)
@given(column=known_cells)
@EXAMPLES
def test_agrees_with_the_reference(
    function: Callable[[Array], Array], reference: Callable[[Cell], Cell | bool], column: list[Cell]
) -> None:
    assert function(array(column)).to_pylist() == [reference(value) for value in column]


def test_agrees_on_every_character() -> None:
    letters = [chr(number) for number in range(0x110000) if not 0xD800 <= number < 0xE000]
    column: list[Cell] = [letter for letter in letters if assigned(letter)]
    for function, reference in ((identity.clean, clean), (identity.lower, lower), (identity.names, words)):
        assert function(array(column)).to_pylist() == [reference(value) for value in column]


def phone(value: str) -> Cell:
    """In Germany, by the library's own words, but for a number that could be read in two ways."""
    international = "+" + value[2:] if value.startswith("00") else value
    readings = set()
    for candidate in {international, "+" + value} if value.startswith("49") else {international}:
        try:
            number = phonenumbers.parse(candidate, "DE")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            readings.add(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        elif candidate == international:
            return None
    return readings.pop() if len(readings) == 1 else None


phone_text = st.from_regex(r"\A(\+|00)?(49|44|1)?[ ()-]?[0-9][0-9 -]{4,12}\Z", alphabet="0123456789+() -")


@given(column=st.lists(phone_text, max_size=10))
@EXAMPLES
def test_phones_agree_with_the_library(column: list[str]) -> None:
    found = identity.phones(pa.array(column, pa.string()), default_region="DE").to_pylist()
    assert found == [phone(value.strip()) for value in column]


# --- what always holds -------------------------------------------------------------------------------------

NORMALISERS: dict[str, Callable[[Array], Array]] = {
    "clean": identity.clean,
    "lower": identity.lower,
    "emails": identity.emails,
    "phones": lambda column: identity.phones(column, default_region="DE"),
    "countries": identity.countries,
    "regions": lambda column: identity.regions(column, "US"),
    "names": identity.names,
    "names without honorifics": lambda column: identity.names(column, without_honorifics=True),
    "cities": identity.cities,
    "postcodes": identity.postcodes,
    "sha256": identity.sha256,
}


@pytest.mark.parametrize("function", NORMALISERS.values(), ids=NORMALISERS)
@given(column=cells)
@EXAMPLES
def test_one_result_a_row_and_the_same_when_repeated(
    function: Callable[[Array], Array], column: list[Cell]
) -> None:
    once = function(array(column))
    assert once.type == pa.string()
    assert len(once) == len(column)
    assert "" not in once.to_pylist()
    assert all(
        after is None for before, after in zip(column, once.to_pylist(), strict=True) if before is None
    )
    assert function(once).to_pylist() == once.to_pylist()


@pytest.mark.parametrize("function", NORMALISERS.values(), ids=NORMALISERS)
@given(column=cells)
@FEWER
def test_a_row_does_not_depend_on_its_neighbours(
    function: Callable[[Array], Array], column: list[Cell]
) -> None:
    alone = [function(array([value])).to_pylist()[0] for value in column[:3]]
    assert function(array(column)).to_pylist()[:3] == alone


@pytest.mark.parametrize("function", NORMALISERS.values(), ids=NORMALISERS)
@given(column=cells)
@EXAMPLES
def test_a_hash_is_never_plain_text(function: Callable[[Array], Array], column: list[Cell]) -> None:
    for found in identity.sha256(function(array(column))).to_pylist():
        assert found is None or re.fullmatch("[0-9a-f]{64}", found)


@pytest.mark.parametrize("name", sorted(set(NORMALISERS) - {"countries", "clean"}))
def test_hashed_values_pass_through(name: str) -> None:
    hashed = hashlib.sha256(b"x").hexdigest()
    assert NORMALISERS[name](array([f" {hashed.upper()} "])).to_pylist() == [hashed]


@given(numbers=cells, countries=cells)
@EXAMPLES
def test_phones_are_valid_or_null_whatever_the_country(numbers: list[Cell], countries: list[Cell]) -> None:
    length = min(len(numbers), len(countries))
    found = identity.phones(array(numbers[:length]), array(countries[:length]), "GB").to_pylist()
    for value in found:
        assert (
            value is None
            or HASHED.fullmatch(value)
            or phonenumbers.is_valid_number(phonenumbers.parse(value))
        )
