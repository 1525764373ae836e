from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from google.ads import datamanager_v1
from google.api_core import exceptions

from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.google_accounts import account
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.oauth import OAuthState
from connectors.sandbox.server import Sandbox
from tests.integration.sandbox.google_client import (
    HASH,
    NOON,
    Clock,
    destination,
    event,
    events_request,
    ingestion,
    user_lists,
)

Status = datamanager_v1.RequestStatusPerDestination.RequestStatus
ADDRESS = {"given_name": HASH, "family_name": HASH, "region_code": "DE", "postal_code": "10115"}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def running(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox, clock: Clock) -> Sandbox:
    running.state.reset()
    running.faults.clear()
    clock.now = NOON
    return running


@pytest.fixture
def google(sandbox: Sandbox) -> GoogleState:
    return sandbox.state.part(GoogleState)


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    return ingestion(sandbox.http_url)


def people(*identifiers: dict[str, Any]) -> dict[str, Any]:
    return {"user_identifiers": list(identifiers)}


def status_of(client: Any, request_id: str) -> Any:
    request = datamanager_v1.RetrieveRequestStatusRequest(request_id=request_id)
    return client.retrieve_request_status(request=request).request_status_per_destination[0]


def failures(status: Any) -> dict[str, int]:
    return {
        datamanager_v1.ProcessingErrorReason(one.reason).name.removeprefix("PROCESSING_ERROR_REASON_"): int(
            one.record_count
        )
        for one in status.error_info.error_counts
    }


def violations(error: exceptions.GoogleAPICallError) -> list[tuple[str, str]]:
    body = error.response.json()["error"]
    found = [one for one in body["details"] if one["@type"].endswith("google.rpc.BadRequest")]
    return [(one["field"], one["reason"]) for one in found[0]["fieldViolations"]] if found else []


def conversions(sandbox: Sandbox) -> list[dict[str, Any]]:
    answer = requests.get(f"{sandbox.http_url}/_sandbox/google/conversions", timeout=10).json()
    data: list[dict[str, Any]] = answer["data"]
    assert answer["total"] == len(data)
    return data


# what is taken


def test_an_event_becomes_one_conversion(sandbox: Sandbox, client: Any) -> None:
    answer = client.ingest_events(request=events_request())
    status = status_of(client, answer.request_id)
    assert status.request_status == Status.SUCCESS
    assert status.events_ingestion_status.record_count == 1
    assert status.destination.product_destination_id == "987"
    (kept,) = conversions(sandbox)
    assert (kept["conversion_action"], kept["transaction_id"]) == ("987", "order-1")
    assert (kept["value"], kept["currency"]) == (12.5, "EUR")
    assert kept["identifiers"] == [{"kind": "gclid", "shape": "click id"}]
    assert kept["request_ids"] == [answer.request_id]


def test_a_newer_value_overwrites_and_the_count_stays(sandbox: Sandbox, client: Any) -> None:
    first = client.ingest_events(
        request=events_request(event(conversion_value=10.0, last_updated_timestamp=NOON - timedelta(hours=2)))
    )
    again = client.ingest_events(
        request=events_request(
            event(conversion_value=31.0, currency="USD", last_updated_timestamp=NOON - timedelta(hours=1))
        )
    )
    (kept,) = conversions(sandbox)
    assert (kept["value"], kept["currency"]) == (31.0, "USD")
    assert [one["value"] for one in kept["history"]] == [10.0, 31.0]
    assert kept["request_ids"] == [first.request_id, again.request_id]
    assert not any(one["stale"] for one in kept["history"])


def test_a_stale_value_overwrites_too_and_is_flagged(sandbox: Sandbox, client: Any) -> None:
    for value, hours in ((31.0, 1), (10.0, 2)):
        client.ingest_events(
            request=events_request(
                event(conversion_value=value, last_updated_timestamp=NOON - timedelta(hours=hours))
            )
        )
    (kept,) = conversions(sandbox)
    assert kept["value"] == 10.0
    assert [one["stale"] for one in kept["history"]] == [False, True]


def test_what_was_restated_to_zero_is_never_adjusted_again(sandbox: Sandbox, client: Any) -> None:
    for value in (10.0, 0.0, 20.0):
        client.ingest_events(request=events_request(event(conversion_value=value)))
    (kept,) = conversions(sandbox)
    assert kept["value"] == 0
    assert [one["ignored"] for one in kept["history"]] == [False, False, True]


def test_the_same_id_on_another_action_is_another_conversion(sandbox: Sandbox, client: Any) -> None:
    request = events_request(destinations=[destination("987"), destination("988")])
    client.ingest_events(request=request)
    assert sorted(one["conversion_action"] for one in conversions(sandbox)) == ["987", "988"]


