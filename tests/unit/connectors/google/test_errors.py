"""What each of Google's exceptions tells us to do, and that none carries a person's data."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth import exceptions as auth
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ProxyError

from connectors.errors import (
    AccountBlocked,
    BatchRefused,
    ConnectorError,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.google import errors, facts
from connectors.types import Reason, Rejection

SECRET = "jane.doe@example.com"

# google-auth declares its exceptions without types.
RefreshError: Any = auth.RefreshError
TransportError: Any = auth.TransportError


def answer(
    status: int, *details: dict[str, Any], headers: dict[str, str] | None = None
) -> exceptions.GoogleAPICallError:
    """The exception that the Data Manager client raises for an HTTP answer."""
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers or {})
    response.request = requests.Request("POST", f"https://example.com/?email={SECRET}").prepare()
    body = {"error": {"code": status, "message": f"Value {SECRET} is not valid", "details": list(details)}}
    response.json = lambda **_: body  # type: ignore[method-assign]
    error = exceptions.from_http_response(response)  # type: ignore[no-untyped-call]
    assert isinstance(error, exceptions.GoogleAPICallError)
    return error


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}


def violations(*placed: tuple[str, str]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": field, "reason": reason, "description": f"{SECRET} is wrong"}
            for field, reason in placed
        ],
    }


def retry_after(seconds: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds}


def known(error: Exception) -> ConnectorError:
    result = errors.from_data_manager(error, "Google Ads account 123-456-7890")
    assert SECRET not in f"{result} {result!r} {getattr(result, 'rejections', '')}"
    assert "Google Ads account 123-456-7890" in str(result)
    return result


def test_a_refused_request_places_the_rows_that_google_names() -> None:
    result = known(
        answer(
            400,
            info("INVALID_ARGUMENT"),
            violations(
                ("events.events[7].user_data.user_identifiers[0].email_address", "INVALID_SHA256_FORMAT"),
                ("events[2].currency", "INVALID_CURRENCY_CODE"),
                ("events[7].event_timestamp", "EVENT_TIME_INVALID"),
            ),
        )
    )
    assert isinstance(result, BatchRefused)
    assert result.reason == Reason.REFUSED_BY_PLATFORM
    assert result.rejections == (
        Rejection(2, Reason.REFUSED_BY_PLATFORM, "INVALID_CURRENCY_CODE at currency"),
        Rejection(
            7,
            Reason.REFUSED_BY_PLATFORM,
            "INVALID_SHA256_FORMAT at user_data.user_identifiers[0].email_address; "
            "EVENT_TIME_INVALID at event_timestamp",
        ),
    )


def test_a_refused_request_whose_rows_are_not_named_is_to_be_split() -> None:
    for error in (answer(400), answer(400, violations((f"events[{SECRET}]", "INVALID_FORMAT")))):
        result = known(error)
        assert isinstance(result, BatchRefused)
        assert result.rejections == ()


@pytest.mark.parametrize("reason", sorted(facts.CONFIGURATION_REASONS))
def test_settings_stop_the_whole_line(reason: str) -> None:
    for details in ([info(reason)], [info("INVALID_ARGUMENT"), violations(("destinations[0]", reason))]):
        result = known(answer(400, *details))
        assert isinstance(result, FixConfiguration)
        assert (result.code, result.remedy) == (reason, facts.CONFIGURATION_REASONS[reason])


def test_an_action_made_just_now_is_waited_for() -> None:
    result = known(answer(400, info("CONVERSION_ACTION_TOO_RECENTLY_CREATED")))
    assert isinstance(result, RetryLater)
    assert result.delay == facts.TOO_RECENT_WAIT


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (answer(429), None),
        (answer(429, retry_after("3.5s")), timedelta(seconds=3.5)),
        (answer(429, headers={"Retry-After": "7"}), timedelta(seconds=7)),
        (
            answer(429, info("RATE_LIMIT_EXCEEDED", quota_limit="IngestPerDayPerProject")),
            facts.DAY_LIMIT_WAIT,
        ),
        (answer(429, info("RATE_LIMIT_EXCEEDED", quota_limit="IngestPerMinutePerProject")), None),
        (answer(503, retry_after("20s")), timedelta(seconds=20)),
    ],
)
def test_google_asks_to_wait(error: Exception, delay: timedelta | None) -> None:
    result = known(error)
    assert type(result) is RetryLater
    assert result.delay == delay


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, FixConfiguration),
        (405, FixConfiguration),
        (407, FixConfiguration),
        (408, RetryLater),
        (409, RetryLater),
        (413, BatchRefused),
    ],
)
def test_an_answer_that_says_nothing_but_what_was_not_taken(status: int, kind: type[ConnectorError]) -> None:
    assert type(known(answer(status))) is kind


@pytest.mark.parametrize("status", [499, 500, 502, 504])
def test_an_answer_that_says_nothing_leaves_the_fate_open(status: int) -> None:
    assert isinstance(known(answer(status)), FateUnknown)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer(401), CredentialsRefused),
        (answer(403), CredentialsRefused),
        (answer(403, info("ACCESS_TOKEN_SCOPE_INSUFFICIENT")), CredentialsRefused),
        (answer(403, info("SERVICE_DISABLED")), FixConfiguration),
        (answer(403, info("CONSUMER_SUSPENDED")), AccountBlocked),
        (answer(403, info("NOT_ALLOWLISTED")), FixConfiguration),
        (answer(404), FixConfiguration),
        (RefreshError("invalid_grant: gone", {"error": "invalid_grant"}), CredentialsRefused),
        (RefreshError("try again", retryable=True), RetryLater),
        (TransportError("no route"), RetryLater),
    ],
)
def test_access(error: Exception, kind: type[ConnectorError]) -> None:
    assert type(known(error)) is kind


def test_an_expired_consent_says_so() -> None:
    result = known(RefreshError("invalid_grant: " + SECRET, {"error": "invalid_grant"}))
    assert result.code == "invalid_grant"
    assert "refresh token" in result.remedy


def refused_connection() -> requests.ConnectionError:
    pool = HTTPSConnectionPool("example.com")
    return requests.ConnectionError(MaxRetryError(pool, "/", NewConnectionError(pool, "refused")))  # type: ignore[arg-type]


def refused_by_the_proxy() -> requests.ConnectionError:
    pool = HTTPSConnectionPool("example.com")
    proxy = ProxyError("Unable to connect to proxy", OSError("Tunnel connection failed"))
    return requests.exceptions.ProxyError(MaxRetryError(pool, "/", proxy))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused_connection(), RetryLater),
        (refused_by_the_proxy(), RetryLater),
        (requests.TooManyRedirects("Exceeded 0 redirects."), FixConfiguration),
        (requests.ConnectTimeout(), RetryLater),
        (requests.ReadTimeout(), FateUnknown),
        (requests.ConnectionError(ProtocolError("Connection aborted.")), FateUnknown),
        (requests.exceptions.ChunkedEncodingError(), FateUnknown),
        (requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED]"), FixConfiguration),
    ],
)
def test_the_network(error: Exception, kind: type[ConnectorError]) -> None:
    assert type(known(error)) is kind


def test_our_own_mistakes_are_not_hidden() -> None:
    with pytest.raises(KeyError):
        errors.from_data_manager(KeyError("a mistake"), "what")


def ads_failure(family: str, name: str, retry_seconds: int = 0) -> Any:
    from google.ads.googleads.v26.errors.types import errors as types

    error = types.GoogleAdsError(message=f"{SECRET} is wrong")
    pb = types.GoogleAdsError.pb(error)
    field = pb.error_code.DESCRIPTOR.fields_by_name[family]
    setattr(pb.error_code, family, field.enum_type.values_by_name[name].number)
    if retry_seconds:
        pb.details.quota_error_details.retry_delay.seconds = retry_seconds
    return types.GoogleAdsFailure(errors=[error])


@pytest.mark.parametrize(
    ("family", "name", "kind"),
    [
        ("authentication_error", "OAUTH_TOKEN_REVOKED", CredentialsRefused),
        ("authentication_error", "TWO_STEP_VERIFICATION_NOT_ENROLLED", CredentialsRefused),
        ("authentication_error", "CLIENT_CUSTOMER_ID_INVALID", FixConfiguration),
        ("authorization_error", "USER_PERMISSION_DENIED", CredentialsRefused),
        ("authorization_error", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", CredentialsRefused),
        ("authorization_error", "CUSTOMER_NOT_ENABLED", AccountBlocked),
        ("request_error", "UNSUPPORTED_VERSION", FixConfiguration),
        ("not_allowlisted_error", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", FixConfiguration),
        ("mutate_error", "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED", FixConfiguration),
        ("database_error", "CONCURRENT_MODIFICATION", RetryLater),
        ("internal_error", "TRANSIENT_ERROR", RetryLater),
        ("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", RetryLater),
        ("query_error", "UNRECOGNIZED_FIELD", FixConfiguration),
    ],
)
def test_ads_failures(family: str, name: str, kind: type[ConnectorError]) -> None:
    from google.ads.googleads.errors import GoogleAdsException

    failure = ads_failure(family, name)
    result = errors.from_ads(GoogleAdsException(None, None, failure, "request"), "the account")
    assert type(result) is kind
    assert result.code == name
    assert SECRET not in str(result)
    assert errors.ads_codes(failure) == [(family, name)]


@pytest.mark.parametrize(("seconds", "delay"), [(0, facts.DAY_LIMIT_WAIT), (30, timedelta(seconds=30))])
def test_a_days_quota_is_waited_for(seconds: int, delay: timedelta) -> None:
    from google.ads.googleads.errors import GoogleAdsException

    failure = ads_failure("quota_error", "RESOURCE_EXHAUSTED", seconds)
    result = errors.from_ads(GoogleAdsException(None, None, failure, "request"), "the account")
    assert isinstance(result, RetryLater)
    assert result.delay == delay
