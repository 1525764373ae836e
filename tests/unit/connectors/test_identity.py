"""Identifiers over columns: examples that a person would expect."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import pyarrow as pa
import pytest

from connectors import identity
from connectors.errors import FixConfiguration
from connectors.types import Array

HASH = hashlib.sha256(b"anna@example.com").hexdigest()

Examples = list[tuple[str | None, str | None]]


def check(function: Callable[[Array], Array], examples: Examples) -> None:
    given = [before for before, _ in examples]
    expected = [after for _, after in examples]
    assert function(pa.array(given, pa.string())).to_pylist() == expected


def test_clean() -> None:
    check(
        identity.clean,
        [
            ("  Anna\t", "Anna"),
            ("\u00a0\u2003Anna\u3000", "Anna"),
            ("\ufeffAnna\u200b", "Anna"),
            ("Anna\tMaria", "Anna Maria"),
            ("An\u0000na", "Anna"),
            ("\u202eanna\u202c", "anna"),
            ("Zoe\u0308", "Zoë"),
            ("e\u200b\u0301", "é"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("Anna  Maria", "Anna  Maria"),
            (" \t\u200b ", None),
            ("", None),
            (None, None),
        ],
    )


def test_lower() -> None:
    check(
        identity.lower,
        [
            (" ÅSA ", "åsa"),
            ("İstanbul", "i̇stanbul"),
            ("ΟΔΥΣΣΕΥΣ ΣΑΣ", "οδυσσευς σας"),
            ("T\u0308", "ẗ"),
            ("STRASSE", "strasse"),
            ("ẞ", "ß"),
            (None, None),
        ],
    )


def test_emails() -> None:
    check(
        identity.emails,
        [
            (" Anna.Maria+shop@Example.COM ", "anna.maria+shop@example.com"),
            ("o'brien@example.co.uk", "o'brien@example.co.uk"),
            ("zoë@münchen.example", "zoë@münchen.example"),
            ("a..b.@docomo.example", "a..b.@docomo.example"),
            ("anna@example.com\r\n", "anna@example.com"),
            ("anna@localhost", None),
            ("anna", None),
            ("anna@@example.com", None),
            ("anna@exa mple.com", None),
            ("an na@example.com", None),
            ("anna@example..com", None),
            ("anna@-example.com", None),
            ("anna@example.com, ben@example.com", None),
            ("<anna@example.com>", None),
            ("mailto:anna@example.com", None),
            ("anna@192.168.0.1", None),
            ("@example.com", None),
            ("anna@example.c", None),
            ("a" * 243 + "@example.com", None),
            (HASH.upper(), HASH),
            (None, None),
        ],
    )


def test_phones_without_a_country() -> None:
    check(
        identity.phones,
        [
            ("+49 30 901820", "+4930901820"),
            ("0049 (0)30 901820", "+4930901820"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("+1-650-253-0000", "+16502530000"),
            ("+1 650 253 0000 ext. 12", "+16502530000"),
            ("030 901820", None),
            ("+49 30", None),
            ("+999 123456789", None),
            ("not a number", None),
            ("", None),
            (HASH, HASH),
            (None, None),
        ],
    )


def test_phones_are_read_in_the_rows_country() -> None:
    numbers = pa.array(
        ["030 901820", "(650) 253-0000", "020 7946 0958", "650 253 0000", "650 253 0000", "650 253 0000"]
    )
    countries = pa.array(["DE", "usa", "United Kingdom", None, "Atlantis", "ES"])
    assert identity.phones(numbers, countries, "US").to_pylist() == [
        "+4930901820",
        "+16502530000",
        "+442079460958",
        "+16502530000",
        None,  # a country that is not understood is not replaced by the default
        None,  # an American number is no Spanish one
    ]


def test_one_number_is_read_differently_in_two_countries() -> None:
    numbers = pa.array(["030 901820", "030 901820"])
    assert identity.phones(numbers, pa.array(["DE", "US"])).to_pylist() == ["+4930901820", None]


def test_phones_take_a_default_region_alone() -> None:
    assert identity.phones(pa.array(["030 901820"]), default_region="de").to_pylist() == ["+4930901820"]
    assert identity.phones(pa.array([33612345678], pa.int64()), default_region="FR").to_pylist() == [
        "+33612345678"
    ]


def test_a_phone_that_can_be_read_in_two_ways_is_not_guessed() -> None:
    # +49 177 1234567 without its "+", or Norden (04917) written without its 0.
    numbers = pa.array(["491771234567", "01771234567", "+491771234567"])
    assert identity.phones(numbers, default_region="DE").to_pylist() == [
        None,
        "+491771234567",
        "+491771234567",
    ]


def test_countries() -> None:
    check(
        identity.countries,
        [
            ("de", "DE"),
            ("DEU", "DE"),
            (" Germany ", "DE"),
            ("UK", "GB"),
            ("England", "GB"),
            ("U.S.A.", "US"),
            ("united states of america", "US"),
            ("The Netherlands", "NL"),
            ("Côte d'Ivoire", "CI"),
            ("Cote d’Ivoire", "CI"),
            ("Türkiye", "TR"),
            ("Turkey", "TR"),
            ("South Korea", "KR"),
            ("Bosnia & Herzegovina", "BA"),
            ("Atlantis", None),
            ("X", None),
            (HASH, None),
            ("", None),
            (None, None),
        ],
    )


def test_regions() -> None:
    states = pa.array(["California", "ny", "US-TX", "District of Columbia", "Atlantis", None])
    assert identity.regions(states, "USA").to_pylist() == ["ca", "ny", "tx", "dc", "atlantis", None]
    mixed = pa.array(["California", "Bayern", "Île-de-France", "Ontario"])
    countries = pa.array(["US", "DE", "FR", None])
    assert identity.regions(mixed, countries).to_pylist() == ["ca", "bayern", "îledefrance", "ontario"]
    assert identity.regions(mixed).to_pylist() == ["california", "bayern", "îledefrance", "ontario"]


def test_names() -> None:
    check(
        identity.names,
        [
            ("  Anna-María  O'Brien ", "annamaría obrien"),
            ("O’Brien", "obrien"),
            ("Żółć", "żółć"),
            ("田中", "田中"),
            ("Dr. Who", "dr who"),
            ("...", None),
            (HASH.upper(), HASH),
            (None, None),
        ],
    )


def test_names_without_honorifics() -> None:
    check(
        lambda column: identity.names(column, without_honorifics=True),
        [
            ("Dr. Anna Schmidt", "anna schmidt"),
            ("Prof.Dr.Schmidt", "schmidt"),
            ("Mr John Smith Jr.", "john smith"),
            ("Smith, Ph.D.", "smith"),
            ("Drew", "drew"),
            ("Mr", "mr"),
            ("Mrs. Jr.", "jr"),
            (None, None),
        ],
    )


def test_cities_and_postcodes() -> None:
    check(
        identity.cities,
        [
            ("St. Louis", "st louis"),
            ("  MÜNCHEN ", "münchen"),
            ("Aix-en-Provence", "aixenprovence"),
            ("-", None),
        ],
    )
    check(
        identity.postcodes,
        [
            ("SW1A 1AA", "sw1a1aa"),
            ("94035\u20131234", "94035-1234"),
            (" 01067 ", "01067"),
            ("- -", None),
            (None, None),
        ],
    )


def test_sha256() -> None:
    check(
        identity.sha256,
        [
            ("anna@example.com", HASH),
            ("é", hashlib.sha256("é".encode()).hexdigest()),
            (f" {HASH.upper()}\n", HASH),
            (HASH[:-1], hashlib.sha256(HASH[:-1].encode()).hexdigest()),
            ("", None),
            (None, None),
        ],
    )


def test_is_hashed() -> None:
    column = pa.array([HASH, HASH.upper(), f" {HASH} ", HASH[:-1], HASH + "0", "g" * 64, "", None])
    assert identity.is_hashed(column).to_pylist() == [True, True, True, False, False, False, False, False]


def test_a_mixed_column_is_refused_by_its_name_alone() -> None:
    with pytest.raises(
        FixConfiguration, match="Column email: 1 values are SHA-256 hashes and 2 are plain"
    ) as caught:
        identity.refuse_mixed(pa.array(["anna@example.com", HASH, "ben@example.com", None, " "]), "email")
    assert "anna" not in str(caught.value)
    assert HASH not in str(caught.value)


@pytest.mark.parametrize("column", [[HASH, None, " "], ["anna@example.com", None], [None, None], []])
def test_a_column_of_one_kind_is_not_refused(column: list[str | None]) -> None:
    identity.refuse_mixed(pa.array(column, pa.string()), "email")


def test_looks_like_email() -> None:
    column = pa.array(["anna@example.com", "c-1", "id:anna@example.com/7", "a@b", "", None])
    assert identity.looks_like_email(column).to_pylist() == [True, False, True, False, False, False]


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([["Anna"], [None, "BEN"]]),
        pa.array(["Anna", None, "BEN"], pa.large_string()),
        pa.array(["Anna", None, "BEN"]).dictionary_encode(),
        pa.chunked_array(
            [pa.array(["Anna", None]).dictionary_encode(), pa.array(["BEN"]).dictionary_encode()]
        ),
    ],
)
def test_any_layout_of_text_is_taken(column: Array) -> None:
    assert identity.lower(column).to_pylist() == ["anna", None, "ben"]
    assert identity.sha256(column).type == pa.string()


def test_empty_and_untyped_columns_are_taken() -> None:
    for function in (identity.clean, identity.emails, identity.phones, identity.countries, identity.sha256):
        assert function(pa.array([], pa.string())).to_pylist() == []
        assert function(pa.nulls(3)).to_pylist() == [None, None, None]
        assert function(pa.chunked_array([], pa.string())).to_pylist() == []


def test_several_threads_hash_at_once() -> None:
    plain = [f"person-{number}@example.com" for number in range(5_000)]
    expected = [hashlib.sha256(value.encode()).hexdigest() for value in plain]
    results: dict[int, list[str]] = {}

    def hashing(number: int) -> None:
        results[number] = identity.sha256(identity.emails(pa.array(plain))).to_pylist()

    threads = [threading.Thread(target=hashing, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] for number in range(4)] == [expected] * 4
