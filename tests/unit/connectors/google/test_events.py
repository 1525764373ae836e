"""From a conversion's columns to the API's JSON."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest
from google.ads.datamanager_v1.types import Event, IngestEventsRequest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import FixConfiguration
from connectors.google import events
from connectors.google.account import AccessToken, GoogleAccount
from connectors.google.conversions import GoogleConversions
from connectors.types import Reason, Shaped
from tests.unit.connectors.google.rows import NOW, conversion, table

PERSON: dict[str, Any] = {
    "email": "Jane.Doe@gmail.com",
    "phone": "030 901820",
    "first_name": "Jane",
    "last_name": "Doe",
    "postcode": "10115",
    "country": "Germany",
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def shaped(*rows: dict[str, Any], region: str | None = None) -> Shaped:
    return events.shape(table(*rows), region)


def message(**changes: Any) -> Event:
    """The event as Google's own message, read strictly: an unknown or misspelt field raises."""
    [event] = events.events(shaped(conversion(**changes)).table, "WEB")
    parsed = Event.pb(Event())
    json_format.Parse(orjson.dumps(event), parsed)
    read: Event = Event.wrap(parsed)
    return read


def test_an_event_says_everything_that_the_row_knows() -> None:
    event = message(**PERSON)
    assert event.transaction_id == "order-1"
    assert event.event_timestamp == NOW - timedelta(days=2)
    assert event.last_updated_timestamp == NOW - timedelta(hours=1)
    assert event.conversion_value == 123.45
    assert (event.currency, event.event_source.name) == ("EUR", "WEB")
    assert event.ad_identifiers.gclid == "Cj0KCQ1"
    assert event.user_properties.customer_type.name == "NEW"
    assert event.consent.ad_user_data.name == "CONSENT_GRANTED"
    email, phone, address = event.user_data.user_identifiers
    assert email.email_address == sha("janedoe@gmail.com")
    assert phone.phone_number == sha("+4930901820")
    assert address.address.given_name == sha("jane")
    assert address.address.family_name == sha("doe")
    assert (address.address.region_code, address.address.postal_code) == ("DE", "10115")


@pytest.mark.parametrize("kind", ["gclid", "gbraid", "wbraid"])
def test_the_click_id_goes_under_its_own_name(kind: str) -> None:
    event = message(**({"gclid": None} | {kind: " click "}))
    assert getattr(event.ad_identifiers, kind) == "click"


def test_consent_is_told_row_by_row_and_never_made_up() -> None:
    assert message(ad_personalization=False).consent.ad_personalization.name == "CONSENT_DENIED"
    unstated = message(ad_user_data=None, ad_personalization=None)
    assert "consent" not in unstated


def test_zero_is_a_value_and_is_said() -> None:
    assert message(value=Decimal(0)).conversion_value == 0.0
    assert "conversion_value" in message(value=Decimal(0))


@given(st.decimals(min_value=0, max_value=10**12, places=4))
def test_values_arrive_as_the_nearest_double(value: Decimal) -> None:
    [event] = events.events(shaped(conversion(value=value)).table, "WEB")
    assert event["conversionValue"] == float(value)


@given(
    st.datetimes(
        min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(2030, 1, 1),  # noqa: DTZ001
        timezones=st.timezones(),
    )
)
def test_instants_arrive_to_the_microsecond(instant: datetime) -> None:
    assert message(event_time=instant).event_timestamp == instant.astimezone(UTC)


def test_a_bad_identifier_does_not_take_a_good_row_with_it() -> None:
    result = shaped(conversion(phone="nonsense", email="jane@example.com"))
    assert result.rejections == ()
    assert result.table["phone"].to_pylist() == [None]


def test_part_of_an_address_is_left_out() -> None:
    result = shaped(conversion(first_name="Jane", last_name="Doe", postcode="10115"))
    for name in ("given_name", "family_name", "region_code", "postal_code"):
        assert result.table[name].to_pylist() == [None]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gclid": None, "email": "nonsense"}, Reason.BAD_IDENTIFIER),
        ({"gclid": " \t"}, Reason.NO_CLICK_OR_IDENTIFIER),
        ({"gbraid": "too"}, Reason.SEVERAL_CLICK_IDS),
        ({"ad_user_data": False}, Reason.NO_CONSENT),
        ({"event_id": "order of jane@example.com"}, Reason.BAD_IDENTIFIER),
    ],
)
def test_rows_that_cannot_be_shaped_are_placed(changes: dict[str, Any], reason: Reason) -> None:
    result = shaped(conversion(1), conversion(2, **changes), conversion(3))
    assert [(rejection.index, rejection.reason) for rejection in result.rejections] == [(1, reason)]
    assert result.table["key"].to_pylist() == ["key-1", "key-3"]


def test_a_column_of_hashed_and_plain_values_is_refused_without_showing_either() -> None:
    with pytest.raises(FixConfiguration, match="email") as caught:
        shaped(conversion(1, email=sha("a@example.com")), conversion(2, email="jane@example.com"))
    assert "jane" not in str(caught.value)


def test_nothing_in_clear_is_left_but_click_region_and_postcode() -> None:
    cells = {str(cell) for row in shaped(conversion(**PERSON)).table.to_pylist() for cell in row.values()}
    assert not cells & ({*PERSON.values(), "janedoe@gmail.com", "+4930901820"} - {"10115"})


def test_no_rows_shape_to_no_rows() -> None:
    result = shaped()
    assert result.table.schema.equals(events.WIRE)
    assert (len(result.table), result.rejections) == (0, ())


def test_the_request_is_one_that_googles_own_message_reads() -> None:
    account = GoogleAccount("123-456-7890", "111-111-1111", credentials=AccessToken("token"))
    request = GoogleConversions(account, "987", event_source="IN_STORE").request(
        shaped(conversion(1, **PERSON), conversion(2)).table, validate_only=True
    )
    parsed = IngestEventsRequest.pb(IngestEventsRequest())
    json_format.Parse(orjson.dumps(request), parsed)
    read = IngestEventsRequest.wrap(parsed)
    [destination] = read.destinations
    assert destination.operating_account.account_id == "1234567890"
    assert destination.operating_account.account_type.name == "GOOGLE_ADS"
    assert destination.login_account.account_id == "1111111111"
    assert destination.product_destination_id == "987"
    assert (read.validate_only, read.encoding.name, len(read.events)) == (True, "HEX", 2)
    assert {event.event_source.name for event in read.events} == {"IN_STORE"}


identifiers = st.none() | st.text(max_size=20)


@given(st.lists(st.tuples(identifiers, identifiers, identifiers, identifiers), min_size=1, max_size=8))
def test_every_row_is_either_shaped_or_placed(rows: list[tuple[str | None, ...]]) -> None:
    names = ("gclid", "email", "phone", "country")
    cells: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
    given_rows = table(*(conversion(number, **row) for number, row in enumerate(cells)))
    result = events.shape(given_rows, "DE")
    keys = given_rows["key"].to_pylist()
    placed = [keys[rejection.index] for rejection in result.rejections]
    assert sorted(result.table["key"].to_pylist() + placed) == sorted(keys)
    for event in events.events(result.table, "WEB"):
        assert "adIdentifiers" in event or "userData" in event


def test_chunked_columns_shape_as_whole_ones_do() -> None:
    one = table(conversion(1), conversion(2, **PERSON), conversion(3, gbraid="x"))
    pieces = pa.concat_tables([one.slice(0, 1), one.slice(1, 2)])
    assert events.shape(pieces).table.equals(events.shape(one).table)
    assert events.shape(pieces).rejections == events.shape(one).rejections
