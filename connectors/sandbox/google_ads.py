"""The stand-in for the Google Ads API (v26) over gRPC: reading accounts, creating conversion actions.

The client library ships no server side, so the services are generic handlers over its own messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import grpc
from google.ads.googleads.v26.services.types import (
    conversion_action_service,
    customer_service,
    google_ads_service,
)

from connectors.sandbox import google_conversion_actions, google_query, google_rows
from connectors.sandbox.endpoint import Clock
from connectors.sandbox.faults import Fault, FaultKind, Faults, Platform
from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_ads_errors import AdsRefusal, invalid, refusal, throttled
from connectors.sandbox.google_facts import ADS_API_VERSION, ROWS_PER_PAGE
from connectors.sandbox.google_settlement import FAILING_ROW_EVERY, settle
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.oauth import OAuthState
from connectors.sandbox.state import State

SCOPE = "https://www.googleapis.com/auth/adwords"
SERVICES = f"google.ads.googleads.{ADS_API_VERSION}.services"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that has signed in. `account` is None where the request names no customer."""

    google: GoogleState
    request: Any
    now: datetime
    account: Account | None
    request_id: str
    partial_failure: bool

    @property
    def customer(self) -> Account:
        if self.account is None:
            raise invalid("request_error", "INVALID_CUSTOMER_ID", "The customer id is missing.")
        return self.account


Method = Callable[[Call], Any]


def add_google_ads_service(server: grpc.Server, state: State, faults: Faults, clock: Clock) -> None:
    """Serve GoogleAdsService, CustomerService and ConversionActionService from `server`."""
    desk = _Desk(state, faults, clock)
    search = desk.unary("GoogleAdsService/Search", google_ads_service.SearchGoogleAdsRequest, _search)
    stream = desk.stream(
        "GoogleAdsService/SearchStream", google_ads_service.SearchGoogleAdsStreamRequest, _search_stream
    )
    accessible = desk.unary(
        "CustomerService/ListAccessibleCustomers",
        customer_service.ListAccessibleCustomersRequest,
        _list_accessible_customers,
    )
    mutate = desk.unary(
        "ConversionActionService/MutateConversionActions",
        conversion_action_service.MutateConversionActionsRequest,
        _mutate_conversion_actions,
    )
    services = {
        "GoogleAdsService": {"Search": search, "SearchStream": stream},
        "CustomerService": {"ListAccessibleCustomers": accessible},
        "ConversionActionService": {"MutateConversionActions": mutate},
    }
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(f"{SERVICES}.{service}", methods)
            for service, methods in services.items()
        )
    )


def _search(call: Call) -> Any:
    request = call.request
    if request.page_size:
        raise invalid(
            "request_error", "PAGE_SIZE_NOT_SUPPORTED", "Pages are of a fixed size; do not set one."
        )
    query = google_query.parse(request.query)
    found = google_rows.rows(query, call.customer, call.google, call.now)
    response = google_ads_service.SearchGoogleAdsResponse.pb()()
    if request.validate_only:
        return response
    if request.page_token and not request.page_token.isdigit():
        raise invalid("request_error", "INVALID_PAGE_TOKEN", "The page token is not valid.")
    start = int(request.page_token or 0)
    end = start + ROWS_PER_PAGE
    response.results.extend(found[start:end])
    response.field_mask.paths.extend(query.fields)
    if end < len(found):
        response.next_page_token = str(end)
    if request.search_settings.return_total_results_count:
        response.total_results_count = len(found)
    return response


def _search_stream(call: Call) -> Iterator[Any]:
    query = google_query.parse(call.request.query)
    found = google_rows.rows(query, call.customer, call.google, call.now)
    # One response at least, as Google sends, so that an empty answer has its field mask too.
    for start in range(0, len(found) or 1, ROWS_PER_PAGE):
        response = google_ads_service.SearchGoogleAdsStreamResponse.pb()(request_id=call.request_id)
        response.results.extend(found[start : start + ROWS_PER_PAGE])
        response.field_mask.paths.extend(query.fields)
        yield response


def _list_accessible_customers(call: Call) -> Any:
    names = [
        f"customers/{account.customer_id}"
        for account in call.google.accounts.values()
        if account.direct_access
    ]
    return customer_service.ListAccessibleCustomersResponse.pb()(resource_names=names)


def _mutate_conversion_actions(call: Call) -> Any:
    operations = range(0, len(call.request.operations), FAILING_ROW_EVERY)
    return google_conversion_actions.mutate(
        call.request,
        call.customer,
        call.google,
        call.now,
        failing=frozenset(operations) if call.partial_failure else frozenset(),
        request_id=call.request_id,
    )


