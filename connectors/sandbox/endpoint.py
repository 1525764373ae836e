"""One way for every HTTP request through the sandbox: fault, platform's answer, log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from connectors.sandbox.faults import Fault, FaultKind, Faults
from connectors.sandbox.state import State

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

CONNECTIONS = "connections"
"""Under this name the Starlette application's state keeps the open connections by peer."""

_GATEWAY_PAGE = (
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A platform's answer. `content` is what becomes JSON; `rows` is how many rows the request carried."""

    status: int
    content: Any
    headers: dict[str, str] = field(default_factory=dict)
    rows: int = 0

    def response(self) -> Response:
        return Response(
            orjson.dumps(self.content),
            status_code=self.status,
            headers=self.headers,
            media_type="application/json; charset=UTF-8",
        )


Handle = Callable[[Request, bytes, Fault | None], Answer]
"""(request, its body, the fault that this platform has to put in its own words) → answer."""


def endpoint(
    platform: str, handle: Handle, state: State, faults: Faults, clock: Clock
) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint around `handle`.

    SLOW, HTML_ERROR and both time-outs are dealt with here; THROTTLE, SERVER_ERROR, PARTIAL_FAILURE and
    BAD_TOKEN are handed to `handle`, which words them as its platform does.
    """

    async def respond(request: Request) -> Response:
        body = await request.body()
        path = request.url.path
        fault = faults.next(platform, path)
        name = fault.kind.value if fault else None

        def log(status: int | None, rows: int = 0) -> None:
            state.log(platform, path, status, clock(), rows=rows, fault=name)

        kind = fault.kind if fault else None
        if fault and kind is FaultKind.TIMEOUT_BEFORE_ACCEPT:
            log(None)
            return await _lose(request, fault)
        if kind is FaultKind.HTML_ERROR:
            log(502)
            return HTMLResponse(_GATEWAY_PAGE, status_code=502)
        if fault and kind is FaultKind.SLOW:
            await asyncio.sleep(fault.delay_seconds or 0)
        worded = kind not in (FaultKind.SLOW, FaultKind.TIMEOUT_AFTER_ACCEPT)
        try:
            answer = handle(request, body, fault if worded else None)
        except Exception:
            # A mistake of the sandbox itself; the web server keeps quiet about it.
            logger.exception("sandbox: no answer to %s %s", request.method, path)
            raise
        if fault and kind is FaultKind.TIMEOUT_AFTER_ACCEPT:
            log(None, answer.rows)
            return await _lose(request, fault)
        log(answer.status, answer.rows)
        return answer.response()

    return respond


async def _lose(request: Request, fault: Fault) -> Response:
    """Hold the answer back, then drop the connection under it."""
    await asyncio.sleep(fault.hold_seconds)
    connections: dict[Any, asyncio.Transport] = getattr(request.app.state, CONNECTIONS, {})
    transport = connections.get(tuple(request.client)) if request.client else None
    if transport is not None:
        transport.abort()
    return Response(status_code=504)
