from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import FateUnknown, FixConfiguration
from connectors.meta.events import MetaEvents
from connectors.types import Action, Destination, Receipt, Shaped
from tests.unit.connectors.meta.rows import NOW, TOKEN, account, conversion, conversions, judged

URL = "https://graph.facebook.com/v26.0/111/events"


def events(**settings: Any) -> MetaEvents:
    return MetaEvents(account(), "111", **settings)


def reason(destination: MetaEvents, **changes: Any) -> str | None:
    rows = conversions(conversion(**changes))
    verdict: str | None = destination.eligibility(judged(rows), NOW)[0].as_py()
    return verdict


def shape(destination: MetaEvents, *rows: dict[str, Any]) -> Shaped:
    return destination.shape(conversions(*rows), NOW)


def test_is_a_destination() -> None:
    destination = events()
    assert isinstance(destination, Destination)
    assert destination.address == "meta/111/events/Purchase"
    assert destination.capabilities.rows_per_request == 1000
    assert destination.capabilities.resend_window == timedelta(hours=48)
    assert not destination.capabilities.restates


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"ad_user_data": False}, "no_consent"),
        ({"ad_user_data": None}, "no_consent"),
        ({"ad_personalization": None}, None),
        ({"email": None}, "no_click_or_identifier"),
        ({"email": None, "first_name": "Ann"}, None),
        ({"email": None, "fbclid": "IwAR1"}, None),
        ({"email": None, "gclid": "x"}, "no_click_or_identifier"),
        ({"page_url": None}, "missing_key"),
        ({"user_agent": None}, "missing_key"),
        ({"event_time": NOW - timedelta(days=7)}, None),
        ({"event_time": NOW - timedelta(days=7, seconds=1)}, "too_old"),
        ({"event_time": NOW + timedelta(seconds=30)}, None),
        ({"event_time": NOW + timedelta(hours=1)}, "in_future"),
        ({"value": Decimal(0)}, None),
        ({"value": Decimal("-0.01")}, "no_value"),
        ({"currency": "eur"}, None),
        ({"currency": "EURO"}, "unknown_currency"),
        ({"currency": ""}, "unknown_currency"),
    ],
)
def test_eligibility(changes: dict[str, Any], expected: str | None) -> None:
    assert reason(events(), **changes) == expected


def test_a_shop_has_62_days_and_needs_no_page() -> None:
    shop = events(action_source="physical_store")
    assert reason(shop, event_time=NOW - timedelta(days=62), page_url=None, user_agent=None) is None
    assert reason(shop, event_time=NOW - timedelta(days=62, seconds=1)) == "too_old"


@pytest.mark.parametrize(
    ("field", "changes", "expected"),
    [
        ("predicted_ltv", {"value": Decimal(0)}, "no_value"),
        ("predicted_ltv", {"order_value": None}, "no_value"),
        ("predicted_ltv", {}, None),
        ("net_revenue", {"value": Decimal(0)}, None),
        ("net_revenue", {"order_value": None}, "no_value"),
        ("value", {"order_value": None}, None),
    ],
)
def test_values_by_field(field: str, changes: dict[str, Any], expected: str | None) -> None:
    assert reason(events(value_field=field), **changes) == expected


def test_only_wire_columns_come_out_and_nothing_in_clear() -> None:
    row = conversion(phone="030 901820", first_name="Zoë", last_name="O'Neil", external_id="c-1")
    shaped = shape(events(), row)
    assert shaped.rejections == ()
    assert "email" not in shaped.table.column_names
    values = [str(value) for column in shaped.table.columns for value in column.to_pylist()]
    for clear in ("person1@example.com", "901820", "zoë", "oneil", "c-1"):
        assert not any(clear in value.lower() for value in values)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"email": "not an address"}, "bad_identifier"),
        ({"email": "not an address", "phone": "+49 30 901820"}, None),
        ({"phone": "12"}, None),
        ({"page_url": "shop.example"}, "missing_key"),
        ({"user_agent": " "}, "missing_key"),
        ({"key": "ann@example.com"}, "bad_identifier"),
        ({"event_id": "ann@example.com"}, "bad_identifier"),
        ({"event_time": NOW - timedelta(days=8)}, "too_old"),
    ],
)
def test_rows_that_cannot_be_shaped(changes: dict[str, Any], expected: str | None) -> None:
    shaped = shape(events(), conversion(1), conversion(2, **changes), conversion(3))
    assert [(one.index, one.reason) for one in shaped.rejections] == ([(1, expected)] if expected else [])
    assert shaped.table.num_rows == (2 if expected else 3)
    assert "ann@" not in str(shaped.rejections)