def test_events_go_where_their_references_say(sandbox: Sandbox, client: Any) -> None:
    request = events_request(
        event(1, destination_references=["a"]),
        event(2, destination_references=["b"]),
        event(3),
        destinations=[{**destination("987"), "reference": "a"}, {**destination("988"), "reference": "b"}],
    )
    client.ingest_events(request=request)
    kept = sorted((one["conversion_action"], one["transaction_id"]) for one in conversions(sandbox))
    assert kept == [("987", "order-1"), ("987", "order-3"), ("988", "order-2"), ("988", "order-3")]


def test_the_same_person_in_hex_and_base64(google: GoogleState, client: Any) -> None:
    encoded = base64.b64encode(hashlib.sha256(b"someone@example.com").digest()).decode()
    client.ingest_events(request=events_request(event(1, user_data=people({"email_address": HASH}))))
    client.ingest_events(
        request=events_request(event(2, user_data=people({"email_address": encoded})), encoding="BASE64")
    )
    first, second = google.conversions.values()
    assert first.user_identifiers == second.user_identifiers == {("email_address", HASH)}
    assert second.identifiers[1] == ("email_address", "base64")


def test_validating_keeps_nothing(sandbox: Sandbox, client: Any) -> None:
    answer = client.ingest_events(request=events_request(validate_only=True))
    assert conversions(sandbox) == []
    with pytest.raises(exceptions.BadRequest) as refused:
        status_of(client, answer.request_id)
    assert violations(refused.value) == [("request_id", "INVALID_REQUEST_ID")]


def test_optional_fields_only_warn(client: Any) -> None:
    odd = event(cart_data={"merchant_id": "shop", "items": [{"unit_price": 3.0}]})
    answer = client.ingest_events(request=events_request(odd))
    reasons = {datamanager_v1.WarningReason(one.reason).name for one in answer.field_warnings}
    assert reasons == {
        "WARNING_REASON_INVALID_MERCHANT_ID",
        "WARNING_REASON_CART_DATA_ITEM_MERCHANT_PRODUCT_ID_MISSING",
    }
    assert answer.field_warnings[0].field == "events.events[0].cart_data.merchant_id"


# what is refused whole

PATH = "events.events[1]"
USER_PATH = f"{PATH}.user_data.user_identifiers"
ROW_REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no time": ({"event_timestamp": None}, f"{PATH}.event_timestamp", "REQUIRED_FIELD_MISSING"),
    "in the future": (
        {"event_timestamp": NOON + timedelta(seconds=1)},
        f"{PATH}.event_timestamp",
        "EVENT_TIME_INVALID",
    ),
    "no source": ({"event_source": None}, f"{PATH}.event_source", "REQUIRED_FIELD_MISSING"),
    "unknown source": ({"event_source": 77}, f"{PATH}.event_source", "INVALID_ENUM_VALUE"),
    "no currency": ({"currency": None}, f"{PATH}.currency", "REQUIRED_FIELD_MISSING"),
    "unknown currency": ({"currency": "EURO"}, f"{PATH}.currency", "INVALID_CURRENCY_CODE"),
    "lower-case currency": ({"currency": "eur"}, f"{PATH}.currency", "INVALID_CURRENCY_CODE"),
    "negative value": ({"conversion_value": -0.01}, f"{PATH}.conversion_value", "INVALID_NUMBER_FORMAT"),
    "no identifier": ({"ad_identifiers": None}, PATH, "NO_IDENTIFIERS_PROVIDED"),
    "two click ids": (
        {"ad_identifiers": {"gclid": "a", "wbraid": "b"}},
        f"{PATH}.ad_identifiers",
        "INVALID_EVENT",
    ),
    "unknown consent": (
        {"consent": {"ad_user_data": 9}},
        f"{PATH}.consent.ad_user_data",
        "INVALID_ENUM_VALUE",
    ),
    "unknown reference": (
        {"destination_references": ["elsewhere"]},
        f"{PATH}.destination_references",
        "INVALID_DESTINATION",
    ),
    "third-party data": (
        {"third_party_user_data": people({"email_address": HASH})},
        f"{PATH}.third_party_user_data",
        "THIRD_PARTY_USER_DATA_NOT_ALLOWED",
    ),
    "no user identifier": ({"user_data": {}}, USER_PATH, "REQUIRED_FIELD_MISSING"),
    "eleven user identifiers": (
        {"user_data": people(*[{"email_address": HASH}] * 11)},
        USER_PATH,
        "TOO_MANY_USER_IDENTIFIERS",
    ),
    "plain e-mail": (
        {"user_data": people({"email_address": "a@example.com"})},
        USER_PATH,
        "INVALID_HEX_ENCODING",
    ),
    "short hash": ({"user_data": people({"phone_number": HASH[:40]})}, PATH, "INVALID_SHA256_FORMAT"),
    "no postcode": (
        {"user_data": people({"address": {**ADDRESS, "postal_code": ""}})},
        f"{USER_PATH}.address.postal_code",
        "REQUIRED_FIELD_MISSING",
    ),
    "hashed postcode": (
        {"user_data": people({"address": {**ADDRESS, "postal_code": HASH}})},
        f"{USER_PATH}.address.postal_code",
        "INVALID_POSTAL_CODE",
    ),
    "unknown customer type": (
        {"user_properties": {"customer_type": 9}},
        f"{PATH}.user_properties.customer_type",
        "INVALID_ENUM_VALUE",
    ),
    "unknown region": (
        {"user_data": people({"address": {**ADDRESS, "region_code": "Germany"}})},
        f"{USER_PATH}.address.region_code",
        "INVALID_REGION_CODE",
    ),
    "plain name": (
        {"user_data": people({"address": {**ADDRESS, "given_name": "someone"}})},
        USER_PATH,
        "INVALID_HEX_ENCODING",
    ),
}


