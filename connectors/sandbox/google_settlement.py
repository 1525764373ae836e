"""What the Data Manager API took and decides on later: keeping, settling and reporting requests.

Failures are reported as counts per ProcessingErrorReason and destination, never by row
(data-manager/api/devguides/diagnostics; google-ads-datamanager 0.9.4).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from google.ads.datamanager_v1 import types
from google.protobuf import json_format

from connectors.sandbox import google_audiences, google_events
from connectors.sandbox.google_identity import positions_for
from connectors.sandbox.google_state import DestinationOutcome, GoogleState, TakenRequest

FAILING_ROW_EVERY = 3
"""PARTIAL_FAILURE fails the first row of a request and every third after it."""


def take(
    google: GoogleState,
    kind: str,
    request: dict[str, Any],
    now: datetime,
    *,
    rows: list[dict[str, Any]],
    partial_failure: bool,
) -> str:
    """Keep an accepted request until it is settled; its id. A request to validate only is not kept."""
    request_id = f"sandbox-{google.next_id()}"
    if request.get("validate_only"):
        return request_id
    google.requests[request_id] = TakenRequest(
        request_id=request_id,
        kind=kind,
        received_at=now,
        outcomes=[
            DestinationOutcome(destination, positions_for(rows, destination))
            for destination in request["destinations"]
        ],
        rows=len(rows),
        content=request,
        failing_rows=frozenset(range(0, len(rows), FAILING_ROW_EVERY)) if partial_failure else frozenset(),
    )
    google.unsettled.append(request_id)
    return request_id


def settle(google: GoogleState, now: datetime, *, at_once: bool = False) -> int:
    """Process what was taken long enough ago (all of it, where `at_once`), oldest first; how many."""
    wait = timedelta(seconds=google.settings.settle_after_seconds)
    settled = 0
    while google.unsettled:
        request = google.requests[google.unsettled[0]]
        if not at_once and now - request.received_at < wait:
            break
        google.unsettled.popleft()
        (google_events if request.kind == "events" else google_audiences).process(request, google)
        request.settled_at, request.content = now, None
        settled += 1
    return settled


def status_response(taken: TakenRequest) -> Any:
    """The RetrieveRequestStatusResponse message of a taken request."""
    response = types.RetrieveRequestStatusResponse.pb()()
    for outcome in taken.outcomes:
        status = response.request_status_per_destination.add()
        json_format.ParseDict(outcome.destination, status.destination)
        _report_counts(outcome, taken.kind, status)
        statuses = types.RequestStatusPerDestination.RequestStatus.__members__
        if taken.settled_at is None:
            status.request_status = statuses["PROCESSING"]
            continue
        status.request_status = statuses[_outcome_name(outcome)]
        for reason, count in sorted(outcome.failures.items()):
            number = types.ProcessingErrorReason.__members__[reason]
            status.error_info.error_counts.add(record_count=count, reason=number)
    return response


def _outcome_name(outcome: DestinationOutcome) -> str:
    failed = outcome.failures.total()
    if not failed:
        return "SUCCESS"
    return "FAILED" if failed == len(outcome.positions) else "PARTIAL_SUCCESS"


def _report_counts(outcome: DestinationOutcome, kind: str, status: Any) -> None:
    if kind == "events":
        status.events_ingestion_status.record_count = len(outcome.positions)
        return
    if kind == "remove_all":
        status.remove_all_audience_members_status.SetInParent()
        return
    counts = (
        status.audience_members_removal_status.user_data_removal_status
        if kind == "remove"
        else status.audience_members_ingestion_status.user_data_ingestion_status
    )
    counts.record_count = len(outcome.positions)
    counts.user_identifier_count = outcome.identifier_count
