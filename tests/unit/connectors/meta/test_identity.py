from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import FixConfiguration
from connectors.meta import identity
from connectors.types import CLICK_COLUMNS, IDENTITY_COLUMNS
from tests.unit.connectors.meta.rows import conversion, conversions


def normalised(wire: str, default_region: str | None = None, **columns: Any) -> str | None:
    row = conversion() | dict.fromkeys(IDENTITY_COLUMNS) | columns
    value: str | None = identity.normalise(conversions(row), default_region)[wire][0].as_py()
    return value


# Meta's own examples with the hashes it prints (conversions-api/parameters/customer-information-parameters,
# November 2026).
OFFICIAL = [
    (
        "em",
        "email",
        "John_Smith@gmail.com",
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    ),
    ("em", "email", "mary@example.com", "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"),
    ("ph", "phone", "+1 (650) 555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
    ("fn", "first_name", "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
    ("fn", "first_name", "정", "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
    ("fn", "first_name", "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    (
        "country",
        "country",
        "United States",
        "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621",
    ),
]


@pytest.mark.parametrize(("wire", "column", "written", "expected"), OFFICIAL)
def test_official_examples(wire: str, column: str, written: str, expected: str) -> None:
    rows = conversions(conversion() | dict.fromkeys(IDENTITY_COLUMNS) | {column: written})
    assert identity.hashed(rows)[wire][0].as_py() == expected


@pytest.mark.parametrize(
    ("wire", "columns", "expected"),
    [
        ("em", {"email": "  Mary.Jane+x@GMAIL.com\t"}, "mary.jane+x@gmail.com"),
        ("em", {"email": "a b@c.d"}, None),
        ("ph", {"phone": "(650) 555-1212", "country": "US"}, "16505551212"),
        ("ph", {"phone": "020 7946 0958", "country": "GB"}, "442079460958"),
        ("ph", {"phone": "020 7946 0958"}, None),
        ("ph", {"phone": "x5", "country": "US"}, None),
        ("fn", {"first_name": "O'Neil"}, "oneil"),
        ("fn", {"first_name": "Mary Jane"}, "mary jane"),
        ("ln", {"last_name": "李"}, "李"),
        ("ln", {"last_name": "-"}, None),
        ("ct", {"city": "St. Louis"}, "stlouis"),
        ("ct", {"city": "Zürich"}, "zürich"),
        ("st", {"region": "California", "country": "US"}, "ca"),
        ("st", {"region": "Nordrhein-Westfalen", "country": "DE"}, "nordrheinwestfalen"),
        ("zp", {"postcode": "94035-1234", "country": "US"}, "94035"),
        ("zp", {"postcode": "M1 1AE", "country": "GB"}, "m11ae"),
        ("zp", {"postcode": "00-950", "country": "PL"}, "00950"),
        ("zp", {"postcode": "-"}, None),
        ("country", {"country": "uk"}, "gb"),
        ("country", {"country": "DEU"}, "de"),
        ("country", {"country": "Atlantis"}, None),
        ("external_id", {"external_id": " Kunde-7 "}, "Kunde-7"),
    ],
)
def test_written_rules(wire: str, columns: dict[str, str], expected: str | None) -> None:
    assert normalised(wire, **columns) == expected


def test_default_region_reads_numbers_and_places_but_is_never_the_country() -> None:
    assert normalised("ph", "GB", phone="020 7946 0958") == "442079460958"
    assert normalised("st", "US", region="New York") == "ny"
    assert normalised("zp", "US", postcode="94035-1234") == "94035"
    assert normalised("country", "US", region="New York") is None


def test_default_region_has_to_be_a_country() -> None:
    assert identity.region_code("here", "germany") == "DE"
    with pytest.raises(FixConfiguration, match="Atlantis"):
        identity.region_code("here", "Atlantis")


@pytest.mark.parametrize("column", IDENTITY_COLUMNS)
def test_what_is_hashed_already_is_sent_as_it_is(column: str) -> None:
    digest = hashlib.sha256(b"anything").hexdigest()
    wire = next(wire for wire, columns in identity.SOURCE_COLUMNS.items() if columns == (column,))
    row = conversion() | dict.fromkeys(IDENTITY_COLUMNS) | {column: digest.upper()}
    row |= {"country": "US"} if column != "country" else {}
    assert identity.hashed(conversions(row))[wire][0].as_py() == digest


def browser(**columns: Any) -> dict[str, str | None]:
    rows = conversions(conversion() | dict.fromkeys(CLICK_COLUMNS) | columns)
    return {name: column[0].as_py() for name, column in identity.browser(rows).items()}


def test_click_id_is_built_from_the_click_and_its_time() -> None:
    clicked = datetime(2026, 11, 20, 8, 30, 0, 123_000, tzinfo=UTC)
    built = browser(fbclid="IwAR1_Ab-c", click_time=clicked)
    assert built["fbc"] == f"fb.1.{int(clicked.timestamp() * 1000)}.IwAR1_Ab-c"


def test_click_id_of_the_browser_wins() -> None:
    own = "fb.1.1700000000000.IwAR2"
    assert browser(fbclid="IwAR1", fbc=own)["fbc"] == own
    assert str(browser(fbclid="IwAR1", fbc="rubbish")["fbc"]).endswith(".IwAR1")
    in_seconds = "fb.1.1596403881.IwAR9"
    assert str(browser(fbclid="IwAR1", fbc=in_seconds)["fbc"]).endswith(".IwAR1")
    assert browser(fbc=in_seconds)["fbc"] is None


@pytest.mark.parametrize("fbclid", ["IwAR1&utm_source=x", "{{fbclid}}", "%7B%7D", "IwAR1#top"])
def test_what_is_no_click_id_is_left_out(fbclid: str) -> None:
    assert browser(fbclid=fbclid)["fbc"] is None


@pytest.mark.parametrize(
    ("columns", "wire", "expected"),
    [
        ({"fbp": "fb.1.1596403881668.1116446470"}, "fbp", "fb.1.1596403881668.1116446470"),
        ({"fbp": "fb.1.soon.1"}, "fbp", None),
        ({"client_ip": " 2001:DB8::1 "}, "client_ip_address", "2001:db8::1"),
        ({"client_ip": "999.1.1.1"}, "client_ip_address", None),
        ({"user_agent": " Mozilla/5.0 "}, "client_user_agent", "Mozilla/5.0"),
    ],
)
def test_browser_values(columns: dict[str, str], wire: str, expected: str | None) -> None:
    assert browser(**columns)[wire] == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("https://shop.example/thanks?email=a@b.example#top", "https://shop.example/thanks"),
        ("HTTPS://shop.example", "HTTPS://shop.example"),
        ("shop.example/thanks", None),
        ("https://user@shop.example/", None),
        ("javascript:alert(1)", None),
    ],
)
def test_pages_lose_their_query(written: str, expected: str | None) -> None:
    assert identity.page_urls(pa.array([written]))[0].as_py() == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), True),
        (("ct", "country", "st", "zp", "client_user_agent"), True),
        (("fn",), True),
        (("ln",), True),
        (("client_user_agent",), True),
        (("em",), False),
        (("fbp",), False),
        (("external_id", "country"), False),
        (("fn", "ln"), False),
        (("fn", "zp"), False),
    ],
)
def test_sets_that_are_too_little(names: tuple[str, ...], expected: bool) -> None:
    present = {wire: pa.array([wire in names]) for wire in identity.SOURCE_COLUMNS}
    assert identity.insufficient(present).to_pylist() == [expected]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {name: st.none() | st.text(max_size=30) for name in (*IDENTITY_COLUMNS, *CLICK_COLUMNS)}
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_input_raises_or_comes_out_in_clear(people: list[dict[str, str | None]]) -> None:
    rows = conversions(*(conversion(number) | person for number, person in enumerate(people)))
    wire = identity.hashed(rows, "US")
    assert set(wire) == set(identity.HASHED)
    for column in wire.values():
        for value in column.to_pylist():
            assert value is None or re.fullmatch(r"[0-9a-f]{64}", value)
    empty = hashlib.sha256(b"").hexdigest()
    assert not any(pc.any(pc.equal(column, empty)).as_py() for column in wire.values())
    for column in identity.browser(rows).values():
        assert len(column) == len(people)