@pytest.mark.parametrize("case", ROW_REFUSALS)
def test_one_bad_row_refuses_the_whole_request(sandbox: Sandbox, client: Any, case: str) -> None:
    changes, field, reason = ROW_REFUSALS[case]
    with pytest.raises(exceptions.BadRequest) as refused:
        client.ingest_events(request=events_request(event(1), event(2, **changes)))
    assert violations(refused.value) == [(field, reason)]
    assert refused.value.reason == "INVALID_ARGUMENT"
    assert conversions(sandbox) == []
    # The rest is taken as soon as the bad row is out.
    client.ingest_events(request=events_request(event(1)))
    assert len(conversions(sandbox)) == 1


DESTINATION = "destinations.destinations[0]"
REQUEST_REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no destination": ({"destinations": []}, "destinations", "REQUIRED_FIELD_MISSING"),
    "eleven destinations": (
        {"destinations": [destination()] * 11},
        "destinations.destinations",
        "TOO_MANY_DESTINATIONS",
    ),
    "no operating account": (
        {"destinations": [{"product_destination_id": "987"}]},
        f"{DESTINATION}.operating_account",
        "REQUIRED_FIELD_MISSING",
    ),
    "no account type": (
        {"destinations": [{**destination(), "operating_account": {"account_id": "1234567890"}}]},
        f"{DESTINATION}.operating_account.account_type",
        "REQUIRED_FIELD_MISSING",
    ),
    "hyphens": (
        {"destinations": [destination(customer_id="123-456-7890")]},
        f"{DESTINATION}.operating_account.account_id",
        "INVALID_NUMBER_FORMAT",
    ),
    "no action": (
        {"destinations": [destination("")]},
        f"{DESTINATION}.product_destination_id",
        "REQUIRED_FIELD_MISSING",
    ),
    "unknown action": (
        {"destinations": [destination("986")]},
        f"{DESTINATION}.product_destination_id",
        "INVALID_CONVERSION_ACTION_ID",
    ),
    "the manager's action": (
        {"destinations": [destination("700")]},
        f"{DESTINATION}.product_destination_id",
        "INVALID_CONVERSION_ACTION_ID",
    ),
    "not the conversion customer": (
        {"destinations": [destination("700", "2222222222")]},
        f"{DESTINATION}.operating_account",
        "INVALID_DESTINATION",
    ),
    "no encoding": (
        {"encoding": 0, "events": [event(user_data=people({"email_address": HASH}))]},
        "encoding",
        "REQUIRED_FIELD_MISSING",
    ),
    "too many events": (
        {"events": [event()] * 2_001},
        "events.events",
        "TOO_MANY_EVENTS",
    ),
    "bad base64": (
        {"encoding": "BASE64", "events": [event(user_data=people({"email_address": "no base64!"}))]},
        "events.events[0].user_data.user_identifiers",
        "INVALID_BASE64_ENCODING",
    ),
}


@pytest.mark.parametrize("case", REQUEST_REFUSALS)
def test_requests_that_are_refused(sandbox: Sandbox, client: Any, case: str) -> None:
    changes, field, reason = REQUEST_REFUSALS[case]
    with pytest.raises(exceptions.BadRequest) as refused:
        client.ingest_events(request=events_request(**changes))
    assert violations(refused.value) == [(field, reason)]
    assert conversions(sandbox) == []