def send(destination: MetaEvents, *rows: dict[str, Any], answer: Any = None) -> tuple[Receipt, Any]:
    """The receipt, and the form that was posted."""
    shaped = shape(destination, *rows).table
    body = {"events_received": len(rows), "messages": [], "fbtrace_id": "AbC"} if answer is None else answer
    with responses.RequestsMock() as server:
        server.post(URL, json=body)
        receipt = destination.send(shaped, Action.ADD)
        request = server.calls[0].request
    assert TOKEN not in str(request.url)
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    form = parse_qs(str(request.body), strict_parsing=True)
    return receipt, {name: values[0] for name, values in form.items()}


def test_an_event_on_the_wire() -> None:
    row = conversion(
        phone="030 901820",
        external_id="c-1",
        client_ip="192.0.2.7",
        fbp="fb.1.1596403881668.1116446470",
        ad_personalization=False,
        value=Decimal("1299.999"),
    )
    receipt, form = send(events(test_event_code="TEST7"), row)
    assert receipt == Receipt(request_id="AbC")
    assert form["test_event_code"] == "TEST7"
    [event] = orjson.loads(form["data"])
    people = event.pop("user_data")
    assert event == {
        "event_name": "Purchase",
        "action_source": "website",
        "event_id": "order-1",
        "event_time": int((NOW - timedelta(hours=1)).timestamp()),
        "event_source_url": "https://shop.example/thanks",
        "opt_out": True,
        "custom_data": {
            "value": 1300,
            "order_value": 59,
            "currency": "EUR",
            "order_id": "order-1",
            "customer_segmentation": "new_customer_to_business",
        },
    }
    assert set(people) == {
        "em",
        "ph",
        "country",
        "external_id",
        "fbp",
        "client_ip_address",
        "client_user_agent",
    }
    assert len(people["em"]) == 64
    assert people["fbp"] == "fb.1.1596403881668.1116446470"


def test_predicted_value_rides_beside_the_orders_own() -> None:
    _, form = send(events(value_field="predicted_ltv"), conversion())
    [event] = orjson.loads(form["data"])
    assert event["custom_data"]["predicted_ltv"] == 129.9
    assert event["custom_data"]["value"] == 59
    assert "opt_out" not in event


def test_the_same_row_is_the_same_bytes() -> None:
    first = send(events(), conversion(1), conversion(2))[1]["data"]
    assert send(events(), conversion(1), conversion(2))[1]["data"] == first


def test_what_was_not_received_is_counted_and_messages_are_scrubbed() -> None:
    answer = {"events_received": 1, "messages": ["bad 203.0.113.9"], "fbtrace_id": "AbC"}
    receipt, _ = send(events(), conversion(1), conversion(2), answer=answer)
    assert receipt.unplaced == 1
    assert receipt.words == "bad …"


def test_an_answer_that_does_not_count_is_no_receipt() -> None:
    with pytest.raises(FateUnknown):
        send(events(), conversion(), answer={"success": True})


def test_a_sent_event_is_not_restated() -> None:
    with pytest.raises(FixConfiguration, match="restate"):
        events().send(shape(events(), conversion()).table, Action.RESTATE)


@pytest.mark.parametrize(
    "settings",
    [
        {"action_source": "web"},
        {"value_field": "profit"},
        {"default_region": "Atlantis"},
        {"event_name": " "},
    ],
)
def test_wrong_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(FixConfiguration):
        events(**settings)


def test_a_datasets_id_is_digits() -> None:
    with pytest.raises(FixConfiguration):
        MetaEvents(account(), "act_1")


TEXTS = (
    "email phone first_name last_name city region postcode country external_id fbclid fbc fbp client_ip "
    "user_agent page_url currency customer_type"
).split()
SHAPER = events(default_region="US")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.fixed_dictionaries({name: st.none() | st.text(max_size=20) for name in TEXTS}), max_size=4)
)
def test_every_row_is_shaped_or_rejected(rows: list[dict[str, str | None]]) -> None:
    table = conversions(*(conversion(number) | row for number, row in enumerate(rows)))
    assert len(SHAPER.eligibility(judged(table), NOW)) == len(rows)
    shaped = SHAPER.shape(table, NOW)
    assert shaped.table.num_rows + len(shaped.rejections) == len(rows)
    rejected = {one.index for one in shaped.rejections}
    assert shaped.table["key"].to_pylist() == [
        f"order-{number}" for number in range(len(rows)) if number not in rejected
    ]
