from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.ads.datamanager_v1 import types
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from connectors.sandbox.proto_json import MalformedJson, decoder

EVENTS = types.IngestEventsRequest
decode = decoder(EVENTS.pb().DESCRIPTOR)

instants = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
identifiers = st.one_of(
    st.builds(lambda one: {"email_address": one}, words),
    st.builds(lambda one: {"address": {"given_name": one, "region_code": "DE"}}, words),
)
events = st.fixed_dictionaries(
    {"event_timestamp": instants},
    optional={
        "transaction_id": words,
        "last_updated_timestamp": instants,
        "conversion_value": st.floats(allow_nan=False, allow_infinity=False),
        "event_source": st.sampled_from([1, 2, 6]),
        "destination_references": st.lists(words, min_size=1, max_size=3),
        "user_data": st.fixed_dictionaries(
            {"user_identifiers": st.lists(identifiers, min_size=1, max_size=3)}
        ),
        "cart_data": st.fixed_dictionaries(
            {"items": st.lists(st.just({"quantity": 2**40, "unit_price": 1.5}), min_size=1, max_size=2)}
        ),
    },
)


@given(st.lists(events, max_size=4), st.booleans(), st.booleans())
def test_it_reads_what_the_official_library_writes(
    drawn: list[dict[str, Any]], numbers: bool, snake_case: bool
) -> None:
    message = EVENTS(events=drawn, validate_only=True, encoding=1)
    written = json_format.MessageToDict(
        EVENTS.pb(message), use_integers_for_enums=numbers, preserving_proto_field_name=snake_case
    )
    assert EVENTS(decode(written, "")) == message


REFUSED: dict[str, tuple[Any, str]] = {
    "not an object": ([], ""),
    "unknown field": ({"events": [{"gclid": "a"}]}, "events[0]"),
    "unknown enum name": ({"encoding": "ROT13"}, "encoding"),
    "enum of another kind": ({"encoding": True}, "encoding"),
    "text for a number": ({"events": [{"conversionValue": "many"}]}, "events[0].conversion_value"),
    "truth for a number": ({"events": [{"conversionValue": True}]}, "events[0].conversion_value"),
    "number for text": ({"events": [{"transactionId": 7}]}, "events[0].transaction_id"),
    "text for truth": ({"validateOnly": "true"}, "validate_only"),
    "object for a list": ({"events": {}}, "events"),
    "date without time": ({"events": [{"eventTimestamp": "2026-11-20"}]}, "events[0].event_timestamp"),
    "instant without zone": (
        {"events": [{"eventTimestamp": "2026-11-20T10:00:00"}]},
        "events[0].event_timestamp",
    ),
    "no such day": ({"events": [{"eventTimestamp": "2026-02-30T10:00:00Z"}]}, "events[0].event_timestamp"),
    "too large a whole number": (
        {"events": [{"cartData": {"items": [{"quantity": str(2**63)}]}}]},
        "events[0].cart_data.items[0].quantity",
    ),
    "both of a oneof": (
        {"events": [{"userData": {"userIdentifiers": [{"emailAddress": "a", "phoneNumber": "b"}]}}]},
        "events[0].user_data.user_identifiers[0]",
    ),
    "a field twice": ({"validateOnly": True, "validate_only": True}, ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_what_is_not_the_message(case: str) -> None:
    content, field = REFUSED[case]
    with pytest.raises(MalformedJson) as refused:
        decode(content, "")
    assert refused.value.field == field


def test_a_refusal_repeats_no_value() -> None:
    with pytest.raises(MalformedJson) as refused:
        decode({"events": [{"userData": {"userIdentifiers": [{"emailAddress": ["a@example.com"]}]}}]}, "")
    assert "example" not in str(refused.value)


def test_instants_in_other_zones_and_nothing_at_all() -> None:
    decoded = decode(
        {"events": [{"eventTimestamp": "2026-11-20T10:00:00.123456789+02:00", "currency": None}]}, ""
    )
    (event,) = decoded["events"]
    assert event == {"event_timestamp": datetime(2026, 11, 20, 8, 0, 0, 123456, tzinfo=UTC)}


def test_durations() -> None:
    read = decoder(types.UserList.pb().DESCRIPTOR)
    assert read({"membershipDuration": "86400s"}, "")["membership_duration"] == timedelta(days=1)
    with pytest.raises(MalformedJson):
        read({"membershipDuration": "1 day"}, "")