def test_actions_that_take_no_events(google: GoogleState, client: Any) -> None:
    shop = google.accounts["1234567890"]
    shop.add_conversion_action("990", "Calls", type_="AD_CALL")
    shop.add_conversion_action("991", "Just made", created=NOON - timedelta(hours=5))
    shop.add_conversion_action("992", "Gone", status="REMOVED")
    google.accounts["3333333333"] = account("3333333333", "Unsigned", accepted_terms=False)
    google.accounts["3333333333"].add_conversion_action("993", "Purchase")
    person = event(user_data=people({"email_address": HASH}))
    found = []
    for target, customer_id in (
        ("990", "1234567890"),
        ("991", "1234567890"),
        ("992", "1234567890"),
        ("993", "3333333333"),
    ):
        with pytest.raises(exceptions.BadRequest) as refused:
            client.ingest_events(
                request=events_request(person, destinations=[destination(target, customer_id)])
            )
        found += [reason for _, reason in violations(refused.value)]
    assert found == [
        "INVALID_CONVERSION_ACTION_TYPE",
        "CONVERSION_ACTION_TOO_RECENTLY_CREATED",
        "INVALID_CONVERSION_ACTION_ID",
        "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
    ]


def test_a_tag_s_conversion_is_restated_by_its_transaction_id(sandbox: Sandbox, client: Any) -> None:
    recorded = {
        "transaction_id": "order-1",
        "event_at": "2026-11-19T10:00:00+01:00",
        "customer_id": "1234567890",
        "action_id": "989",
        "value": 40.0,
        "currency": "EUR",
    }
    pages = f"{sandbox.http_url}/_sandbox/google"
    assert requests.post(f"{pages}/tag_conversions", json=[recorded], timeout=10).json() == {"recorded": 1}
    client.ingest_events(request=events_request(event(1), destinations=[destination("989")]))
    (kept,) = conversions(sandbox)
    assert [one["value"] for one in kept["history"]] == [40.0, 12.5]
    with pytest.raises(exceptions.BadRequest) as refused:
        client.ingest_events(
            request=events_request(event(1, transaction_id=None), destinations=[destination("989")])
        )
    assert violations(refused.value) == [("events.events[0].transaction_id", "REQUIRED_FIELD_MISSING")]


def test_the_sandboxs_own_pages(sandbox: Sandbox, google: GoogleState, client: Any) -> None:
    pages = f"{sandbox.http_url}/_sandbox/google"
    changed = requests.post(f"{pages}/settings", json={"known_clicks_only": True}, timeout=10).json()
    assert changed["known_clicks_only"]
    assert google.settings.known_clicks_only
    assert requests.post(f"{pages}/settings", json={"clicks": 1}, timeout=10).status_code == 400
    click = {"gclid": "Cj0KCQ-1", "clicked_at": "2026-11-18T10:00:00", "customer_id": "1234567890"}
    assert requests.post(f"{pages}/clicks", json=[click], timeout=10).status_code == 400
    click["clicked_at"] += "Z"
    assert requests.post(f"{pages}/clicks", json=[click], timeout=10).json() == {"recorded": 1}
    answer = client.ingest_events(request=events_request(event(1), event(2)))
    asked = requests.get(f"{pages}/requests", timeout=10).json()
    assert asked["total"] == 1
    (shown,) = asked["data"]
    assert (shown["request_id"], shown["rows"]) == (answer.request_id, 2)
    assert shown["destinations"] == [
        {
            "product_destination_id": "987",
            "rows": 2,
            "failures": {"PROCESSING_ERROR_REASON_CLICK_NOT_FOUND": 1},
        }
    ]
    page = requests.get(f"{pages}/conversions?limit=1&offset=1", timeout=10).json()
    assert (page["total"], page["data"]) == (1, [])
    text = requests.get(f"{pages}/conversions", timeout=10).text
    assert "Cj0KCQ" not in text
    state = requests.get(f"{sandbox.http_url}/_sandbox/state", timeout=10).json()
    assert state["google"]["values"] == {"1234567890/987 EUR": 12.5}


def test_answers_name_enums_unless_numbers_are_asked_for(sandbox: Sandbox, client: Any) -> None:
    request_id = client.ingest_events(request=events_request()).request_id
    address = f"{sandbox.http_url}/v1/requestStatus:retrieve?requestId={request_id}"
    headers = {"authorization": "Bearer sandbox-token"}
    for query, status in (("", "SUCCESS"), ("&$alt=json;enum-encoding=int", 1)):
        answer = requests.get(address + query, headers=headers, timeout=10).json()
        (found,) = answer["requestStatusPerDestination"]
        assert found["requestStatus"] == status
        assert found["eventsIngestionStatus"]["recordCount"] == "1"


