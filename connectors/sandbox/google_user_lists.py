"""UserListService of the Data Manager API: creating, reading, changing and deleting Customer Match lists.

Rules: field comments of UserList and of the requests in google-ads-datamanager 0.9.4, November 2026.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from google.ads.datamanager_v1 import types
from google.protobuf import json_format

from connectors.sandbox.google_facts import (
    LONGEST_MEMBERSHIP,
    MOST_USER_LISTS_PER_PAGE,
    USER_LISTS_PER_PAGE,
)
from connectors.sandbox.google_identity import whole_days
from connectors.sandbox.google_state import GoogleState, UserList
from connectors.sandbox.google_status import Refused, Violation, invalid
from connectors.sandbox.proto_json import decoder

_MESSAGE = types.UserList.pb()
_DECODE = decoder(_MESSAGE.DESCRIPTOR)
_CONDITION = re.compile(r'\s*(display_name|displayName|id)\s*=\s*(?:"([^"]*)"|(\d+))\s*', re.ASCII)
_CHANGEABLE = ("display_name", "description", "membership_status", "integration_code", "membership_duration")
OPEN = 1
OWNED = 1
CONTACT_ID = 1


def checked(content: Any) -> dict[str, Any]:
    """The decoded UserList of a request's body. Raises MalformedJson."""
    decoded: dict[str, Any] = _DECODE(content, "")
    return decoded


def _account(google: GoogleState, account_type: str, account_id: str) -> str:
    if account_type != "GOOGLE_ADS":
        raise invalid([Violation("parent", "INVALID_RESOURCE_NAME")])
    if account_id not in google.accounts:
        raise Refused(403, "The caller does not have permission.")
    return account_id


def _name(customer_id: str, list_id: str) -> str:
    return f"accountTypes/GOOGLE_ADS/accounts/{customer_id}/userLists/{list_id}"


def create(
    google: GoogleState, account_type: str, account_id: str, *, content: Any, validate_only: bool
) -> Any:
    """Make a list; the kept UserList message. Raises Refused or MalformedJson."""
    customer_id = _account(google, account_type, account_id)
    decoded = checked(content)
    info = decoded.get("ingested_user_list_info", {})
    found = _field_violations(google, customer_id, decoded, but=None)
    if not decoded.get("display_name"):
        found.append(Violation("user_list.display_name", "REQUIRED_FIELD_MISSING"))
    if not info.get("upload_key_types"):
        field = "user_list.ingested_user_list_info.upload_key_types"
        found.append(Violation(field, "REQUIRED_FIELD_MISSING"))
    if not google.accounts[customer_id].customer.conversion_tracking_setting.accepted_customer_data_terms:
        found.append(Violation("parent", "TERMS_AND_CONDITIONS_NOT_SIGNED"))
    if found:
        raise invalid(found)
    resource = json_format.ParseDict(content, _MESSAGE())
    list_id = google.next_id()
    resource.id = list_id
    resource.name = _name(customer_id, str(list_id))
    resource.read_only = False
    resource.membership_status = resource.membership_status or OPEN
    resource.access_reason = OWNED
    if not validate_only:
        google.user_lists[str(list_id)] = UserList(customer_id, resource)
    return resource


def _field_violations(
    google: GoogleState, customer_id: str, decoded: dict[str, Any], *, but: str | None
) -> list[Violation]:
    found: list[Violation] = []
    duration = decoded.get("membership_duration")
    if duration is not None and not whole_days(duration):
        found.append(Violation("user_list.membership_duration", "INVALID_ARGUMENT", "Whole days only."))
    elif duration is not None and duration > LONGEST_MEMBERSHIP:
        found.append(Violation("user_list.membership_duration", "MEMBERSHIP_DURATION_TOO_LONG"))
    name = decoded.get("display_name")
    others = (one for key, one in google.user_lists.items() if one.customer_id == customer_id and key != but)
    if name is not None and any(one.resource.display_name == name for one in others):
        found.append(Violation("user_list.display_name", "DISPLAY_NAME_ALREADY_USED"))
    return found


def get(google: GoogleState, account_type: str, account_id: str, list_id: str) -> UserList:
    """One list. Raises Refused (404) where the account has none of this id."""
    customer_id = _account(google, account_type, account_id)
    user_list = google.user_lists.get(list_id)
    if user_list is None or user_list.customer_id != customer_id:
        raise Refused(404, "Resource not found.")
    _measure(user_list)
    return user_list


def _measure(user_list: UserList) -> None:
    size = user_list.resource.size_info
    size.display_network_members_count = size.search_network_members_count = len(user_list.members)


def page(
    google: GoogleState, account_type: str, account_id: str, *, page_size: int, token: str, condition: str
) -> Any:
    """ListUserLists; of the filter language `display_name = "…"` and `id = …`, joined by AND."""
    customer_id = _account(google, account_type, account_id)
    wanted = [_condition(part) for part in condition.split(" AND ")] if condition else []
    lists = [one for one in google.user_lists.values() if one.customer_id == customer_id]
    lists = [one for one in lists if all(str(getattr(one.resource, name)) == value for name, value in wanted)]
    if token and not token.isdigit():
        raise invalid([Violation("page_token", "INVALID_PAGE_TOKEN")])
    start = int(token or 0)
    end = start + min(page_size or USER_LISTS_PER_PAGE, MOST_USER_LISTS_PER_PAGE)
    response = types.ListUserListsResponse.pb()()
    for user_list in lists[start:end]:
        _measure(user_list)
        response.user_lists.append(user_list.resource)
    if end < len(lists):
        response.next_page_token = str(end)
    return response


def _condition(part: str) -> tuple[str, str]:
    found = _CONDITION.fullmatch(part)
    if found is None:
        raise invalid([Violation("filter", "INVALID_FILTER")])
    return ("id" if found[1] == "id" else "display_name"), found[2] if found[2] is not None else found[3]


def update(
    google: GoogleState,
    account_type: str,
    account_id: str,
    list_id: str,
    *,
    content: Any,
    mask: str,
    validate_only: bool,
) -> Any:
    """Change the fields of `mask` (every field given, without one)."""
    user_list = get(google, account_type, account_id, list_id)
    decoded = checked(content)
    given = [name for name in decoded if name != "name"]
    paths = [
        re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), path) for path in mask.split(",") if path
    ]
    paths = paths or given
    for path in paths:
        if path.split(".")[0] == "ingested_user_list_info":
            raise invalid([Violation(f"user_list.{path}", "IMMUTABLE_FIELD_FOR_UPDATE")])
        if path not in _CHANGEABLE:
            raise invalid([Violation("update_mask", "INVALID_UPDATE_MASK")])
    found = _field_violations(google, user_list.customer_id, decoded, but=list_id)
    if found:
        raise invalid(found)
    changed = json_format.ParseDict(content, _MESSAGE())
    if not validate_only:
        for path in paths:
            user_list.resource.ClearField(path)
            if changed.HasField(path):
                value = getattr(changed, path)
                if path == "membership_duration":
                    user_list.resource.membership_duration.FromTimedelta(decoded.get(path, timedelta(0)))
                else:
                    setattr(user_list.resource, path, value)
    return user_list.resource


def delete(
    google: GoogleState, account_type: str, account_id: str, list_id: str, *, validate_only: bool
) -> None:
    get(google, account_type, account_id, list_id)
    if not validate_only:
        del google.user_lists[list_id]
