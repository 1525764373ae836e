"""The sandbox's own pages about what Google's stand-in holds, under /_sandbox/google/."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import UTC, datetime
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
        with state.lock:
            google = state.part(GoogleState)
            if request.method == "POST":
                changes = orjson.loads(await request.body())
                unknown = set(changes) - {field.name for field in fields(GoogleSettings)}
                if unknown:
                    return json_response({"error": f"settings: unknown: {', '.join(sorted(unknown))}"}, 400)
                for name, value in changes.items():
                    setattr(google.settings, name, value)
            return json_response(asdict(google.settings))

    async def clicks(request: Request) -> Response:
        with state.lock:
            google = state.part(GoogleState)
            for click in orjson.loads(await request.body()):
                clicked_at = datetime.fromisoformat(click.pop("clicked_at")).astimezone(UTC)
                google.register_click(clicked_at=clicked_at, **click)
            return json_response({"clicks": len(google.clicks)})

    return [
        Route(f"{PREFIX}/google/conversions", conversions, methods=["GET"]),
        Route(f"{PREFIX}/google/requests", requests, methods=["GET"]),
        Route(f"{PREFIX}/google/settle", settle_now, methods=["POST"]),
        Route(f"{PREFIX}/google/settings", settings, methods=["GET", "POST"]),
        Route(f"{PREFIX}/google/clicks", clicks, methods=["POST"]),
    ]


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
