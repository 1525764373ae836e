"""Custom and lookalike audiences as objects: made, read, renamed, deleted.

Rules: marketing-api/reference/custom-audience and marketing-api/audiences/guides/, read November 2026.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.sandbox import meta_facts as facts
from connectors.sandbox.endpoint import Answer
from connectors.sandbox.graph import Call, GraphError, refuse
from connectors.sandbox.meta_state import AdAccount, Audience, MetaState, UploadSession

DEFAULT_PAGE = 25
COUNT_SHOWN_FROM = 1_000
"""Smaller audiences are shown with this size, so that nobody can be told from the count."""

_COUNTRY = re.compile(r"[A-Z]{2}")


def create(call: Call, account: AdAccount, state: MetaState) -> Answer:
    """POST /act_X/customaudiences."""
    name = call.text("name")
    if name is None:
        refuse("The parameter name is required")
    subtype = call.text("subtype") or "CUSTOM"
    if subtype not in ("CUSTOM", "LOOKALIKE"):
        refuse(f"The sandbox makes audiences of subtype CUSTOM and LOOKALIKE, not {subtype}")
    kept = sum(one.account_id == account.id and one.subtype == subtype for one in state.audiences.values())
    most = facts.CUSTOMER_FILE_AUDIENCES if subtype == "CUSTOM" else facts.LOOKALIKE_AUDIENCES
    if kept >= most:
        raise GraphError(facts.AUDIENCE_CREATION, f"(#2654) An account holds at most {most} such audiences")
    audience = Audience(
        id="",
        account_id=account.id,
        name=name,
        subtype=subtype,
        created_at=call.now,
        updated_at=call.now,
        operation_code=_operation_code(name),
        description=call.text("description") or "",
        audience_labels=call.json("audience_labels") or [],
    )
    if subtype == "LOOKALIKE":
        _describe_lookalike(call, audience, account, state)
    else:
        _describe_customer_file(call, audience, account)
    audience.id = state.new_audience_id()
    state.audiences[audience.id] = audience
    return Answer(200, {"id": audience.id})


def _operation_code(name: str) -> int:
    words = set(re.findall(r"[a-z]+", name.lower()))
    return facts.OPERATION_FLAGGED if words & facts.SENSITIVE_NAME_WORDS else facts.OPERATION_NORMAL


def _describe_customer_file(call: Call, audience: Audience, account: AdAccount) -> None:
    audience.customer_file_source = call.text("customer_file_source")
    if audience.customer_file_source not in facts.CUSTOMER_FILE_SOURCES:
        refuse(f"customer_file_source must be one of {', '.join(sorted(facts.CUSTOMER_FILE_SOURCES))}")
    if not account.terms_accepted:
        _refuse_terms(facts.TERMS_NOT_ACCEPTED, "facebook.com/customaudiences/app/tos", account)
    audience.is_value_based = call.flag("is_value_based")
    if audience.is_value_based and not account.value_based_terms_accepted:
        _refuse_terms(
            facts.VALUE_BASED_TERMS_NOT_ACCEPTED, "facebook.com/customaudiences/value_based/tos.php", account
        )


def _refuse_terms(subcode: int, page: str, account: AdAccount) -> None:
    raise GraphError(
        facts.PERMISSION,
        "Permissions error",
        subcode=subcode,
        status=403,
        title="Custom Audience Terms Not Accepted",
        user_message=f"Accept the custom audience terms of ad account {account.id} at {page}",
    )


def _describe_lookalike(call: Call, audience: Audience, account: AdAccount, state: MetaState) -> None:
    seed = state.audiences.get(call.text("origin_audience_id") or "")
    if seed is None or seed.account_id != account.id:
        refuse("origin_audience_id must be an audience of this ad account")
    if seed.operation_code == facts.OPERATION_FLAGGED:
        refuse(
            "The name of the seed suggests information that is not allowed; rename it",
            subcode=facts.SEED_NAME_FLAGGED,
            title="Seed Audience Flagged",
        )
    if len(seed.members) < facts.LOOKALIKE_SEED_MEMBERS:
        refuse(f"The seed needs at least {facts.LOOKALIKE_SEED_MEMBERS} people")
    spec = call.json("lookalike_spec")
    if not isinstance(spec, dict):
        refuse("The parameter lookalike_spec is required")
    ratio = spec.get("ratio")
    if not isinstance(ratio, int | float) or not _is_ratio(float(ratio)):
        refuse("ratio must lie between 0.01 and 0.20 in steps of 0.01")
    if not _COUNTRY.fullmatch(str(spec.get("country", ""))) and not spec.get("location_spec"):
        refuse("lookalike_spec needs a country (ISO 3166-1 alpha-2) or a location_spec")
    audience.origin_audience_id = seed.id
    audience.lookalike_spec = spec


def _is_ratio(ratio: float) -> bool:
    steps = ratio / facts.LOOKALIKE_RATIO_STEP
    whole = abs(steps - round(steps)) < 1e-6
    return whole and facts.LOOKALIKE_RATIO_STEP - 1e-9 <= ratio <= facts.LOOKALIKE_LARGEST_RATIO + 1e-9


def update(call: Call, audience: Audience) -> Answer:
    """POST /{audience}: name, description and labels."""
    audience.name = call.text("name") or audience.name
    audience.description = call.text("description") or audience.description
    audience.audience_labels = call.json("audience_labels") or audience.audience_labels
    audience.operation_code = _operation_code(audience.name)
    audience.updated_at = call.now
    return Answer(200, {"success": True})


def delete(audience: Audience, state: MetaState) -> Answer:
    """DELETE /{audience}."""
    del state.audiences[audience.id]
    return Answer(200, {"success": True})


def read(call: Call, audience: Audience) -> Answer:
    """GET /{audience}?fields=…"""
    return Answer(200, select(call, _fields(audience), "CustomAudience"))


def read_all(call: Call, account: AdAccount, state: MetaState) -> Answer:
    """GET /act_X/customaudiences?fields=…&limit=…&after=…"""
    audiences = [one for one in state.audiences.values() if one.account_id == account.id]
    return page(call, [select(call, _fields(audience), "CustomAudience") for audience in audiences])


def read_sessions(call: Call, audience: Audience, account: AdAccount) -> Answer:
    """GET /{audience}/sessions?session_id=…"""
    wanted = call.text("session_id")
    sessions = [
        _session_fields(session)
        for session in account.sessions.values()
        if session.audience_id == audience.id and wanted in (None, str(session.id))
    ]
    return Answer(200, {"data": sessions})


def _session_fields(session: UploadSession) -> dict[str, str]:
    return {
        "session_id": str(session.id),
        "start_time": str(int(session.started_at.timestamp())),
        "num_received": str(session.received),
        "num_matched": str(session.received - session.invalid),
        "num_invalid_entries": str(session.invalid),
        "progress": "100.0" if session.finished else "50.0",
        "stage": "post_processing" if session.finished else "uploading",
    }


def _fields(audience: Audience) -> dict[str, Any]:
    count = max(len(audience.members), COUNT_SHOWN_FROM)
    return {
        "id": audience.id,
        "account_id": audience.account_id,
        "name": audience.name,
        "description": audience.description,
        "subtype": audience.subtype,
        "customer_file_source": audience.customer_file_source,
        "is_value_based": audience.is_value_based,
        "audience_labels": audience.audience_labels,
        "approximate_count_lower_bound": count,
        "approximate_count_upper_bound": count,
        "operation_status": {
            "code": audience.operation_code,
            "description": _OPERATIONS[audience.operation_code],
        },
        "delivery_status": {"code": 200, "description": "This audience is ready for use."},
        "time_created": int(audience.created_at.timestamp()),
        "time_updated": int(audience.updated_at.timestamp()),
        "time_content_updated": int(audience.updated_at.timestamp()),
        "lookalike_spec": audience.lookalike_spec,
        "origin_audience_id": audience.origin_audience_id,
        "retention_days": 0,
    }


_OPERATIONS = {
    facts.OPERATION_NORMAL: "Normal",
    facts.OPERATION_UPDATING: "Update in progress",
    facts.OPERATION_FLAGGED: "Flagged for its name",
}


def select(call: Call, fields: dict[str, Any], kind: str) -> dict[str, Any]:
    """The fields that a read asks for (the id alone, where it asks for none); absent values are left out."""
    wanted = [name.strip() for name in (call.text("fields") or "id").split(",") if name.strip()]
    for name in wanted:
        if name not in fields:
            refuse(f"Tried accessing nonexisting field ({name}) on node type ({kind})")
    return {name: fields[name] for name in dict.fromkeys([*wanted, "id"]) if fields.get(name) is not None}


def page(call: Call, rows: list[dict[str, Any]]) -> Answer:
    """One page of an edge, by `limit` and the cursor `after`, which counts rows."""
    try:
        limit, start = int(call.text("limit") or DEFAULT_PAGE), int(call.text("after") or 0)
    except ValueError:
        refuse("limit must be an integer and after a cursor that was given out")
    shown = rows[start : start + limit]
    content: dict[str, Any] = {"data": shown}
    if shown:
        content["paging"] = {"cursors": {"before": str(start), "after": str(start + len(shown))}}
        if start + len(shown) < len(rows):
            # The SDK follows `next` by the cursor, not by this address.
            content["paging"]["next"] = f"/?after={start + len(shown)}"
    return Answer(200, content)
