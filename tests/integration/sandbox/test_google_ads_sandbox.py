from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import grpc
import pytest
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.resources.types.conversion_action import ConversionAction
from google.ads.googleads.v26.services.types.conversion_action_service import (
    ConversionActionOperation,
    MutateConversionActionsRequest,
)
from google.api_core import exceptions

from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.oauth import OAuthState
from connectors.sandbox.server import Sandbox
from tests.integration.sandbox.google_client import (
    NOON,
    Clock,
    ads_service,
    destination,
    events_request,
    ingestion,
    user_lists,
)

CUSTOMER = "1234567890"
FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(clock=Clock()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def service(running: Sandbox) -> Any:
    return ads_service(running, "GoogleAdsService")


@pytest.fixture(scope="module")
def actions(running: Sandbox) -> Any:
    return ads_service(running, "ConversionActionService")


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.state.reset()
    running.faults.clear()
    return running


@pytest.fixture
def google(sandbox: Sandbox) -> GoogleState:
    return sandbox.state.part(GoogleState)


def search(service: Any, query: str, customer_id: str = CUSTOMER) -> list[Any]:
    return list(service.search(customer_id=customer_id, query=query, timeout=10))


def failure_of(error: exceptions.GoogleAPICallError) -> Any:
    trailing = dict(error.__cause__.trailing_metadata())  # type: ignore[union-attr]
    return GoogleAdsFailure.deserialize(trailing[FAILURE_KEY])


def codes(failure: Any) -> list[tuple[str, str]]:
    return [
        (field.name, value.name)
        for one in failure.errors
        for field, value in ((field, getattr(one.error_code, field.name)) for field in set_fields(one))
    ]


def set_fields(error: Any) -> list[Any]:
    return [field for field, _ in type(error).pb(error).error_code.ListFields()]


# reading


def test_the_account_as_check_reads_it(sandbox: Sandbox, service: Any) -> None:
    (row,) = search(
        service,
        "SELECT customer.id, customer.currency_code, customer.time_zone, "
        "customer.conversion_tracking_setting.google_ads_conversion_customer, "
        "customer.conversion_tracking_setting.accepted_customer_data_terms FROM customer LIMIT 1",
    )
    customer = row.customer
    assert (customer.id, customer.currency_code, customer.time_zone) == (1234567890, "EUR", "Europe/Berlin")
    setting = customer.conversion_tracking_setting
    assert setting.google_ads_conversion_customer == "customers/1234567890"
    assert setting.accepted_customer_data_terms
    # What was not selected does not come.
    assert not customer.descriptive_name
    assert customer.resource_name == "customers/1234567890"


def test_conversion_actions(sandbox: Sandbox, service: Any) -> None:
    rows = search(
        service,
        "SELECT conversion_action.id, conversion_action.type, conversion_action.primary_for_goal, "
        "conversion_action.click_through_lookback_window_days, conversion_action.counting_type "
        "FROM conversion_action WHERE conversion_action.status = 'ENABLED' ORDER BY conversion_action.id",
    )
    found = [(one.conversion_action.id, one.conversion_action.primary_for_goal) for one in rows]
    assert found == [(987, True), (988, False), (989, False)]
    action = rows[0].conversion_action
    assert action.type_.name == "UPLOAD_CLICKS"
    assert action.counting_type.name == "MANY_PER_CLICK"
    assert action.click_through_lookback_window_days == 90


def test_campaigns_with_their_targets(sandbox: Sandbox, service: Any) -> None:
    rows = search(
        service,
        "SELECT campaign.id, campaign.bidding_strategy_type, campaign.bidding_strategy, "
        "campaign.maximize_conversions.target_cpa_micros, campaign.maximize_conversion_value.target_roas, "
        "campaign.target_cpa.target_cpa_micros, campaign.target_roas.target_roas, "
        "campaign.missing_eu_political_advertising_declaration "
        "FROM campaign WHERE campaign.status = ENABLED",
    )
    campaigns = {row.campaign.id: row.campaign for row in rows}
    assert sorted(campaigns) == [101, 102, 103, 104, 105, 106]
    assert campaigns[101].target_roas.target_roas == 6.0
    assert campaigns[102].maximize_conversion_value.target_roas == 3.5
    assert campaigns[103].maximize_conversions.target_cpa_micros == 28_000_000
    assert campaigns[104].target_cpa.target_cpa_micros == 35_000_000
    assert "target_roas" not in campaigns[104]
    assert campaigns[106].bidding_strategy == f"customers/{CUSTOMER}/biddingStrategies/501"


def test_metrics_by_day_and_summed(sandbox: Sandbox, google: GoogleState, service: Any) -> None:
    where = (
        "FROM campaign WHERE campaign.id IN (101, 102) "
        "AND segments.date BETWEEN '2026-11-01' AND '2026-11-07'"
    )
    by_day = search(
        service, f"SELECT campaign.id, segments.date, metrics.clicks, metrics.conversions {where}"
    )
    assert len(by_day) == 14
    summed = search(service, f"SELECT campaign.id, metrics.clicks, metrics.cost_micros {where}")
    assert len(summed) == 2
    for row in summed:
        days = [one.metrics.clicks for one in by_day if one.campaign.id == row.campaign.id]
        kept = [
            google.accounts[CUSTOMER].metrics[(str(row.campaign.id), date(2026, 11, 1) + timedelta(days=day))]
            for day in range(7)
        ]
        assert row.metrics.clicks == sum(days) == sum(one.clicks for one in kept)
        assert row.metrics.cost_micros == sum(one.cost_micros for one in kept)
        assert not row.segments.date
    recent = search(
        service,
        "SELECT segments.date, metrics.clicks FROM campaign "
        "WHERE campaign.id = 101 AND segments.date DURING LAST_7_DAYS ORDER BY segments.date DESC",
    )
    assert [row.segments.date for row in recent] == [f"2026-11-{day}" for day in range(19, 12, -1)]


def test_clients_of_a_manager_and_user_lists(sandbox: Sandbox, service: Any) -> None:
    rows = search(
        service,
        "SELECT customer_client.id, customer_client.level, customer_client.manager FROM customer_client "
        "WHERE customer_client.level <= 1",
        "1111111111",
    )
    assert [(one.customer_client.id, one.customer_client.level) for one in rows] == [
        (1111111111, 0),
        (1234567890, 1),
        (2222222222, 1),
    ]
    made = user_lists(sandbox.http_url).create_user_list(
        parent=f"accountTypes/GOOGLE_ADS/accounts/{CUSTOMER}",
        user_list={
            "display_name": "Best",
            "membership_duration": timedelta(days=30),
            "ingested_user_list_info": {"upload_key_types": ["CONTACT_ID"]},
        },
    )
    (row,) = search(
        service,
        "SELECT user_list.id, user_list.name, user_list.membership_life_span FROM user_list "
        "WHERE user_list.name LIKE '%est'",
    )
    assert (row.user_list.id, row.user_list.name, row.user_list.membership_life_span) == (made.id, "Best", 30)


def test_stream_and_search_say_the_same(sandbox: Sandbox, service: Any) -> None:
    query = "SELECT campaign.id FROM campaign ORDER BY campaign.id DESC LIMIT 3"
    streamed = [
        row.campaign.id
        for response in service.search_stream(customer_id=CUSTOMER, query=query, timeout=10)
        for row in response.results
    ]
    assert streamed == [row.campaign.id for row in search(service, query)] == [107, 106, 105]


def test_accessible_customers(sandbox: Sandbox, google: GoogleState) -> None:
    google.accounts["2222222222"].direct_access = False
    service = ads_service(sandbox, "CustomerService")
    names = service.list_accessible_customers(timeout=10).resource_names
    assert list(names) == ["customers/1111111111", "customers/1234567890"]


# refusals

QUERIES = {
    "SELECT campaign.nmae FROM campaign": "UNRECOGNIZED_FIELD",
    "SELECT campaign.maximize_conversions FROM campaign": "UNRECOGNIZED_FIELD",
    "SELECT campaign.id FROM campaign WHERE campaign.budget = 1": "UNRECOGNIZED_FIELD",
    "SELECT ad_group.id FROM campaign": "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
    "SELECT campaign.id FROM campaigns": "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
    "SELECT campaign.id": "EXPECTED_FROM",
    "campaign.id FROM campaign": "EXPECTED_SELECT",
    "SELECT campaign.id FROM campaign WHERE campaign.status = 'ON'": "BAD_ENUM_CONSTANT",
    "SELECT campaign.id FROM campaign WHERE campaign.id = 'many'": "BAD_VALUE",
    "SELECT campaign.id FROM campaign WHERE campaign.id IN ()": "PROHIBITED_EMPTY_LIST_IN_CONDITION",
    "SELECT campaign.id FROM campaign WHERE campaign.name = 'Brand": "STRING_NOT_TERMINATED",
    "SELECT campaign.id FROM campaign LIMIT 0": "LIMIT_VALUE_TOO_LOW",
    "SELECT campaign.id FROM campaign WHERE campaign.id": "UNEXPECTED_END_OF_QUERY",
    "SELECT campaign.id, segments.date FROM campaign": "EXPECTED_FILTERS_ON_DATE_RANGE",
    "SELECT metrics.clicks FROM campaign WHERE segments.date = '1 May'": "INVALID_DATE_FORMAT",
    "SELECT campaign.id FROM campaign WHERE segments.date DURING EVER": "INVALID_VALUE_WITH_DURING_OPERATOR",
}


@pytest.mark.parametrize("query", QUERIES)
def test_queries_that_are_refused(sandbox: Sandbox, service: Any, query: str) -> None:
    with pytest.raises(GoogleAdsException) as refused:
        search(service, query)
    assert codes(refused.value.failure) == [("query_error", QUERIES[query])]
    assert refused.value.error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.request_id.startswith("sandbox-")
    with pytest.raises(GoogleAdsException):
        list(service.search_stream(customer_id=CUSTOMER, query=query, timeout=10))


def test_metrics_of_a_manager_are_refused(sandbox: Sandbox, service: Any) -> None:
    with pytest.raises(GoogleAdsException) as refused:
        search(service, "SELECT metrics.clicks FROM campaign", "1111111111")
    assert codes(refused.value.failure) == [("query_error", "REQUESTED_METRICS_FOR_MANAGER")]


def test_a_page_size_is_refused(sandbox: Sandbox, service: Any) -> None:
    request = {"customer_id": CUSTOMER, "query": "SELECT campaign.id FROM campaign", "page_size": 10}
    with pytest.raises(GoogleAdsException) as refused:
        service.search(request=request, timeout=10)
    assert codes(refused.value.failure) == [("request_error", "PAGE_SIZE_NOT_SUPPORTED")]


def test_what_the_sandbox_does_not_hold_it_says(sandbox: Sandbox, service: Any) -> None:
    for query, what in (
        ("SELECT ad_group.id FROM ad_group", "the resource ad_group"),
        (
            "SELECT campaign.id FROM campaign WHERE campaign.name REGEXP_MATCH 'B.*'",
            "the operator REGEXP_MATCH",
        ),
        ("SELECT segments.device, campaign.id FROM campaign", "the segment segments.device"),
        ("SELECT metrics.clicks, customer.id FROM customer", "metrics are held for campaigns"),
    ):
        with pytest.raises(exceptions.MethodNotImplemented, match=what):
            search(service, query)


def test_who_may_read_what(sandbox: Sandbox, google: GoogleState) -> None:
    query = "SELECT customer.id FROM customer"
    oauth = sandbox.state.part(OAuthState)
    stale = oauth.issue("", NOON - timedelta(hours=2))
    google.accounts[CUSTOMER].direct_access = False
    cases: list[tuple[dict[str, Any], str, tuple[str, str]]] = [
        ({"token": "nobody"}, CUSTOMER, ("authentication_error", "OAUTH_TOKEN_INVALID")),
        ({"token": stale}, CUSTOMER, ("authentication_error", "OAUTH_TOKEN_EXPIRED")),
        ({}, CUSTOMER, ("authorization_error", "USER_PERMISSION_DENIED")),
        ({"login": "2222222222"}, CUSTOMER, ("authorization_error", "USER_PERMISSION_DENIED")),
        ({}, "9999999999", ("authorization_error", "USER_PERMISSION_DENIED")),
        ({}, "123-456-7890", ("request_error", "INVALID_CUSTOMER_ID")),
        ({"login": "111-111-1111"}, CUSTOMER, ("header_error", "INVALID_LOGIN_CUSTOMER_ID")),
    ]
    for arguments, customer_id, code in cases:
        with pytest.raises(GoogleAdsException) as refused:
            search(ads_service(sandbox, "GoogleAdsService", **arguments), query, customer_id)
        assert codes(refused.value.failure) == [code]
    narrow = oauth.issue("https://www.googleapis.com/auth/datamanager", NOON)
    with pytest.raises(exceptions.PermissionDenied, match="scopes"):
        search(ads_service(sandbox, "GoogleAdsService", token=narrow), query)
    assert search(ads_service(sandbox, "GoogleAdsService", login="1111111111"), query)


# faults


@pytest.mark.parametrize("delay", [None, 42.0])
def test_throttling_names_its_wait(sandbox: Sandbox, service: Any, delay: float | None) -> None:
    sandbox.faults.add(Fault(FaultKind.THROTTLE, Platform.GOOGLE_ADS, delay_seconds=delay))
    # The client library turns this status into no GoogleAdsException.
    with pytest.raises(exceptions.ResourceExhausted) as refused:
        search(service, "SELECT customer.id FROM customer")
    failure = failure_of(refused.value)
    assert codes(failure) == [("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED")]
    details = failure.errors[0].details.quota_error_details
    assert details.rate_scope.name == "ACCOUNT"
    assert ("retry_delay" in details) == (delay is not None)
    assert details.retry_delay == timedelta(seconds=delay or 0)


def test_other_faults(sandbox: Sandbox, service: Any) -> None:
    for kind, error in (
        (FaultKind.SERVER_ERROR, exceptions.InternalServerError),
        (FaultKind.HTML_ERROR, exceptions.ServiceUnavailable),
        (FaultKind.TIMEOUT_BEFORE_ACCEPT, exceptions.ServiceUnavailable),
        (FaultKind.BAD_TOKEN, GoogleAdsException),
    ):
        sandbox.faults.add(Fault(kind, Platform.GOOGLE_ADS))
        with pytest.raises(error):
            search(service, "SELECT customer.id FROM customer")
    sandbox.faults.add(Fault(FaultKind.SLOW, Platform.GOOGLE_ADS, delay_seconds=0.5))
    with pytest.raises(exceptions.DeadlineExceeded):
        service.search(customer_id=CUSTOMER, query="SELECT customer.id FROM customer", timeout=0.2)
    statuses = [one.status for one in sandbox.state.requests()]
    assert statuses[:4] == ["INTERNAL", "UNAVAILABLE", "UNAVAILABLE", "UNAUTHENTICATED"]


# creating conversion actions


def creations(*made: dict[str, Any], **settings: Any) -> MutateConversionActionsRequest:
    return MutateConversionActionsRequest(
        customer_id=CUSTOMER,
        operations=[ConversionActionOperation(create=ConversionAction(**one)) for one in made],
        **settings,
    )


LEAD = {"name": "Signed", "type_": "UPLOAD_CLICKS", "category": "QUALIFIED_LEAD"}


def test_a_conversion_action_is_created_and_ripens(sandbox: Sandbox, service: Any, actions: Any) -> None:
    request = creations(LEAD, response_content_type="MUTABLE_RESOURCE")
    (result,) = actions.mutate_conversion_actions(request=request, timeout=10).results
    assert result.conversion_action.primary_for_goal
    (row,) = search(
        service,
        "SELECT conversion_action.id, conversion_action.category, conversion_action.owner_customer "
        "FROM conversion_action WHERE conversion_action.name = 'Signed'",
    )
    assert row.conversion_action.resource_name == result.resource_name
    assert row.conversion_action.owner_customer == f"customers/{CUSTOMER}"
    target = destination(str(row.conversion_action.id))
    with pytest.raises(exceptions.BadRequest, match="problem"):
        ingestion(sandbox.http_url).ingest_events(request=events_request(destinations=[target]))


CREATION_REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": ""}, "field_error", "REQUIRED"),
    "no type": ({"type_": 0}, "field_error", "REQUIRED"),
    "taken name": ({"name": "Order margin"}, "conversion_action_error", "DUPLICATE_NAME"),
    "system type": ({"type_": "STORE_VISITS"}, "conversion_action_error", "CREATION_NOT_SUPPORTED"),
    "own id": ({"id": 5}, "field_error", "VALUE_MUST_BE_UNSET"),
    "no look-back": ({"click_through_lookback_window_days": 0}, "range_error", "TOO_LOW"),
    "long look-back": ({"click_through_lookback_window_days": 91}, "range_error", "TOO_HIGH"),
}


