"""Google's exceptions → our tree: `from_data_manager` and `from_ads`, one for each API.

Google's own sentences can repeat what a row held, so none is passed on: a message carries codes and the
names of fields alone. Raise what these return `from None`, or the sentence comes along as the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors.errors import (
    AccountBlocked,
    BatchRefused,
    ConnectorError,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.google import facts
from connectors.types import Reason, Rejection

_RESEND = "It is sent again by itself."
_READ_AGAIN = "It is tried again by itself; before a change, what stands at Google is read first."
_ACCESS = "Check that this user or service account may use the account, and what login_customer_id says."

_ROW = re.compile(r"(?:^|\.)(?:events|audience_members|audienceMembers)\[(\d+)\]")
_PATH = re.compile(r"[A-Za-z_]+(?:\[\d+\])?(?:\.[A-Za-z_]+(?:\[\d+\])?)*")
_CODE = re.compile(r"[A-Z][A-Z0-9_]*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")

# google.rpc.Code: ABORTED is 409, UNAVAILABLE 503; a gateway gives up waiting for a whole request with 408.
_NOT_NOW = (408, 409, 503)
_CANCELLED = 499


def from_data_manager(error: Exception, what: str) -> ConnectorError:
    """What to do about an exception of the Data Manager API over REST, from sign-in to answer.

    `what` names the account. Anything that may have come after the request was written and before its answer
    was read is FateUnknown.
    """
    from google.api_core import exceptions

    if isinstance(error, ConnectorError):
        return error
    if not isinstance(error, exceptions.GoogleAPICallError):
        return _from_sign_in_or_network(error, what)
    status = int(error.code or 0)
    details = [detail for detail in error.details or () if isinstance(detail, Mapping)]
    violations = _violations(details)
    reasons = {reason for _, reason in violations}
    # Where all fields fail for one reason, it says more than the code of the whole.
    code = next(iter(reasons)) if len(reasons) == 1 else _overall_code(error, details)
    reasons |= {code} if code else set()
    settings = _setting(reasons, what)
    if status == 429:
        return _too_many(error, details, what, code)
    if settings is not None:
        return settings
    if status == 400:
        return _refused(violations, what, code)
    if status == 401:
        return CredentialsRefused(what, "Google does not accept the access token", "Sign in anew.", code=code)
    if status == 403:
        return _forbidden(what, code)
    if status in _NOT_NOW:
        return RetryLater(what, "Google cannot answer now", _RESEND, code=code, delay=_delay(error, details))
    if status == 413:
        return _refused((), what, "REQUEST_TOO_LARGE")
    if 300 <= status < 500 and status != _CANCELLED:
        return _elsewhere(what, code)
    return FateUnknown(what, f"Google answered with status {status}", _RESEND, code=code)


def from_ads(error: Exception, what: str) -> ConnectorError:
    """What to do about an exception of the Google Ads API over gRPC, from sign-in to answer."""
    import grpc
    from google.ads.googleads.errors import GoogleAdsException
    from google.api_core import exceptions

    if isinstance(error, ConnectorError):
        return error
    if isinstance(error, GoogleAdsException):
        return _from_ads_failure(error.failure, what)
    call = error.__cause__ if isinstance(error, exceptions.GoogleAPICallError) else error
    if isinstance(call, grpc.RpcError) and isinstance(call, grpc.Call):
        failure = _failure_of(call)
        if failure is not None:
            return _from_ads_failure(failure, what)
        return _from_status(call.code().name, call.details() or "", what)
    if isinstance(error, exceptions.GoogleAPICallError):
        status = error.grpc_status_code
        return _from_status(status.name if status else "UNKNOWN", error.message or "", what)
    return _from_sign_in_or_network(error, what)


def unreadable(what: str) -> FateUnknown:
    """For an answer that says all is well in a form that nobody can read."""
    return FateUnknown(what, "Google's answer cannot be read", _RESEND)


def ads_codes(failure: Any) -> list[tuple[str, str]]:
    """(family, name) of each error of a GoogleAdsFailure: ("quota_error", "RESOURCE_EXHAUSTED")."""
    codes = []
    for error in failure.errors:
        message = type(error.error_code).pb(error.error_code)
        family = message.WhichOneof("error_code")
        if family is None:
            codes.append(("", "UNKNOWN"))
            continue
        number = getattr(message, family)
        known = message.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
        codes.append((family, known.name if known else str(number)))
    return codes


def _from_sign_in_or_network(error: Exception, what: str) -> ConnectorError:
    import requests
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError):
        return RetryLater(what, "the sign-in server could not be reached", "Check token_url and the network.")
    if isinstance(error, exceptions.GoogleAuthError):
        if error.retryable:
            return RetryLater(what, "the sign-in server cannot answer now", _RESEND)
        return _sign_in_refused(what, _sign_in_code(error), str(error))
    if isinstance(error, requests.exceptions.SSLError):
        return _untrusted(what) if "CERTIFICATE_VERIFY" in str(error) else _lost(what)
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return _elsewhere(what, None)
    if isinstance(error, requests.exceptions.RequestException):
        return _unreached(what) if _never_left(error) else _lost(what)
    if isinstance(error, ConnectionError | TimeoutError):
        return _lost(what)
    raise error


def _sign_in_refused(what: str, code: str | None, said: str) -> CredentialsRefused:
    remedy = "Check the client id, the client's secret and the key file."
    if "necessary fields" in said:
        remedy = "The access token has run out and nothing renews it: give a new one, or other credentials."
    elif code == "invalid_grant":
        remedy = "Sign in anew for a fresh refresh token; an app in testing loses its own every seven days."
    return CredentialsRefused(what, "Google refuses the credentials", remedy, code=code)


def _sign_in_code(error: Exception) -> str | None:
    answer = error.args[1] if len(error.args) > 1 else None
    code = answer.get("error") if isinstance(answer, Mapping) else None
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]+", code) else None


def _never_left(error: Exception) -> bool:
    """True where no connection was made, to Google or to a proxy before it, so that no byte of the request
    left."""
    import requests
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    before = (
        requests.exceptions.ConnectTimeout | requests.exceptions.InvalidURL | requests.exceptions.ProxyError
    )
    if isinstance(error, before):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError | ConnectTimeoutError)


def _lost(what: str) -> FateUnknown:
    return FateUnknown(what, "the connection was lost before Google's answer came", _RESEND)


def _unreached(what: str) -> RetryLater:
    return RetryLater(what, "Google could not be reached", "Check the network and the address.")


def _elsewhere(what: str, code: str | None) -> FixConfiguration:
    return FixConfiguration(
        what,
        "Google does not take requests at this address",
        "Check data_manager_url, the ids and what stands between.",
        code=code,
    )


def _untrusted(what: str) -> FixConfiguration:
    return FixConfiguration(
        what,
        "the server's certificate is not trusted",
        "Name the certificate to trust, or check the address.",
    )


def _violations(details: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(path of the field, reason) of every field that Google names, both as codes alone."""
    found = []
    for detail in details:
        for violation in detail.get("fieldViolations", ()):
            path, reason = str(violation.get("field", "")), str(violation.get("reason", ""))
            path = path if _PATH.fullmatch(path) else ""
            found.append((path, reason if _CODE.fullmatch(reason) else "INVALID_ARGUMENT"))
    return found


