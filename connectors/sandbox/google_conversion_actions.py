"""ConversionActionService.MutateConversionActions: creating conversion actions.

Rules: field comments of ConversionAction and its errors in google-ads 34.0.0 (v26).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import grpc
from google.ads.googleads.v26.services.types.conversion_action_service import (
    MutateConversionActionsResponse,
)

from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_ads_errors import AdsRefusal, FieldPath, ads_error, invalid, partial_failure
from connectors.sandbox.google_facts import (
    DEFAULT_CLICK_LOOKBACK_DAYS,
    LONGEST_CLICK_LOOKBACK_DAYS,
    MOST_MUTATE_OPERATIONS,
)
from connectors.sandbox.google_state import GoogleState

CREATABLE = ("AD_CALL", "CLICK_TO_CALL", "UPLOAD_CALLS", "UPLOAD_CLICKS", "WEBPAGE", "WEBSITE_CALL")
OUTPUT_ONLY = ("id", "origin", "owner_customer")
_ENABLED, _MANY_PER_CLICK, _MUTABLE_RESOURCE = 2, 3, 2


def mutate(
    request: Any,
    account: Account,
    google: GoogleState,
    now: datetime,
    *,
    failing: frozenset[int],
    request_id: str,
) -> Any:
    """Carry out the operations; `failing` are those that fail whatever they hold. Raises AdsRefusal."""
    if not request.operations:
        raise invalid("request_error", "OPERATION_REQUIRED", "At least one operation is needed.")
    if len(request.operations) > MOST_MUTATE_OPERATIONS:
        raise invalid("request_error", "TOO_MANY_MUTATE_OPERATIONS", "Too many operations.")
    accepted, errors = _judge(request.operations, account, failing)
    if errors and not request.partial_failure:
        raise AdsRefusal(grpc.StatusCode.INVALID_ARGUMENT, "Request contains an invalid argument.", errors)
    response = MutateConversionActionsResponse.pb()()
    if errors:
        response.partial_failure_error.CopyFrom(partial_failure(errors, request_id))
    if request.validate_only:
        return response
    for index in range(len(request.operations)):
        result = response.results.add()
        if index in accepted:
            kept = _keep(accepted[index], account, google, now)
            result.resource_name = kept.resource_name
            if request.response_content_type == _MUTABLE_RESOURCE:
                result.conversion_action.CopyFrom(kept)
    return response


def _judge(operations: Any, account: Account, failing: frozenset[int]) -> tuple[dict[int, Any], list[Any]]:
    """(what is to be created by the operation's index, what is wrong with the others)."""
    names = {action.name for action in account.conversion_actions.values() if action.status == _ENABLED}
    errors: list[Any] = []
    accepted: dict[int, Any] = {}
    for index, operation in enumerate(operations):
        if operation.WhichOneof("operation") != "create":
            raise AdsRefusal(
                grpc.StatusCode.UNIMPLEMENTED, "sandbox: conversion actions are only created here"
            )
        if index in failing:
            message = "A transient error has occurred. Please retry later."
            errors.append(ads_error("internal_error", "TRANSIENT_ERROR", message, (("operations", index),)))
            continue
        found = _violations(operation.create, names, (("operations", index), ("create", None)))
        errors += found
        if not found:
            accepted[index] = operation.create
            names.add(operation.create.name)
    return accepted, errors


def _violations(action: Any, names: set[str], path: FieldPath) -> list[Any]:
    found: list[Any] = []

    def wrong(category: str, name: str, field: str, message: str) -> None:
        found.append(ads_error(category, name, message, (*path, (field, None))))

    if not action.name:
        wrong("field_error", "REQUIRED", "name", "The required field was not present.")
    elif action.name in names:
        wrong("conversion_action_error", "DUPLICATE_NAME", "name", "The name is used by another action.")
    type_name = action.DESCRIPTOR.fields_by_name["type_"].enum_type.values_by_number[action.type_].name
    if type_name == "UNSPECIFIED":
        wrong("field_error", "REQUIRED", "type", "The required field was not present.")
    elif type_name not in CREATABLE:
        wrong("conversion_action_error", "CREATION_NOT_SUPPORTED", "type", "This type cannot be created.")
    for field in OUTPUT_ONLY:
        if getattr(action, field):
            wrong("field_error", "VALUE_MUST_BE_UNSET", field, "The field is set by Google.")
    days = action.click_through_lookback_window_days
    if action.HasField("click_through_lookback_window_days") and days < 1:
        wrong("range_error", "TOO_LOW", "click_through_lookback_window_days", "Too low.")
    if days > LONGEST_CLICK_LOOKBACK_DAYS:
        wrong("range_error", "TOO_HIGH", "click_through_lookback_window_days", "Too high.")
    return found


def _keep(created: Any, account: Account, google: GoogleState, now: datetime) -> Any:
    action_id = str(google.next_id())
    action = type(created)()
    action.CopyFrom(created)
    action.id = int(action_id)
    action.resource_name = f"customers/{account.customer_id}/conversionActions/{action_id}"
    action.owner_customer = f"customers/{account.customer_id}"
    action.status = action.status or _ENABLED
    action.counting_type = action.counting_type or _MANY_PER_CLICK
    if not action.HasField("primary_for_goal"):
        action.primary_for_goal = True
    if not action.HasField("click_through_lookback_window_days"):
        action.click_through_lookback_window_days = DEFAULT_CLICK_LOOKBACK_DAYS
    account.conversion_actions[action_id] = action
    account.action_created[action_id] = now
    return action