class _Desk:
    """Takes every call the same way: fault, sign-in, account, method, log."""

    def __init__(self, state: State, faults: Faults, clock: Clock) -> None:
        self._state = state
        self._faults = faults
        self._clock = clock

    def unary(self, path: str, request_type: Any, method: Method) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            return self._answer(path, request, context, method)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=request_type.pb().FromString, response_serializer=_serialize
        )

    def stream(self, path: str, request_type: Any, method: Method) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            # Worked out whole under the lock, then sent piece by piece.
            yield from self._answer(path, request, context, lambda call: list(method(call)))

        return grpc.unary_stream_rpc_method_handler(
            handle, request_deserializer=request_type.pb().FromString, response_serializer=_serialize
        )

    def _answer(self, path: str, request: Any, context: grpc.ServicerContext, method: Method) -> Any:
        path = f"/{SERVICES}.{path}"
        fault = self._faults.next(Platform.GOOGLE_ADS, path)
        rows = len(request.operations) if hasattr(request, "operations") else 0
        request_id = ""
        try:
            _raise_before(fault)
            with self._state.lock:
                google = self._state.part(GoogleState)
                request_id = f"sandbox-{google.next_id()}"
                call = self._call(request, context, google, request_id, fault)
                answer = method(call)
            if fault and fault.kind is FaultKind.TIMEOUT_AFTER_ACCEPT:
                time.sleep(fault.hold_seconds)
                raise AdsRefusal(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        except AdsRefusal as refused:
            self._log(path, refused.status.name, rows, fault)
            _abort(context, refused, request_id)
        context.set_trailing_metadata((("request-id", request_id),))
        self._log(path, "OK", rows, fault)
        return answer

    def _call(
        self,
        request: Any,
        context: grpc.ServicerContext,
        google: GoogleState,
        request_id: str,
        fault: Fault | None,
    ) -> Call:
        now = self._clock()
        settle(google, now)
        metadata = {str(key): value for key, value in context.invocation_metadata()}
        _sign_in(metadata, self._state.part(OAuthState), now, fault)
        account = _account(request, metadata, google) if hasattr(request, "customer_id") else None
        partial_failure = fault is not None and fault.kind is FaultKind.PARTIAL_FAILURE
        return Call(google, request, now, account, request_id, partial_failure)

    def _log(self, path: str, status: str, rows: int, fault: Fault | None) -> None:
        name = fault.kind.value if fault else None
        self._state.log(Platform.GOOGLE_ADS, path, status, self._clock(), rows=rows, fault=name)


def _serialize(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized


def _abort(context: grpc.ServicerContext, refused: AdsRefusal, request_id: str) -> NoReturn:
    context.set_trailing_metadata(refused.trailing_metadata(request_id))
    context.abort(refused.status, refused.message)
    raise AssertionError("abort() always raises")


def _raise_before(fault: Fault | None) -> None:
    """What goes wrong before the request is looked at."""
    if fault is None:
        return
    if fault.kind is FaultKind.SLOW:
        time.sleep(fault.delay_seconds or 0)
    elif fault.kind is FaultKind.TIMEOUT_BEFORE_ACCEPT:
        time.sleep(fault.hold_seconds)
        raise AdsRefusal(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    elif fault.kind is FaultKind.HTML_ERROR:
        # What gRPC itself makes of a gateway's page.
        raise AdsRefusal(grpc.StatusCode.UNAVAILABLE, "Received http2 header with status: 502")
    elif fault.kind is FaultKind.THROTTLE:
        raise throttled(None if fault.delay_seconds is None else timedelta(seconds=fault.delay_seconds))
    elif fault.kind is FaultKind.SERVER_ERROR:
        message = "An internal error has occurred."
        raise refusal(grpc.StatusCode.INTERNAL, "internal_error", "INTERNAL_ERROR", message)


def _sign_in(metadata: dict[str, Any], oauth: OAuthState, now: datetime, fault: Fault | None) -> None:
    def unauthenticated(name: str) -> AdsRefusal:
        message = "Request had invalid authentication credentials."
        return refusal(grpc.StatusCode.UNAUTHENTICATED, "authentication_error", name, message)

    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("OAUTH_TOKEN_HEADER_INVALID")
    if fault and fault.kind is FaultKind.BAD_TOKEN:
        raise unauthenticated("OAUTH_TOKEN_EXPIRED")
    if not oauth.accepts(token, now):
        raise unauthenticated("OAUTH_TOKEN_EXPIRED" if token in oauth.expires else "OAUTH_TOKEN_INVALID")
    if not oauth.accepts(token, now, SCOPE):
        message = "Request had insufficient authentication scopes."
        raise AdsRefusal(grpc.StatusCode.PERMISSION_DENIED, message)


def _account(request: Any, metadata: dict[str, Any], google: GoogleState) -> Account:
    """The account that the request names, where the caller may reach it."""
    customer_id, login = request.customer_id, str(metadata.get("login-customer-id", ""))
    if not (customer_id.isascii() and customer_id.isdigit()):
        raise invalid(
            "request_error", "INVALID_CUSTOMER_ID", "The customer id must be digits without hyphens."
        )
    if login and not login.isdigit():
        message = "The login customer id must be digits without hyphens."
        raise invalid("header_error", "INVALID_LOGIN_CUSTOMER_ID", message)
    account = google.accounts.get(customer_id)
    reachable = account is not None and (
        login == account.manager_id or (account.direct_access and login in ("", customer_id))
    )
    if account is None or not reachable:
        raise refusal(
            grpc.StatusCode.PERMISSION_DENIED,
            "authorization_error",
            "USER_PERMISSION_DENIED",
            "User doesn't have permission to access customer. Note: If you're accessing a client customer, "
            "the manager's customer id must be set in the 'login-customer-id' header.",
        )
    return account