def test_accounts_out_of_reach(google: GoogleState, client: Any) -> None:
    with pytest.raises(exceptions.Forbidden):
        client.ingest_events(request=events_request(destinations=[destination(customer_id="4444444444")]))
    google.accounts["1234567890"].direct_access = False
    with pytest.raises(exceptions.Forbidden):
        client.ingest_events(request=events_request())
    through = {**destination(), "login_account": {"account_id": "1111111111", "account_type": "GOOGLE_ADS"}}
    assert client.ingest_events(request=events_request(destinations=[through])).request_id


def test_a_refusal_names_as_many_fields_as_is_set(google: GoogleState, client: Any) -> None:
    bad = [event(number, currency="EURO") for number in range(5)]
    for shown in (2, 0):
        google.settings.violations_shown = shown
        with pytest.raises(exceptions.BadRequest) as refused:
            client.ingest_events(request=events_request(*bad))
        assert len(violations(refused.value)) == shown


def test_a_body_that_is_no_such_message(sandbox: Sandbox) -> None:
    cases: list[tuple[Any, str]] = [
        ({"evnets": []}, "Unknown name"),
        ({"events": [{"eventSource": "CARRIER_PIGEON"}]}, "events[0].event_source"),
        ({"events": [{"eventTimestamp": "2026-11-20"}]}, "events[0].event_timestamp"),
        ({"events": [{"eventTimestamp": "2026-11-20T10:00:00"}]}, "events[0].event_timestamp"),
        ({"events": [{"conversionValue": "much"}]}, "events[0].conversion_value"),
        ({"validateOnly": "yes"}, "validate_only"),
        (
            {"events": [{"userData": {"userIdentifiers": [{"emailAddress": HASH, "phoneNumber": HASH}]}}]},
            "oneof",
        ),
        ([], "IngestEventsRequest"),
    ]
    for body, words in cases:
        answer = requests.post(
            f"{sandbox.http_url}/v1/events:ingest",
            json=body,
            headers={"authorization": "Bearer sandbox-token"},
            timeout=10,
        )
        assert answer.status_code == 400
        assert words in answer.json()["error"]["message"]


# what is decided later


def test_a_request_is_processing_until_it_is_settled(
    sandbox: Sandbox, google: GoogleState, client: Any, clock: Clock
) -> None:
    google.settings.settle_after_seconds = 1800
    answer = client.ingest_events(request=events_request())
    assert status_of(client, answer.request_id).request_status == Status.PROCESSING
    assert conversions(sandbox) == []
    clock.advance(minutes=30)
    assert status_of(client, answer.request_id).request_status == Status.SUCCESS
    assert len(conversions(sandbox)) == 1

    later = client.ingest_events(request=events_request(event(2)))
    settled = requests.post(f"{sandbox.http_url}/_sandbox/google/settle", timeout=10).json()
    assert settled == {"settled": 1}
    assert status_of(client, later.request_id).request_status == Status.SUCCESS
    clock.advance(days=51)
    with pytest.raises(exceptions.BadRequest) as refused:
        status_of(client, later.request_id)
    assert violations(refused.value) == [("request_id", "REQUEST_TOO_OLD")]


def _clicked(google: GoogleState, *, days: float, customer_id: str = "1234567890") -> None:
    google.register_click("Cj0KCQ-1", NOON - timedelta(days=days), customer_id=customer_id)


def _only_known(google: GoogleState) -> None:
    google.settings.known_clicks_only = True


def _consent_required(google: GoogleState) -> None:
    google.settings.consent_required = True


def _one_per_click(google: GoogleState) -> None:
    google.accounts["1234567890"].add_conversion_action("987", "Once", counting_type="ONE_PER_CLICK")


DENIED = {"consent": {"ad_user_data": "CONSENT_DENIED"}}
PROCESSING: dict[str, tuple[Callable[[GoogleState], None], dict[str, Any], str]] = {
    "before the click": (lambda google: _clicked(google, days=0.5), {}, "CONVERSION_PRECEDES_CLICK"),
    "past the look-back": (lambda google: _clicked(google, days=92), {}, "EVENT_TOO_OLD"),
    "another account's click": (
        lambda google: _clicked(google, days=2, customer_id="2222222222"),
        {},
        "INVALID_OPERATING_ACCOUNT_FOR_CLICK",
    ),
    "too fresh a click": (
        lambda google: _clicked(google, days=0.2),
        {"event_timestamp": NOON},
        "TOO_RECENT_CLICK",
    ),
    "too old": (lambda _: None, {"event_timestamp": NOON - timedelta(days=91)}, "EVENT_TOO_OLD"),
    "denied": (lambda _: None, DENIED, "DENIED_CONSENT"),
    "unknown click": (_only_known, {}, "CLICK_NOT_FOUND"),
    "no consent": (_consent_required, {}, "UNKNOWN_CONSENT"),
    "no click id": (lambda _: None, {"ad_identifiers": {"gclid": "not a click"}}, "INVALID_GCLID"),
    "braid": (
        _one_per_click,
        {"ad_identifiers": {"gbraid": "0AAAA"}},
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    ),
}