@pytest.mark.parametrize("case", CREATION_REFUSALS)
def test_creations_that_are_refused(sandbox: Sandbox, google: GoogleState, actions: Any, case: str) -> None:
    changes, category, name = CREATION_REFUSALS[case]
    with pytest.raises(GoogleAdsException) as refused:
        actions.mutate_conversion_actions(
            request=creations({**LEAD, "name": "Other"}, {**LEAD, **changes}), timeout=10
        )
    assert codes(refused.value.failure) == [(category, name)]
    path = refused.value.failure.errors[0].location.field_path_elements
    assert (path[0].field_name, path[0].index) == ("operations", 1)
    assert len(google.accounts[CUSTOMER].conversion_actions) == 3


def test_partial_failure_creates_the_rest(sandbox: Sandbox, google: GoogleState, actions: Any) -> None:
    request = creations(LEAD, LEAD, {**LEAD, "name": ""}, partial_failure=True)
    response = actions.mutate_conversion_actions(request=request, timeout=10)
    assert [bool(one.resource_name) for one in response.results] == [True, False, False]
    (detail,) = response.partial_failure_error.details
    failure = GoogleAdsFailure.deserialize(detail.value)
    found = [
        (one.location.field_path_elements[0].index, code)
        for one, code in zip(failure.errors, codes(failure), strict=True)
    ]
    assert found == [
        (1, ("conversion_action_error", "DUPLICATE_NAME")),
        (2, ("field_error", "REQUIRED")),
    ]
    assert len(google.accounts[CUSTOMER].conversion_actions) == 4


