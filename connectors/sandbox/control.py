"""The sandbox's own pages under /_sandbox/: what it holds, what it was asked, which faults are to come."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.faults import Fault, FaultKind, Faults
from connectors.sandbox.oauth import OAuthState
from connectors.sandbox.state import State

PREFIX = "/_sandbox"
LARGEST_PAGE = 10_000


def json_response(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


def page_bounds(request: Request) -> slice:
    """The slice that the query's `limit` (default 100) and `offset` ask for."""
    limit = min(int(request.query_params.get("limit", 100)), LARGEST_PAGE)
    offset = max(int(request.query_params.get("offset", 0)), 0)
    return slice(offset, offset + limit)


def fault_from(content: dict[str, Any]) -> Fault:
    """A fault from JSON. Raises ValueError naming what is unknown."""
    unknown = set(content) - {field.name for field in fields(Fault)}
    if unknown or "kind" not in content:
        raise ValueError(f"fault: unknown or missing keys: {', '.join(sorted(unknown)) or 'kind'}")
    return Fault(**{**content, "kind": FaultKind(content["kind"])})


def routes(state: State, faults: Faults) -> list[Route]:
    async def show_state(_: Request) -> Response:
        return json_response(state.summary())

    async def show_requests(request: Request) -> Response:
        kept = state.requests()
        return json_response(
            {"total": len(kept), "data": [asdict(one) for one in kept[page_bounds(request)]]}
        )

    async def change_faults(request: Request) -> Response:
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            try:
                faults.add(fault_from(orjson.loads(await request.body())))
            except (ValueError, TypeError) as error:
                return json_response({"error": str(error)}, 400)
        return json_response([asdict(fault) for fault in faults.list()])

    async def reset(_: Request) -> Response:
        # Clients go on with the access tokens they hold: a reset forgets what was sent, not who may send.
        state.reset(keep=(OAuthState,))
        faults.clear()
        return json_response({"success": True})

    return [
        Route(f"{PREFIX}/state", show_state, methods=["GET"]),
        Route(f"{PREFIX}/requests", show_requests, methods=["GET"]),
        Route(f"{PREFIX}/faults", change_faults, methods=["GET", "POST", "DELETE"]),
        Route(f"{PREFIX}/reset", reset, methods=["POST"]),
    ]