@pytest.mark.parametrize("case", PROCESSING)
def test_rows_that_fail_later_are_only_counted(
    sandbox: Sandbox, google: GoogleState, client: Any, case: str
) -> None:
    prepare, changes, reason = PROCESSING[case]
    prepare(google)
    status = status_of(client, client.ingest_events(request=events_request(event(1, **changes))).request_id)
    assert status.request_status == Status.FAILED
    assert failures(status) == {reason: 1}
    assert conversions(sandbox) == []


def test_a_row_overrides_the_consent_of_its_request(sandbox: Sandbox, client: Any) -> None:
    agreed = event(1, consent={"ad_user_data": "CONSENT_GRANTED"})
    request = events_request(agreed, event(2), consent={"ad_user_data": "CONSENT_DENIED"})
    status = status_of(client, client.ingest_events(request=request).request_id)
    assert status.request_status == Status.PARTIAL_SUCCESS
    assert failures(status) == {"DENIED_CONSENT": 1}
    assert [one["transaction_id"] for one in conversions(sandbox)] == ["order-1"]


def test_duplicates(sandbox: Sandbox, client: Any) -> None:
    same_click = event(2, ad_identifiers={"gclid": "Cj0KCQ-1"})
    request = events_request(event(1), event(1), same_click)
    status = status_of(client, client.ingest_events(request=request).request_id)
    assert failures(status) == {"DUPLICATE_TRANSACTION_ID": 1, "DUPLICATE_GCLID": 1}
    assert status.events_ingestion_status.record_count == 3
    assert len(conversions(sandbox)) == 1


# faults, sign-in and quota


def test_partial_failure_fails_some_rows(sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.add(Fault(FaultKind.PARTIAL_FAILURE, Platform.GOOGLE_DATA_MANAGER))
    request = events_request(*(event(number) for number in range(6)))
    status = status_of(client, client.ingest_events(request=request).request_id)
    assert status.request_status == Status.PARTIAL_SUCCESS
    assert failures(status) == {"INTERNAL_ERROR": 2}
    assert len(conversions(sandbox)) == 4


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        (Fault(FaultKind.THROTTLE), exceptions.TooManyRequests, "RESOURCE_EXHAUSTED"),
        (Fault(FaultKind.SERVER_ERROR), exceptions.InternalServerError, "INTERNAL_ERROR"),
    ],
)
def test_faults_in_googles_words(
    sandbox: Sandbox, client: Any, fault: Fault, error: Any, reason: str
) -> None:
    sandbox.faults.add(fault)
    with pytest.raises(error) as refused:
        client.ingest_events(request=events_request())
    assert refused.value.reason == reason
    assert conversions(sandbox) == []


