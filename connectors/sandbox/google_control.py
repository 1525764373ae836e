"""The sandbox's own pages about what Google's stand-in holds, under /_sandbox/google/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.sandbox.control import PREFIX, json_response, page_bounds
from connectors.sandbox.endpoint import Clock
from connectors.sandbox.google_settlement import settle
from connectors.sandbox.google_state import Conversion, GoogleSettings, GoogleState, TakenRequest
from connectors.sandbox.state import State


def control_routes(state: State, clock: Clock) -> list[BaseRoute]:
    """What the stand-in holds, for tests and for a person: under /_sandbox/google/."""

    async def conversions(request: Request) -> Response:
        with state.lock:
            google = state.part(GoogleState)
            settle(google, clock())
            page = list(google.conversions.values())[page_bounds(request)]
            return json_response(
                {"total": len(google.conversions), "data": [_shown(conversion) for conversion in page]}
            )

    async def requests(request: Request) -> Response:
        with state.lock:
            google = state.part(GoogleState)
            settle(google, clock())
            page = list(google.requests.values())[page_bounds(request)]
            return json_response(
                {"total": len(google.requests), "data": [_request_shown(one) for one in page]}
            )

    async def settle_now(_: Request) -> Response:
        with state.lock:
            return json_response({"settled": settle(state.part(GoogleState), clock(), at_once=True)})

    async def settings(request: Request) -> Response:
        changes = orjson.loads(await request.body()) if request.method == "POST" else {}
        unknown = set(changes) - {field.name for field in fields(GoogleSettings)}
        if unknown:
            return json_response({"error": f"settings: unknown: {', '.join(sorted(unknown))}"}, 400)
        with state.lock:
            google = state.part(GoogleState)
            for name, value in changes.items():
                setattr(google.settings, name, value)
            return json_response(asdict(google.settings))

    async def clicks(request: Request) -> Response:
        return _recorded(await request.body(), "clicked_at", state, GoogleState.register_click)

    async def tag_conversions(request: Request) -> Response:
        return _recorded(await request.body(), "event_at", state, GoogleState.record_tag_conversion)

    return [
        Route(f"{PREFIX}/google/conversions", conversions, methods=["GET"]),
        Route(f"{PREFIX}/google/requests", requests, methods=["GET"]),
        Route(f"{PREFIX}/google/settle", settle_now, methods=["POST"]),
        Route(f"{PREFIX}/google/settings", settings, methods=["GET", "POST"]),
        Route(f"{PREFIX}/google/clicks", clicks, methods=["POST"]),
        Route(f"{PREFIX}/google/tag_conversions", tag_conversions, methods=["POST"]),
    ]


def _recorded(body: bytes, instant: str, state: State, record: Callable[..., None]) -> Response:
    """Record every object of a JSON list; its `instant` is an ISO 8601 time with a zone."""
    try:
        rows = [{**row, instant: datetime.fromisoformat(row[instant])} for row in orjson.loads(body)]
        if any(row[instant].tzinfo is None for row in rows):
            raise ValueError(f"{instant} needs a zone")
        with state.lock:
            google = state.part(GoogleState)
            for row in rows:
                record(google, **row)
    except (KeyError, TypeError, ValueError) as error:
        return json_response({"error": f"{instant} list: {error}"}, 400)
    return json_response({"recorded": len(rows)})


def _shown(conversion: Conversion) -> dict[str, Any]:
    return {
        "customer_id": conversion.customer_id,
        "conversion_action": conversion.action_id,
        "transaction_id": conversion.transaction_id,
        "event_at": conversion.event_at,
        "value": conversion.value,
        "currency": conversion.currency,
        "identifiers": [{"kind": kind, "shape": shape} for kind, shape in conversion.identifiers],
        "request_ids": [told.request_id for told in conversion.history],
        "history": [asdict(told) for told in conversion.history],
    }


def _request_shown(taken: TakenRequest) -> dict[str, Any]:
    return {
        "request_id": taken.request_id,
        "kind": taken.kind,
        "received_at": taken.received_at,
        "settled_at": taken.settled_at,
        "rows": taken.rows,
        "destinations": [
            {
                "product_destination_id": outcome.destination.get("product_destination_id"),
                "rows": len(outcome.positions),
                "failures": dict(outcome.failures),
            }
            for outcome in taken.outcomes
        ],
    }
