"""Answers to Google Ads queries: rows made from what the sandbox's accounts hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import grpc
from google.ads.googleads.v26.common.types.metrics import Metrics
from google.ads.googleads.v26.resources.types.customer_client import CustomerClient
from google.ads.googleads.v26.resources.types.user_list import UserList as AdsUserList
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_ads_errors import AdsRefusal
from connectors.sandbox.google_query import (
    Condition,
    Query,
    date_range,
    field_path,
    number_or_truth,
    problem,
)
from connectors.sandbox.google_state import GoogleState

_SUMMED = (
    "cost_micros",
    "clicks",
    "impressions",
    "conversions",
    "conversions_value",
    "all_conversions",
    "all_conversions_value",
)


def rows(query: Query, account: Account, google: GoogleState, now: datetime) -> list[Any]:
    """The GoogleAdsRow messages that answer a query, holding the selected fields alone."""
    make = _RESOURCES.get(query.resource)
    if make is None:
        raise AdsRefusal(
            grpc.StatusCode.UNIMPLEMENTED, f"sandbox: the resource {query.resource} is not held here"
        )
    named = [*query.fields, *(condition.field for condition in query.conditions)]
    measured = any(field.startswith(("metrics.", "segments.")) for field in named)
    if measured and account.customer.manager:
        raise problem("REQUESTED_METRICS_FOR_MANAGER", "Metrics cannot be asked of a manager account.")
    if measured and query.resource != "campaign":
        message = f"sandbox: metrics are held for campaigns, not for {query.resource}"
        raise AdsRefusal(grpc.StatusCode.UNIMPLEMENTED, message)
    today = now.astimezone(ZoneInfo(account.customer.time_zone)).date()
    found: Iterable[Any] = (_row(query.resource, resource, account) for resource in make(account, google))
    if measured:
        found = _measured(found, query, account, today)
    tests = [_test(condition, today) for condition in query.conditions]
    kept = [row for row in found if all(test(row) for test in tests)]
    for field, descending in reversed(query.order):
        kept.sort(key=partial(_sort_key, field=field), reverse=descending)
    selected = [*query.fields, f"{query.resource}.resource_name"]
    return [_selected(row, selected) for row in kept[: query.limit]]


def _row(resource: str, message: Any, account: Account) -> Any:
    row = GoogleAdsRow.pb()()
    row.customer.CopyFrom(account.customer)
    getattr(row, resource).CopyFrom(message)
    return row


def _measured(found: Iterable[Any], query: Query, account: Account, today: date) -> Iterator[Any]:
    """Rows with metrics: one a day where segments.date is selected, else summed over the days asked for."""
    tests = [_test(condition, today) for condition in query.conditions_on("segments.date")]
    by_day = "segments.date" in query.fields
    for row in found:
        total = Metrics.pb()()
        for (campaign_id, day), metrics in account.metrics.items():
            if campaign_id != str(row.campaign.id):
                continue
            dated = GoogleAdsRow.pb()()
            dated.CopyFrom(row)
            dated.segments.date = day.isoformat()
            if not all(test(dated) for test in tests):
                continue
            if by_day:
                dated.metrics.CopyFrom(metrics)
                yield dated
            for name in _SUMMED:
                setattr(total, name, getattr(total, name) + getattr(metrics, name))
        if not by_day:
            row.metrics.CopyFrom(total)
            # Summed rows have met the condition on their days already.
            row.ClearField("segments")
            yield row


def _value(row: Any, field: str) -> Any:
    """A field's value: enums by name, None where it is not set."""
    message = row
    *parents, leaf = field_path(field)
    for parent in parents:
        if not message.HasField(parent.name):
            return None
        message = getattr(message, parent.name)
    if leaf.has_presence and not message.HasField(leaf.name):
        return None
    value = getattr(message, leaf.name)
    if leaf.enum_type is not None and not leaf.is_repeated:
        return leaf.enum_type.values_by_number[value].name
    return value


def _sort_key(row: Any, *, field: str) -> tuple[bool, Any]:
    value = _value(row, field)
    return (value is not None, 0 if value is None else value)


