"""How the Data Manager API takes rows: a request is taken whole or refused whole, and settled later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson

from connectors import transport
from connectors.errors import ConnectorError, FixConfiguration
from connectors.google import errors, facts
from connectors.google.account import GoogleAccount
from connectors.types import Receipt, Settlement, SettlementState

EVENTS = "/v1/events:ingest"

_STATES = {
    "SUCCESS": SettlementState.ACCEPTED,
    "PARTIAL_SUCCESS": SettlementState.PARTIAL,
    "FAILED": SettlementState.FAILED,
}


def destination(account: GoogleAccount, product_destination_id: str) -> dict[str, Any]:
    """Where rows go: a conversion action or a customer list of the account."""
    wire: dict[str, Any] = {
        "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": account.customer_id},
        "productDestinationId": product_destination_id,
    }
    if account.login_customer_id is not None:
        wire["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": account.login_customer_id}
    return wire


def ingest(account: GoogleAccount, path: str, request: Mapping[str, Any]) -> Receipt:
    """Send one request, written in the API's JSON, to a path such as EVENTS.

    The generated client turns messages into JSON in Python, field by field, and stays below what the
    API's quota allows (tests/benchmarks/google_requests.py). So the body is orjson's;
    the session, sign-in and exceptions are the client's own. Raises what errors.from_data_manager gives.
    """
    from google.api_core.exceptions import GoogleAPICallError, from_http_response
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    body = orjson.dumps(request)
    account.sign_in()
    account.pace.wait()
    try:
        response = account.session.post(
            f"{account.data_manager_url}{path}",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=(transport.CONNECT_TIMEOUT.total_seconds(), account.seconds),
            allow_redirects=False,
        )
        if response.status_code != 200:
            raise from_http_response(response)  # type: ignore[no-untyped-call]
    except (GoogleAPICallError, GoogleAuthError, RequestException) as error:
        raise errors.from_data_manager(error, account.name) from None
    try:
        answer = orjson.loads(response.content)
        request_id = answer.get("requestId") or None
        warnings = Counter(str(warning["reason"]) for warning in answer.get("fieldWarnings", ()))
    except (ValueError, TypeError, AttributeError, KeyError):
        raise errors.unreadable(account.name) from None
    if request_id is None and not request.get("validateOnly"):
        raise errors.unreadable(account.name)
    words = ", ".join(f"{reason} {count} times" for reason, count in sorted(warnings.items()))
    return Receipt(request_id=request_id, settled=False, words=words)


def settle(account: GoogleAccount, request_id: str) -> Settlement:
    """What became of a request.

    `counts` has the API's reasons without their prefix. A request that Google does not know or
    no longer remembers (facts.STATUS_KEPT) comes back as partial, with that reason and no count: its rows are
    in doubt. Raises what errors.from_data_manager gives.
    """
    from google.ads.datamanager_v1.types import RetrieveRequestStatusRequest
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.protobuf.json_format import ParseError
    from requests.exceptions import RequestException

    what = f"{account.name}, request {request_id}"
    account.sign_in()
    try:
        answer = account.data_manager.retrieve_request_status(
            RetrieveRequestStatusRequest(request_id=request_id), retry=None, timeout=account.seconds
        )
    except ParseError:
        raise errors.unreadable(what) from None
    except (GoogleAPICallError, GoogleAuthError, RequestException) as error:
        known = errors.from_data_manager(error, what)
        if known.code in facts.FORGOTTEN_REASONS:
            return Settlement(SettlementState.PARTIAL, {str(known.code): 0})
        raise known from None
    return _settlement(answer.request_status_per_destination)


def validate(account: GoogleAccount, path: str, request: Mapping[str, Any]) -> ConnectorError | None:
    """What is wrong with a request marked validateOnly, or None. Nothing is kept at Google."""
    if not request.get("validateOnly"):
        raise FixConfiguration(account.name, "the request is not marked validateOnly", "Mark it.")
    try:
        ingest(account, path, request)
    except ConnectorError as error:
        return error
    return None


def _settlement(statuses: Any) -> Settlement:
    names = [status.request_status.name for status in statuses]
    if not names or any(name not in _STATES for name in names):
        return Settlement(SettlementState.PENDING)
    counts: Counter[str] = Counter()
    for status in statuses:
        for count in status.error_info.error_counts:
            counts[_reason(count.reason)] += count.record_count
    states = {_STATES[name] for name in names}
    state = states.pop() if len(states) == 1 else SettlementState.PARTIAL
    passing = bool(counts) and facts.PASSING_PROCESSING_REASONS.issuperset(counts)
    return Settlement(state, dict(counts), retryable=passing)


def _reason(reason: Any) -> str:
    name = getattr(reason, "name", None) or f"REASON_{int(reason)}"
    for prefix in facts.REASON_PREFIXES:
        if name.startswith(prefix):
            return str(name.removeprefix(prefix))
    return str(name)