def test_a_throttled_answer_names_the_wait(sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.add(Fault(FaultKind.THROTTLE, delay_seconds=12.5))
    with pytest.raises(exceptions.TooManyRequests) as refused:
        client.ingest_events(request=events_request())
    (wait,) = [one for one in refused.value.details if one["@type"].endswith("google.rpc.RetryInfo")]
    assert wait["retryDelay"] == "12.5s"


def test_an_answer_that_is_lost_after_all_was_kept(sandbox: Sandbox, client: Any) -> None:
    sandbox.faults.add(Fault(FaultKind.TIMEOUT_AFTER_ACCEPT))
    with pytest.raises(requests.exceptions.ConnectionError):
        client.ingest_events(request=events_request(), retry=None)
    client.ingest_events(request=events_request())
    (kept,) = conversions(sandbox)
    assert len(kept["history"]) == 2


def test_sign_in(sandbox: Sandbox) -> None:
    oauth = sandbox.state.part(OAuthState)
    narrow = oauth.issue("https://www.googleapis.com/auth/adwords", NOON)
    stale = oauth.issue("", NOON - timedelta(hours=2))
    wide = oauth.issue("https://www.googleapis.com/auth/datamanager", NOON)
    sandbox.faults.add(Fault(FaultKind.BAD_TOKEN, skip=1, path="/v1/events"))
    for header, status, reason in (
        (None, 401, "CREDENTIALS_MISSING"),
        ("Bearer sandbox-token", 401, "ACCESS_TOKEN_EXPIRED"),
        ("Bearer nobody", 401, "ACCESS_TOKEN_EXPIRED"),
        (f"Bearer {stale}", 401, "ACCESS_TOKEN_EXPIRED"),
        (f"Bearer {narrow}", 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        (f"Bearer {wide}", 400, "INVALID_ARGUMENT"),
    ):
        headers = {"authorization": header} if header else {}
        answer = requests.post(f"{sandbox.http_url}/v1/events:ingest", json={}, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (status, reason)


def test_quota(google: GoogleState, client: Any, clock: Clock) -> None:
    google.settings.quota, google.settings.requests_per_minute = True, 2
    last = [client.ingest_events(request=events_request(event(number))) for number in range(2)][-1]
    with pytest.raises(exceptions.TooManyRequests):
        client.ingest_events(request=events_request())
    # Reading is counted apart from writing.
    assert status_of(client, last.request_id).request_status == Status.SUCCESS
    clock.advance(minutes=1)
    assert client.ingest_events(request=events_request()).request_id


# audiences

PARENT = "accountTypes/GOOGLE_ADS/accounts/1234567890"


def make_list(sandbox: Sandbox, name: str = "Best customers") -> Any:
    user_list = datamanager_v1.UserList(
        display_name=name,
        membership_duration=timedelta(days=180),
        ingested_user_list_info={"upload_key_types": ["CONTACT_ID"]},
    )
    return user_lists(sandbox.http_url).create_user_list(parent=PARENT, user_list=user_list)


def hashed(number: int) -> str:
    return hashlib.sha256(f"{number}@example.com".encode()).hexdigest()


def member(*numbers: int, **changes: Any) -> dict[str, Any]:
    return {"user_data": people(*({"email_address": hashed(one)} for one in numbers)), **changes}


def members_request(list_id: Any, *members: dict[str, Any], **changes: Any) -> Any:
    return datamanager_v1.IngestAudienceMembersRequest(
        **{
            "destinations": [destination(str(list_id))],
            "audience_members": members,
            "encoding": "HEX",
            "terms_of_service": {"customer_match_terms_of_service_status": "ACCEPTED"},
            **changes,
        }
    )


def test_user_lists(sandbox: Sandbox) -> None:
    client = user_lists(sandbox.http_url)
    made = make_list(sandbox)
    make_list(sandbox, "Others")
    assert made.name == f"{PARENT}/userLists/{made.id}"
    with pytest.raises(exceptions.BadRequest) as refused:
        make_list(sandbox)
    assert violations(refused.value) == [("user_list.display_name", "DISPLAY_NAME_ALREADY_USED")]
    request = datamanager_v1.ListUserListsRequest(parent=PARENT, page_size=1)
    assert [one.display_name for one in client.list_user_lists(request=request)] == [
        "Best customers",
        "Others",
    ]
    request = datamanager_v1.ListUserListsRequest(parent=PARENT, filter='display_name = "Others"')
    assert [one.display_name for one in client.list_user_lists(request=request)] == ["Others"]
    changed = datamanager_v1.UserList(
        name=made.name, description="P90", membership_duration=timedelta(days=30)
    )
    client.update_user_list(user_list=changed, update_mask={"paths": ["description", "membership_duration"]})
    kept = client.get_user_list(name=made.name)
    assert (kept.display_name, kept.description, kept.membership_duration.days) == (
        "Best customers",
        "P90",
        30,
    )
    client.delete_user_list(name=made.name)
    with pytest.raises(exceptions.NotFound):
        client.get_user_list(name=made.name)


def test_members_come_and_go(sandbox: Sandbox, google: GoogleState, client: Any, clock: Clock) -> None:
    made = make_list(sandbox)
    client.ingest_audience_members(request=members_request(made.id, member(1), member(2)))
    clock.advance(minutes=5)
    started = clock.now
    # Someone who shares an identifier is the same person.
    client.ingest_audience_members(request=members_request(made.id, member(2, 3), member(4)))
    members = google.user_lists[str(made.id)].members
    assert len(members) == 3
    remove = datamanager_v1.RemoveAudienceMembersRequest(
        destinations=[destination(str(made.id))], audience_members=[member(3)], encoding="HEX"
    )
    answer = client.remove_audience_members(request=remove)
    assert len(members) == 2
    status = status_of(client, answer.request_id)
    assert status.audience_members_removal_status.user_data_removal_status.record_count == 1
    remove_all = datamanager_v1.RemoveAllAudienceMembersRequest(
        destinations=[destination(str(made.id))], remove_as_of_time=started
    )
    client.remove_all_audience_members(request=remove_all)
    assert members.identifiers() == [frozenset({f"email_address:{hashed(4)}"})]


def test_denied_members_are_counted(sandbox: Sandbox, google: GoogleState, client: Any) -> None:
    made = make_list(sandbox)
    denied = member(2, consent={"ad_personalization": "CONSENT_DENIED"})
    answer = client.ingest_audience_members(request=members_request(made.id, member(1), denied))
    status = status_of(client, answer.request_id)
    assert failures(status) == {"DENIED_CONSENT": 1}
    assert status.audience_members_ingestion_status.user_data_ingestion_status.record_count == 2
    assert len(google.user_lists[str(made.id)].members) == 1


MEMBERS = "audience_members.audience_members"
MEMBER_REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no terms": (
        {"terms_of_service": None},
        "terms_of_service.customer_match_terms_of_service_status",
        "TERMS_AND_CONDITIONS_NOT_SIGNED",
    ),
    "no encoding": ({"encoding": 0}, "encoding", "REQUIRED_FIELD_MISSING"),
    "no members": ({"audience_members": []}, "audience_members", "REQUIRED_FIELD_MISSING"),
    "too many": ({"audience_members": [member(1)] * 10_001}, MEMBERS, "TOO_MANY_AUDIENCE_MEMBERS"),
    "an empty member": ({"audience_members": [member(1), {}]}, f"{MEMBERS}[1]", "INVALID_AUDIENCE_MEMBER"),
    "plain e-mail": (
        {"audience_members": [{"user_data": people({"email_address": "a@example.com"})}]},
        f"{MEMBERS}[0].user_data.user_identifiers",
        "INVALID_HEX_ENCODING",
    ),
    "unknown list": (
        {"destinations": [destination("1")]},
        f"{DESTINATION}.product_destination_id",
        "INVALID_USER_LIST_ID",
    ),
    "device ids for a contact list": (
        {"audience_members": [{"mobile_data": {"mobile_ids": ["00000000-0000-4000-8000-000000000000"]}}]},
        f"{DESTINATION}.product_destination_id",
        "INVALID_USER_LIST_TYPE",
    ),
}


@pytest.mark.parametrize("case", MEMBER_REFUSALS)
def test_member_requests_that_are_refused(
    sandbox: Sandbox, client: Any, google: GoogleState, case: str
) -> None:
    made = make_list(sandbox)
    changes, field, reason = MEMBER_REFUSALS[case]
    with pytest.raises(exceptions.BadRequest) as refused:
        client.ingest_audience_members(request=members_request(made.id, member(1), **changes))
    assert violations(refused.value) == [(field, reason)]
    assert len(google.user_lists[str(made.id)].members) == 0


def test_removing_everyone_as_of_the_future_is_refused(sandbox: Sandbox, client: Any) -> None:
    made = make_list(sandbox)
    request = datamanager_v1.RemoveAllAudienceMembersRequest(
        destinations=[destination(str(made.id))], remove_as_of_time=NOON + timedelta(seconds=1)
    )
    with pytest.raises(exceptions.BadRequest) as refused:
        client.remove_all_audience_members(request=request)
    assert violations(refused.value) == [("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME")]


# speed


def test_two_thousand_events_are_answered_quickly(sandbox: Sandbox) -> None:
    body = {
        "destinations": [
            {
                "operatingAccount": {"accountId": "1234567890", "accountType": 1},
                "productDestinationId": "987",
            }
        ],
        "encoding": 1,
        "events": [
            {
                "transactionId": f"order-{number}",
                "eventTimestamp": "2026-11-19T10:00:00Z",
                "eventSource": 1,
                "currency": "EUR",
                "conversionValue": 12.5,
                "adIdentifiers": {"gclid": f"Cj0KCQ-{number}"},
                "userData": {"userIdentifiers": [{"emailAddress": HASH}, {"phoneNumber": HASH}]},
            }
            for number in range(2_000)
        ],
    }
    session = requests.Session()
    session.headers["authorization"] = "Bearer sandbox-token"
    times = []
    for _ in range(3):
        prepared = session.prepare_request(
            requests.Request("POST", f"{sandbox.http_url}/v1/events:ingest", json=body)
        )
        started = time.perf_counter()
        assert session.send(prepared, timeout=30).status_code == 200
        times.append(time.perf_counter() - started)
    assert len(sandbox.state.part(GoogleState).conversions) == 2_000
    # Alone on a core about 0.08 s; the bound leaves room for a busy machine.
    assert min(times) < 0.5
