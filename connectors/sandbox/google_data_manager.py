"""The stand-in for Google's Data Manager API (datamanager.googleapis.com, v1) over REST.

Requests are judged by `google_events`, `google_audiences` and `google_user_lists`; here stand the routes,
sign-in, quota, faults, asynchronous settlement and the sandbox's own pages. The answers' shapes are those of
google-ads-datamanager 0.9.4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from google.ads.datamanager_v1 import types
from google.protobuf import json_format
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from connectors.sandbox import google_audiences, google_events, google_settlement, google_user_lists
from connectors.sandbox.endpoint import Answer, Clock, endpoint
from connectors.sandbox.faults import Fault, FaultKind, Faults, Platform
from connectors.sandbox.google_control import control_routes
from connectors.sandbox.google_facts import STATUS_KEPT
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.google_status import Refused, Violation, body, invalid
from connectors.sandbox.oauth import OAuthState
from connectors.sandbox.proto_json import MalformedJson, decoder
from connectors.sandbox.state import State

SCOPE = "https://www.googleapis.com/auth/datamanager"
USER_LISTS = "/v1/accountTypes/{account_type}/accounts/{account_id}/userLists"


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through the API: signed in, counted, not yet judged."""

    google: GoogleState
    request: Request
    content: bytes
    now: datetime
    partial_failure: bool

    def json(self) -> Any:
        try:
            return orjson.loads(self.content or b"{}")
        except orjson.JSONDecodeError:
            raise MalformedJson("", "Invalid JSON payload received. It cannot be parsed.") from None

    def decoded(self, message: Any) -> dict[str, Any]:
        """The body as this message."""
        decoded: dict[str, Any] = decoder(message.pb().DESCRIPTOR)(self.json(), "")
        return decoded

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    @property
    def validate_only(self) -> bool:
        return self.query("validateOnly").lower() == "true"

    def take(self, kind: str, request: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
        taken = google_settlement.take(
            self.google, kind, request, self.now, rows=rows, partial_failure=self.partial_failure
        )
        return {"requestId": taken}


Method = Callable[[Call], tuple[Any, int]]
"""A call → (the answer: a message or JSON, how many rows the request carried)."""


def routes(state: State, faults: Faults, clock: Clock) -> list[BaseRoute]:
    """The API's routes, and the sandbox's own pages about it."""
    ingestion, reading, user_lists = "ingestion write", "ingestion read", "user lists"
    table: list[tuple[str, str, str, Method]] = [
        ("POST", "/v1/events:ingest", ingestion, _ingest_events),
        ("POST", "/v1/audienceMembers:ingest", ingestion, _ingest_members),
        ("POST", "/v1/audienceMembers:remove", ingestion, _remove_members),
        ("POST", "/v1/audienceMembers:removeAll", ingestion, _remove_all_members),
        ("GET", "/v1/requestStatus:retrieve", reading, _retrieve_status),
        ("POST", USER_LISTS, user_lists, _create_user_list),
        ("GET", USER_LISTS, user_lists, _list_user_lists),
        ("GET", USER_LISTS + "/{list_id}", user_lists, _get_user_list),
        ("PATCH", USER_LISTS + "/{list_id}", user_lists, _update_user_list),
        ("DELETE", USER_LISTS + "/{list_id}", user_lists, _delete_user_list),
    ]
    platform = Platform.GOOGLE_DATA_MANAGER
    return [
        *(
            Route(
                path,
                endpoint(platform, _handler(method, quota, state, clock), state, faults, clock),
                methods=[verb],
            )
            for verb, path, quota, method in table
        ),
        *control_routes(state, clock),
    ]


def _handler(
    method: Method, quota: str, state: State, clock: Clock
) -> Callable[[Request, bytes, Fault | None], Answer]:
    def handle(request: Request, content: bytes, fault: Fault | None) -> Answer:
        now = clock()
        partial_failure = fault is not None and fault.kind is FaultKind.PARTIAL_FAILURE
        with state.lock:
            google = state.part(GoogleState)
            try:
                _raise_fault(fault)
                _sign_in(request, state.part(OAuthState), now)
                _count(google, quota, now)
                google_settlement.settle(google, now)
                answer, rows = method(Call(google, request, content, now, partial_failure))
                google_settlement.settle(google, now)
            except Refused as refused:
                return _refusal(refused, google)
            except MalformedJson as malformed:
                violation = Violation(malformed.field, "INVALID_ARGUMENT", malformed.description)
                return _refusal(Refused(400, malformed.description, violations=[violation]), google)
            if not isinstance(answer, dict):
                as_numbers = "enum-encoding=int" in request.query_params.get("$alt", "")
                answer = json_format.MessageToDict(answer, use_integers_for_enums=as_numbers)
            return Answer(200, answer, rows=rows)

    return handle


def _refusal(refused: Refused, google: GoogleState) -> Answer:
    request_id = f"sandbox-{google.next_id()}"
    return Answer(refused.code, body(refused, request_id, google.settings.violations_shown))


def _raise_fault(fault: Fault | None) -> None:
    kind = fault.kind if fault else None
    if fault and kind is FaultKind.THROTTLE:
        delay = None if fault.delay_seconds is None else timedelta(seconds=fault.delay_seconds)
        raise Refused(429, "Resource has been exhausted (e.g. check quota).", retry_delay=delay)
    if kind is FaultKind.SERVER_ERROR:
        raise Refused(500, "Internal error encountered.", reason="INTERNAL_ERROR")
    if kind is FaultKind.BAD_TOKEN:
        raise _unauthenticated("ACCESS_TOKEN_EXPIRED")


def _unauthenticated(reason: str) -> Refused:
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
        "other valid authentication credential."
    )
    return Refused(401, message, reason=reason)