def _test(condition: Condition, today: date) -> Callable[[Any], bool]:
    field, operator, wanted = condition.field, condition.operator, condition.value
    leaf = field_path(field)[-1]

    def comparable(value: Any) -> Any:
        textual = leaf.enum_type is not None or leaf.cpp_type == leaf.CPPTYPE_STRING
        return value if textual else number_or_truth(leaf, value)

    if operator == "DURING":
        first, last = date_range(condition, today)
        return lambda row: first.isoformat() <= (_value(row, field) or "") <= last.isoformat()
    if operator in ("IS NULL", "IS NOT NULL"):
        return lambda row: (_value(row, field) is None) == (operator == "IS NULL")
    if operator in ("IN", "NOT IN"):
        values = [comparable(one) for one in wanted or ()]
        return lambda row: (_value(row, field) in values) == (operator == "IN")
    if operator in ("LIKE", "NOT LIKE"):
        pattern = re.compile(".*".join(map(re.escape, str(wanted).split("%"))), re.IGNORECASE | re.DOTALL)
        return lambda row: bool(pattern.fullmatch(_value(row, field) or "")) == (operator == "LIKE")
    target, compare = comparable(wanted), _COMPARE[operator]
    if field == "segments.date":
        # A row that is summed over its days has none left.
        return lambda row: (value := _value(row, field)) is None or compare(value, target)
    return lambda row: (value := _value(row, field)) is not None and compare(value, target)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, target: value == target,
    "!=": lambda value, target: value != target,
    "<": lambda value, target: value < target,
    "<=": lambda value, target: value <= target,
    ">": lambda value, target: value > target,
    ">=": lambda value, target: value >= target,
}


def _selected(row: Any, fields: Iterable[str]) -> Any:
    result = GoogleAdsRow.pb()()
    for field in fields:
        source, target = row, result
        *parents, leaf = field_path(field)
        for parent in parents:
            if not source.HasField(parent.name):
                break
            source, target = getattr(source, parent.name), getattr(target, parent.name)
            target.SetInParent()
        else:
            _copy(source, target, leaf)
    return result


def _copy(source: Any, target: Any, leaf: Any) -> None:
    if leaf.is_repeated:
        if not getattr(target, leaf.name):
            getattr(target, leaf.name).extend(getattr(source, leaf.name))
    elif not leaf.has_presence or source.HasField(leaf.name):
        setattr(target, leaf.name, getattr(source, leaf.name))


def _clients(account: Account, google: GoogleState) -> Iterator[Any]:
    """The account itself (level 0) and those it manages (level 1)."""
    for other in google.accounts.values():
        if other is not account and other.manager_id != account.customer_id:
            continue
        customer = other.customer
        yield CustomerClient.pb()(
            resource_name=f"customers/{account.customer_id}/customerClients/{customer.id}",
            client_customer=f"customers/{customer.id}",
            id=customer.id,
            level=0 if other is account else 1,
            manager=customer.manager,
            descriptive_name=customer.descriptive_name,
            currency_code=customer.currency_code,
            time_zone=customer.time_zone,
            status=customer.status,
        )


def _user_lists(account: Account, google: GoogleState) -> Iterator[Any]:
    for one in google.user_lists.values():
        if one.customer_id == account.customer_id:
            yield AdsUserList.pb(
                AdsUserList(
                    resource_name=f"customers/{account.customer_id}/userLists/{one.list_id}",
                    id=one.resource.id,
                    name=one.resource.display_name,
                    description=one.resource.description,
                    membership_status="OPEN" if one.resource.membership_status == 1 else "CLOSED",
                    membership_life_span=one.resource.membership_duration.ToTimedelta().days,
                    size_for_search=len(one.members),
                    size_for_display=len(one.members),
                    type_="CRM_BASED",
                )
            )


_RESOURCES: dict[str, Callable[[Account, GoogleState], Iterable[Any]]] = {
    "customer": lambda account, _: [account.customer],
    "customer_client": _clients,
    "conversion_action": lambda account, _: account.conversion_actions.values(),
    "campaign": lambda account, _: account.campaigns.values(),
    "user_list": _user_lists,
}