def test_faults_of_mutates(sandbox: Sandbox, google: GoogleState, actions: Any) -> None:
    held = google.accounts[CUSTOMER].conversion_actions
    sandbox.faults.add(Fault(FaultKind.PARTIAL_FAILURE, Platform.GOOGLE_ADS))
    response = actions.mutate_conversion_actions(
        request=creations(LEAD, {**LEAD, "name": "Second"}, partial_failure=True), timeout=10
    )
    assert [bool(one.resource_name) for one in response.results] == [False, True]
    sandbox.faults.add(Fault(FaultKind.TIMEOUT_AFTER_ACCEPT, Platform.GOOGLE_ADS))
    with pytest.raises(exceptions.ServiceUnavailable):
        actions.mutate_conversion_actions(request=creations(LEAD), timeout=10)
    assert [one.name for one in held.values()][-2:] == ["Second", "Signed"]
    response = actions.mutate_conversion_actions(
        request=creations({**LEAD, "name": "Third"}, validate_only=True), timeout=10
    )
    assert not response.results
    assert len(held) == 5


# the client as it is shipped

STOCK_CLIENT = """
import json, os
from google.ads.googleads.client import GoogleAdsClient
from google.oauth2.credentials import Credentials
client = GoogleAdsClient(
    credentials=Credentials(token="sandbox-token"), endpoint=os.environ["ENDPOINT"], version="v26",
    use_proto_plus=True,
)
service = client.get_service("GoogleAdsService")
rows = service.search(
    customer_id="1234567890",
    query="SELECT campaign.id FROM campaign WHERE campaign.status = 'PAUSED'",
    timeout=20,
)
print(json.dumps([row.campaign.id for row in rows]))
"""


def test_the_unmodified_client_over_tls(sandbox: Sandbox) -> None:
    # In a process of its own: gRPC reads the roots' path once, at a process's first channel.
    environment = {
        **os.environ,
        "ENDPOINT": sandbox.ads_endpoint,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(sandbox.certificate),
    }
    run = subprocess.run(
        [sys.executable, "-c", STOCK_CLIENT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [107]
