"""Refusals of the Google Ads API: a gRPC status with a GoogleAdsFailure in its trailing metadata.

Source: google.ads.googleads.v26.errors in google-ads 34.0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import grpc
from google.ads.googleads.v26.errors.types.errors import GoogleAdsError, GoogleAdsFailure
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status

from connectors.sandbox.google_facts import ADS_API_VERSION

FAILURE_KEY = f"google.ads.googleads.{ADS_API_VERSION}.errors.googleadsfailure-bin"
_RATE_SCOPE_ACCOUNT = 2

FieldPath = Sequence[tuple[str, int | None]]
"""(field name, index in a repeated field or None) from the request inwards."""


class AdsRefusal(Exception):
    """A call that is refused whole. Without `errors` the status carries no GoogleAdsFailure, as where a
    front end answers in the API's place."""

    def __init__(self, status: grpc.StatusCode, message: str, errors: Sequence[Any] = ()) -> None:
        self.status = status
        self.message = message
        self.errors = tuple(errors)
        super().__init__(message)

    def trailing_metadata(self, request_id: str) -> tuple[tuple[str, str | bytes], ...]:
        if not self.errors:
            return (("request-id", request_id),)
        failure = failure_message(self.errors, request_id)
        return ((FAILURE_KEY, failure.SerializeToString()), ("request-id", request_id))


def ads_error(category: str, name: str, message: str, path: FieldPath = ()) -> Any:
    """A GoogleAdsError; `category` is its field of ErrorCode ("query_error"), `name` the enum value's."""
    error = GoogleAdsError.pb()(message=message)
    setattr(error.error_code, category, _error_numbers(category)[name])
    for field_name, index in path:
        element = error.location.field_path_elements.add(field_name=field_name)
        if index is not None:
            element.index = index
    return error


@cache
def _error_numbers(category: str) -> dict[str, int]:
    descriptor = GoogleAdsError.pb()().error_code.DESCRIPTOR.fields_by_name[category]
    return {value.name: value.number for value in descriptor.enum_type.values}


def refusal(status: grpc.StatusCode, category: str, name: str, message: str) -> AdsRefusal:
    """A refusal for one error."""
    return AdsRefusal(status, message, [ads_error(category, name, message)])


def invalid(category: str, name: str, message: str, path: FieldPath = ()) -> AdsRefusal:
    """INVALID_ARGUMENT for one error."""
    message_of_status = "Request contains an invalid argument."
    error = ads_error(category, name, message, path)
    return AdsRefusal(grpc.StatusCode.INVALID_ARGUMENT, message_of_status, [error])


def throttled(delay: timedelta | None) -> AdsRefusal:
    """RESOURCE_EXHAUSTED; `delay` is the wait it names, if it names one."""
    error = ads_error("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", "Too many requests. Retry later.")
    details = error.details.quota_error_details
    details.rate_scope = _RATE_SCOPE_ACCOUNT
    details.rate_name = "Number of operations for basic access"
    if delay is not None:
        wait = Duration()
        wait.FromTimedelta(delay)
        details.retry_delay.CopyFrom(wait)
    message = "Resource has been exhausted (e.g. check quota)."
    return AdsRefusal(grpc.StatusCode.RESOURCE_EXHAUSTED, message, [error])


def failure_message(errors: Sequence[Any], request_id: str) -> Any:
    """The GoogleAdsFailure that holds these errors."""
    return GoogleAdsFailure.pb()(errors=errors, request_id=request_id)


def partial_failure(errors: Sequence[Any], request_id: str) -> Any:
    """The Status that a response carries where some operations failed: one failure with every error."""
    status = Status(code=grpc.StatusCode.INVALID_ARGUMENT.value[0], message="Multiple errors in 'details'.")
    status.details.add().Pack(failure_message(errors, request_id))
    return status
