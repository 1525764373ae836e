"""Audience members of the Data Manager API: ingesting, removing, removing all.

Rules: field comments and ErrorReason in google-ads-datamanager 0.9.4, November 2026.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_facts import MOST_AUDIENCE_MEMBERS
from connectors.sandbox.google_identity import (
    HEX,
    IdentifierCheck,
    consent_violations,
    destination_violations,
    encoding_violations,
    identifiers_of,
    in_future,
    reference_violations,
)
from connectors.sandbox.google_state import GoogleState, TakenRequest
from connectors.sandbox.google_status import Violation

ACCEPTED = 1
CONSENT_DENIED = 2
# Data type → the upload key type that a list has to be of (IngestedUserListInfo.UploadKeyType).
KEY_TYPES = {"user_data": 1, "composite_data": 1, "mobile_data": 2, "user_id_data": 3}
PARTNER_DATA = ("pair_data", "ppid_data", "google_user_id_data", "partner_provided_id_data")
TERMS_NEEDED = ("user_data", "mobile_data")

_FIELD = "audience_members.audience_members"


def violations(request: dict[str, Any], google: GoogleState, *, terms_needed: bool) -> list[Violation]:
    """Why a request to ingest (`terms_needed`) or remove members is refused whole."""
    members = request.get("audience_members") or []
    if not members:
        return [Violation("audience_members", "REQUIRED_FIELD_MISSING")]
    if len(members) > MOST_AUDIENCE_MEMBERS:
        return [Violation(_FIELD, "TOO_MANY_AUDIENCE_MEMBERS")]
    kinds = {_kind(member) for member in members}
    found = destination_violations(request, google, lambda *target: _list_violations(google, kinds, *target))
    if found:
        return found
    if len(kinds - {""}) > 1:
        return [Violation(_FIELD, "MULTIPLE_DATA_TYPES_NOT_ALLOWED")]
    if terms_needed and kinds & set(TERMS_NEEDED):
        terms = request.get("terms_of_service", {}).get("customer_match_terms_of_service_status", 0)
        if terms != ACCEPTED:
            path = "terms_of_service.customer_match_terms_of_service_status"
            found.append(Violation(path, "TERMS_AND_CONDITIONS_NOT_SIGNED"))
    found += encoding_violations(request, bool(kinds & {"user_data", "composite_data"}))
    found += consent_violations(request.get("consent", {}), "consent")
    references = {each.get("reference", "") for each in request["destinations"]}
    for index, member in enumerate(members):
        found += _member_violations(member, request, references, f"{_FIELD}[{index}]")
    return found


def _kind(member: dict[str, Any]) -> str:
    for kind in (*KEY_TYPES, *PARTNER_DATA):
        if kind in member:
            return kind
    return ""


def _member_violations(
    member: dict[str, Any], request: dict[str, Any], references: set[str], path: str
) -> list[Violation]:
    found: list[Violation] = []
    kind = _kind(member)
    if not kind:
        return [Violation(path, "INVALID_AUDIENCE_MEMBER", "No data is set.")]
    if kind in PARTNER_DATA:
        return [Violation(path, "NOT_ALLOWLISTED", "This kind of data is for data partners alone.")]
    data = _user_data(member)
    if data is not None:
        check = IdentifierCheck(request.get("encoding") or HEX, "encryption_info" in request)
        found += check.violations(data, path)
    elif not _plain_identifiers(member):
        found.append(Violation(f"{path}.{kind}", "REQUIRED_FIELD_MISSING"))
    if "consent" in member:
        found += consent_violations(member["consent"], f"{path}.consent")
    if "destination_references" in member:
        found += reference_violations(member, references, path)
    return found


def _user_data(member: dict[str, Any]) -> dict[str, Any] | None:
    data: dict[str, Any] | None = member.get("user_data", member.get("composite_data", {}).get("user_data"))
    return data


def _plain_identifiers(member: dict[str, Any]) -> list[tuple[str, str]]:
    """Identifiers that are sent as they are: device ids, the advertiser's own ids, addresses on the net."""
    found = [("mobile_id", one) for one in member.get("mobile_data", {}).get("mobile_ids", ())]
    if member.get("user_id_data", {}).get("user_id"):
        found.append(("user_id", member["user_id_data"]["user_id"]))
    addresses = member.get("composite_data", {}).get("ip_data", ())
    return found + [("ip_address", one["ip_address"]) for one in addresses if one.get("ip_address")]


def _list_violations(
    google: GoogleState, kinds: set[str], account: Account, list_id: str, path: str
) -> list[Violation]:
    field = f"{path}.product_destination_id"
    user_list = google.user_lists.get(list_id)
    if user_list is None or user_list.customer_id != account.customer_id:
        return [Violation(field, "INVALID_USER_LIST_ID")]
    accepted = set(user_list.resource.ingested_user_list_info.upload_key_types)
    if any(KEY_TYPES[kind] not in accepted for kind in kinds if kind in KEY_TYPES):
        return [Violation(field, "INVALID_USER_LIST_TYPE")]
    return []


def remove_all_violations(request: dict[str, Any], google: GoogleState, now: datetime) -> list[Violation]:
    """Why RemoveAllAudienceMembers is refused."""
    found = destination_violations(request, google, lambda *target: _list_violations(google, set(), *target))
    as_of = request.get("remove_as_of_time")
    if as_of is not None and in_future(as_of, now):
        found.append(Violation("remove_as_of_time", "INVALID_REMOVE_AS_OF_TIME"))
    return found


def process(request: TakenRequest, google: GoogleState) -> None:
    """Carry out a taken request on its lists."""
    content = request.content or {}
    encoding = content.get("encoding") or HEX
    request_consent = content.get("consent", {})
    for outcome in request.outcomes:
        user_list = google.user_lists.get(outcome.destination["product_destination_id"])
        if user_list is None:
            continue
        if request.kind == "remove_all":
            user_list.members.remove_added_before(content.get("remove_as_of_time", request.received_at))
            continue
        for position in outcome.positions:
            member = content["audience_members"][position]
            data = _user_data(member)
            identified = [*(identifiers_of(data, encoding) if data else ()), *_plain_identifiers(member)]
            outcome.identifier_count += len(identified)
            reason = _failure(member, position, request, request_consent, google)
            if reason is not None:
                outcome.failures[reason] += 1
                continue
            identifiers = [f"{kind}:{value}" for kind, value in identified]
            if request.kind == "remove":
                user_list.members.remove(identifiers)
            else:
                user_list.members.add(identifiers, request.received_at)


def _failure(
    member: dict[str, Any],
    position: int,
    request: TakenRequest,
    request_consent: dict[str, int],
    google: GoogleState,
) -> str | None:
    if position in request.failing_rows:
        return google.settings.partial_failure_reason
    consent = {**request_consent, **member.get("consent", {})}
    if request.kind == "ingest" and CONSENT_DENIED in consent.values():
        return "PROCESSING_ERROR_REASON_DENIED_CONSENT"
    return None