def _sign_in(request: Request, oauth: OAuthState, now: datetime) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise _unauthenticated("CREDENTIALS_MISSING")
    if not oauth.accepts(token, now):
        raise _unauthenticated("ACCESS_TOKEN_EXPIRED")
    if not oauth.accepts(token, now, SCOPE):
        message = "Request had insufficient authentication scopes."
        raise Refused(403, message, reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT")


def _count(google: GoogleState, service: str, now: datetime) -> None:
    if not google.settings.quota:
        return
    arrivals = google.arrivals.setdefault(service, deque())
    while arrivals and now - arrivals[0] >= timedelta(minutes=1):
        arrivals.popleft()
    if len(arrivals) >= google.settings.requests_per_minute:
        raise Refused(429, "Resource has been exhausted (e.g. check quota).")
    arrivals.append(now)


def _ingest_events(call: Call) -> tuple[Any, int]:
    request = call.decoded(types.IngestEventsRequest)
    found = google_events.violations(request, call.google, call.now)
    if found:
        raise invalid(found)
    answer = call.take("events", request, request["events"])
    warned = google_events.warnings(request)
    if warned:
        answer["fieldWarnings"] = warned
    return answer, len(request["events"])


def _ingest_members(call: Call) -> tuple[Any, int]:
    request = call.decoded(types.IngestAudienceMembersRequest)
    return _members(call, "ingest", request)


def _remove_members(call: Call) -> tuple[Any, int]:
    request = call.decoded(types.RemoveAudienceMembersRequest)
    return _members(call, "remove", request)


def _members(call: Call, kind: str, request: dict[str, Any]) -> tuple[Any, int]:
    found = google_audiences.violations(request, call.google, terms_needed=kind == "ingest")
    if found:
        raise invalid(found)
    members = request["audience_members"]
    return call.take(kind, request, members), len(members)


def _remove_all_members(call: Call) -> tuple[Any, int]:
    request = call.decoded(types.RemoveAllAudienceMembersRequest)
    found = google_audiences.remove_all_violations(request, call.google, call.now)
    if found:
        raise invalid(found)
    return call.take("remove_all", request, []), 0


def _retrieve_status(call: Call) -> tuple[Any, int]:
    request_id = call.query("requestId")
    if not request_id:
        raise invalid([Violation("request_id", "REQUIRED_FIELD_MISSING")])
    taken = call.google.requests.get(request_id)
    if taken is None:
        raise invalid([Violation("request_id", "INVALID_REQUEST_ID")])
    if call.now - taken.received_at > STATUS_KEPT:
        raise invalid([Violation("request_id", "REQUEST_TOO_OLD")])
    return google_settlement.status_response(taken), 0


def _create_user_list(call: Call) -> tuple[Any, int]:
    created = google_user_lists.create(
        call.google, **call.request.path_params, content=call.json(), validate_only=call.validate_only
    )
    return created, 0


def _list_user_lists(call: Call) -> tuple[Any, int]:
    size = call.query("pageSize")
    if size and not size.isdigit():
        raise invalid([Violation("page_size", "INVALID_NUMBER_FORMAT")])
    page = google_user_lists.page(
        call.google,
        **call.request.path_params,
        page_size=int(size or 0),
        token=call.query("pageToken"),
        condition=call.query("filter"),
    )
    return page, 0


def _get_user_list(call: Call) -> tuple[Any, int]:
    return google_user_lists.get(call.google, **call.request.path_params).resource, 0


def _update_user_list(call: Call) -> tuple[Any, int]:
    changed = google_user_lists.update(
        call.google,
        **call.request.path_params,
        content=call.json(),
        mask=call.query("updateMask"),
        validate_only=call.validate_only,
    )
    return changed, 0


def _delete_user_list(call: Call) -> tuple[Any, int]:
    google_user_lists.delete(call.google, **call.request.path_params, validate_only=call.validate_only)
    return {}, 0
