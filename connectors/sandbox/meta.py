"""Meta's Graph API: which call goes where. Written from Meta's pages, never from our client."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox import meta_audiences, meta_events, meta_members
from connectors.sandbox import meta_facts as facts
from connectors.sandbox.control import PREFIX, json_response, page_bounds
from connectors.sandbox.endpoint import Answer, Clock, endpoint
from connectors.sandbox.faults import Fault, FaultKind, Faults, Platform
from connectors.sandbox.graph import (
    Call,
    GraphError,
    check_version,
    fault_error,
    read_call,
    trace_id,
    unknown_object,
    usage_headers,
)
from connectors.sandbox.meta_audiences import page, select
from connectors.sandbox.meta_state import AdAccount, Audience, Dataset, KeptEvent, Member, MetaState
from connectors.sandbox.state import State

MEMBER_EDGES = ("users", "usersreplace", "usersofanyaudience")


def routes(state: State, faults: Faults, clock: Clock) -> list[Route]:
    """The Graph API at /vN.n/… and what it holds at /_sandbox/meta/…"""

    def handle(request: Request, body: bytes, fault: Fault | None) -> Answer:
        with state.lock:
            return _answer(request, body, fault, state.part(MetaState), clock)

    graph = endpoint(Platform.META, handle, state, faults, clock)
    return [
        Route("/v{major:int}.{minor:int}/{rest:path}", graph, methods=["GET", "POST", "DELETE"]),
        *_pages(state),
    ]


def _answer(request: Request, body: bytes, fault: Fault | None, held: MetaState, clock: Clock) -> Answer:
    path = tuple(part for part in request.path_params["rest"].split("/") if part) or ("",)
    account_id = _account_of(path[0], held)
    try:
        check_version(request.path_params["major"], request.path_params["minor"])
        error = fault_error(fault, request.method, path, account_id) if fault else None
        if error is not None:
            raise error
        call = read_call(request, body, path, held, clock())
        partly_fails = fault is not None and fault.kind is FaultKind.PARTIAL_FAILURE
        answer = _dispatch(call, held, partly_fails=partly_fails)
    except GraphError as refused:
        answer = refused.answer()
    headers = {"facebook-api-version": "v26.0", "x-fb-trace-id": trace_id(), **answer.headers}
    if "X-Business-Use-Case-Usage" not in headers:
        headers.update(_usage(path, account_id, held))
    return Answer(answer.status, answer.content, headers, answer.rows)


def _usage(path: tuple[str, ...], account_id: str, held: MetaState) -> dict[str, str]:
    kind = "custom_audience" if path[-1] in (*MEMBER_EDGES, "customaudiences") else "ads_management"
    held.calls[kind] += 1
    return usage_headers(account_id, kind, min(held.calls[kind] * 100 // facts.CALLS_AN_HOUR[kind], 99))


def _account_of(node: str, held: MetaState) -> str:
    if node in held.datasets:
        return held.datasets[node].account_id
    if node in held.audiences:
        return held.audiences[node].account_id
    return node.removeprefix("act_")


def _dispatch(call: Call, held: MetaState, *, partly_fails: bool) -> Answer:
    node, *edges = call.path
    if len(edges) > 1:
        raise GraphError(facts.UNKNOWN_PATH, f"Unknown path components: /{'/'.join(edges[1:])}")
    edge = edges[0] if edges else ""
    call.require("ads_read" if call.method == "GET" else "ads_management")
    if node in ("me", "debug_token"):
        return _identity(call, node, edge, held)
    if node.startswith("act_") and node.removeprefix("act_") in held.accounts:
        return _account_call(call, edge, held.accounts[node.removeprefix("act_")], held)
    if node in held.datasets:
        return _dataset_call(call, edge, held.datasets[node])
    if node in held.audiences:
        return _audience_call(call, edge, held.audiences[node], held, partly_fails=partly_fails)
    raise unknown_object(call.method, node)


def _identity(call: Call, node: str, edge: str, held: MetaState) -> Answer:
    match call.method, node, edge:
        case "GET", "me", "":
            return Answer(200, {"id": call.user.user_id, "name": "Sandbox system user"})
        case "GET", "me", "permissions":
            granted = [{"permission": name, "status": "granted"} for name in sorted(call.user.permissions)]
            return Answer(200, {"data": granted})
        case "GET", "me", "adaccounts":
            return page(
                call, [select(call, _account_fields(one), "AdAccount") for one in held.accounts.values()]
            )
        case "GET", "debug_token", "":
            return _debug_token(call, held)
    raise unknown_object(call.method, node)


def _debug_token(call: Call, held: MetaState) -> Answer:
    token = held.tokens.get(call.text("input_token") or "")
    if token is None:
        error = {"code": facts.TOKEN_INVALID, "message": "Invalid OAuth access token."}
        return Answer(200, {"data": {"error": error, "is_valid": False, "scopes": []}})
    content = {
        "app_id": "5001",
        "application": "Sandbox",
        "type": "SYSTEM_USER",
        "expires_at": int(token.expires_at.timestamp()) if token.expires_at else 0,
        "data_access_expires_at": 0,
        "is_valid": token.expires_at is None or call.now < token.expires_at,
        "scopes": sorted(token.permissions),
        "user_id": token.user_id,
    }
    return Answer(200, {"data": content})


def _account_call(call: Call, edge: str, account: AdAccount, held: MetaState) -> Answer:
    match call.method, edge:
        case "GET", "":
            return Answer(200, select(call, _account_fields(account), "AdAccount"))
        case "GET", "customaudiences":
            return meta_audiences.read_all(call, account, held)
        case "POST", "customaudiences":
            return meta_audiences.create(call, account, held)
        case "GET", "adspixels":
            datasets = [one for one in held.datasets.values() if one.account_id == account.id]
            return page(call, [select(call, _dataset_fields(one), "AdsPixel") for one in datasets])
        case "DELETE", "usersofanyaudience":
            own = [one for one in held.audiences.values() if one.account_id == account.id]
            lists = [one for one in own if one.subtype == "CUSTOM"]
            return meta_members.remove_everywhere(call, account, lists)
    raise _unknown_edge(call, edge)


def _dataset_call(call: Call, edge: str, dataset: Dataset) -> Answer:
    match call.method, edge:
        case "GET", "":
            return Answer(200, select(call, _dataset_fields(dataset), "AdsPixel"))
        case "POST", "events":
            return meta_events.receive(call, dataset)
    raise _unknown_edge(call, edge)


def _audience_call(
    call: Call, edge: str, audience: Audience, held: MetaState, *, partly_fails: bool
) -> Answer:
    account = held.accounts[audience.account_id]
    match call.method, edge:
        case "GET", "":
            return meta_audiences.read(call, audience)
        case "POST", "":
            return meta_audiences.update(call, audience)
        case "DELETE", "":
            return meta_audiences.delete(audience, held)
        case "POST", "users":
            return meta_members.add_users(call, audience, account, partly_fails=partly_fails)
        case "DELETE", "users":
            return meta_members.remove_users(call, audience, account)
        case "POST", "usersreplace":
            return meta_members.replace_users(call, audience, account, partly_fails=partly_fails)
        case "GET", "sessions":
            return meta_audiences.read_sessions(call, audience, account)
    raise _unknown_edge(call, edge)


def _unknown_edge(call: Call, edge: str) -> GraphError:
    if edge:
        return GraphError(facts.UNKNOWN_PATH, f"Unknown path components: /{edge}")
    return unknown_object(call.method, call.path[0])


def _account_fields(account: AdAccount) -> dict[str, Any]:
    return {
        "id": f"act_{account.id}",
        "account_id": account.id,
        "name": account.name,
        "account_status": 1,
        "currency": account.currency,
        "timezone_name": account.timezone,
        "tos_accepted": {
            "custom_audience_tos": int(account.terms_accepted),
            "value_based_custom_audience_tos": int(account.value_based_terms_accepted),
        },
        "capabilities": ["CAN_USE_ROAS_VALUE_OPTIMIZATION"],
    }


def _dataset_fields(dataset: Dataset) -> dict[str, Any]:
    last = dataset.events[-1].received_at if dataset.events else None
    return {
        "id": dataset.id,
        "name": dataset.name,
        "is_unavailable": False,
        "is_consolidated_container": True,
        "last_fired_time": last.isoformat() if last else None,
        "owner_ad_account": {"id": f"act_{dataset.account_id}", "account_id": dataset.account_id},
        "enable_automatic_matching": False,
        "data_use_setting": "ADVERTISING_AND_ANALYTICS",
    }


def _pages(state: State) -> list[Route]:
    async def show_events(request: Request) -> Response:
        with state.lock:
            held = state.part(MetaState)
            wanted = request.query_params.get("dataset")
            kept = [
                (dataset.id, event, fate)
                for dataset in held.datasets.values()
                if wanted in (None, dataset.id)
                for event, fate in _events_of(dataset)
            ]
            shown = kept[page_bounds(request)]
            data = [{"dataset": dataset, "fate": fate, **asdict(event)} for dataset, event, fate in shown]
        return json_response({"total": len(kept), "data": data})

    async def show_members(request: Request) -> Response:
        with state.lock:
            audience = state.part(MetaState).audiences.get(request.path_params["id"])
            if audience is None:
                return json_response({"error": "no such audience"}, 404)
            members = list(audience.members.values())
            data = [_member_shown(member) for member in members[page_bounds(request)]]
        return json_response({"total": len(members), "data": data})

    return [
        Route(f"{PREFIX}/meta/events", show_events, methods=["GET"]),
        Route(f"{PREFIX}/meta/audiences/{{id}}/members", show_members, methods=["GET"]),
    ]


def _events_of(dataset: Dataset) -> list[tuple[KeptEvent, str]]:
    appended = dataset.appended
    fates = (
        (dataset.events, "kept"),
        (appended.matched, "matched"),
        (appended.unmatched, "unmatched"),
        (appended.too_late, "too_late"),
        (appended.before_conversion, "before_conversion"),
    )
    return [(event, fate) for events, fate in fates for event in events]


def _member_shown(member: Member) -> dict[str, Any]:
    return {
        "identifiers": member.identifiers,
        "value": member.value,
        "added_at": member.added_at,
        "updated_at": member.updated_at,
    }