def _overall_code(error: Any, details: Sequence[Mapping[str, Any]]) -> str | None:
    reasons = [error.reason, *(detail.get("reason") for detail in details)]
    return next((reason for reason in reasons if reason and _CODE.fullmatch(str(reason))), None)


def _setting(reasons: Iterable[str], what: str) -> ConnectorError | None:
    for reason in sorted(reasons):
        if reason in facts.TOO_RECENT_REASONS:
            problem = "the conversion action is too new to take conversions"
            return RetryLater(what, problem, _RESEND, code=reason, delay=facts.TOO_RECENT_WAIT)
        if reason in facts.CONFIGURATION_REASONS:
            return FixConfiguration(
                what, "Google refuses the settings", facts.CONFIGURATION_REASONS[reason], code=reason
            )
    return None


def _refused(violations: Sequence[tuple[str, str]], what: str, code: str | None) -> BatchRefused:
    words: dict[int, list[str]] = {}
    for path, reason in violations:
        row = _ROW.search(path)
        if row:
            words.setdefault(int(row.group(1)), []).append(f"{reason} at {path[row.end() :].lstrip('.')}")
    rejections = tuple(
        Rejection(index, Reason.REFUSED_BY_PLATFORM, "; ".join(said)) for index, said in sorted(words.items())
    )
    # Rows are told apart by their own words; the whole is named by the reasons without places.
    reasons = ", ".join(sorted({reason for _, reason in violations})) or code or "INVALID_ARGUMENT"
    return BatchRefused(
        what,
        f"Google refuses the request: {reasons}",
        "The rows at fault are set apart and the rest is sent.",
        reason=Reason.REFUSED_BY_PLATFORM,
        code=code,
        rejections=rejections,
    )


def _forbidden(what: str, code: str | None) -> ConnectorError:
    if code == "SERVICE_DISABLED":
        return FixConfiguration(
            what,
            "the API is not enabled",
            "Enable it in the Google Cloud project of the credentials.",
            code=code,
        )
    if code == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        remedy = f"Sign in anew with the scopes {' and '.join(facts.SCOPES)}."
        return CredentialsRefused(what, "the sign-in does not cover this API", remedy, code=code)
    if code in ("CONSUMER_SUSPENDED", "BILLING_DISABLED"):
        return AccountBlocked(
            what, "the Google Cloud project is blocked", "See the project's own page.", code=code
        )
    return CredentialsRefused(what, "Google denies access", _ACCESS, code=code)


def _too_many(error: Any, details: Sequence[Mapping[str, Any]], what: str, code: str | None) -> RetryLater:
    limits = " ".join(str(detail.get("metadata", {}).get("quota_limit", "")) for detail in details)
    delay = _delay(error, details)
    if "day" in limits.lower():
        problem = "the project's requests for the day are used up"
        return RetryLater(what, problem, _RESEND, code=code, delay=delay or facts.DAY_LIMIT_WAIT)
    return RetryLater(what, "too many requests in a short time", _RESEND, code=code, delay=delay)


def _delay(error: Any, details: Sequence[Mapping[str, Any]]) -> timedelta | None:
    for detail in details:
        named = _DURATION.fullmatch(str(detail.get("retryDelay", "")))
        if named:
            return timedelta(seconds=float(named.group(1)))
    header = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    return timedelta(seconds=int(header)) if header.isdecimal() else None


def _failure_of(call: Any) -> Any | None:
    """The GoogleAdsFailure in an error's trailer, which the client leaves there for some statuses."""
    from importlib import import_module

    from google.protobuf.message import DecodeError

    key = f"google.ads.googleads.{facts.ADS_API_VERSION}.errors.googleadsfailure-bin"
    types = import_module(f"google.ads.googleads.{facts.ADS_API_VERSION}.errors.types.errors")
    for name, value in call.trailing_metadata() or ():
        if name == key:
            try:
                return types.GoogleAdsFailure.deserialize(value)
            except DecodeError:
                return None
    return None


def _from_ads_failure(failure: Any, what: str) -> ConnectorError:
    codes = ads_codes(failure) or [("", "UNKNOWN")]
    for family, name in codes:
        if name in facts.ADS_CONFIGURATION_ERRORS:
            remedy = facts.ADS_CONFIGURATION_ERRORS[name]
            return FixConfiguration(what, "Google refuses the settings", remedy, code=name)
        if name in facts.ADS_BLOCKED_ERRORS:
            problem = "the account or the Google Cloud project is blocked or not active"
            return AccountBlocked(what, problem, "See the account's own page in Google Ads.", code=name)
        if family in facts.ADS_CREDENTIAL_FAMILIES:
            return CredentialsRefused(what, "Google denies access", _ACCESS, code=name)
    delay = _ads_delay(failure)
    for family, name in codes:
        if family == "quota_error" and name in facts.ADS_DAY_LIMIT_ERRORS:
            problem = "the requests that Google allows are used up"
            return RetryLater(what, problem, _READ_AGAIN, code=name, delay=delay or facts.DAY_LIMIT_WAIT)
    if all(name in facts.ADS_PASSING_ERRORS for _, name in codes):
        return RetryLater(what, "Google cannot answer now", _READ_AGAIN, code=codes[0][1], delay=delay)
    family, name = codes[0]
    return FixConfiguration(
        what, f"Google refuses the request ({family})", "Check the configuration it was made from.", code=name
    )


def _ads_delay(failure: Any) -> timedelta | None:
    delays = [error.details.quota_error_details.retry_delay for error in failure.errors]
    longest = max(delays, default=timedelta(0))
    return timedelta(seconds=longest.total_seconds()) if longest else None


def _from_status(status: str, details: str, what: str) -> ConnectorError:
    """A gRPC status without Google's own failure: the network, the certificate or the sign-in."""
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return _untrusted(what)
    if "plugin failed" in details:
        code = re.search(r"invalid_[a-z]+|unauthorized_client|deleted_client", details)
        if code is None and "necessary fields" not in details:
            return RetryLater(what, "the sign-in server could not be reached", "Check token_url.")
        return _sign_in_refused(what, code.group() if code else None, details)
    if status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return CredentialsRefused(what, "Google denies access", _ACCESS, code=status)
    if status == "RESOURCE_EXHAUSTED":
        return RetryLater(what, "too many requests", _READ_AGAIN, code=status)
    if status in ("UNIMPLEMENTED", "NOT_FOUND", "INVALID_ARGUMENT"):
        remedy = "Check ads_endpoint; if it is right, install a newer release."
        return FixConfiguration(what, "the server does not know this request", remedy, code=status)
    if status == "UNAVAILABLE" and "failed to connect" in details:
        return RetryLater(
            what, "Google could not be reached", "Check the network and the address.", code=status
        )
    return FateUnknown(what, "Google's answer was lost", _READ_AGAIN, code=status)
