"""Google's error answers over REST: google.rpc.Status as JSON with its standard details.

Shape: data-manager/api/devguides/concepts/understand-errors and the quickstart's samples, November 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

DOMAIN = "datamanager.googleapis.com"

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong: its path, the ErrorReason's name and words that hold no person's data."""

    field: str
    reason: str
    description: str = ""


class Refused(Exception):
    """A request that is refused whole. `violations` become BadRequest field violations."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        violations: Sequence[Violation] = (),
        retry_delay: timedelta | None = None,
    ) -> None:
        self.code = code
        self.message = message
        self.reason = reason or _STATUS_NAMES[code]
        self.violations = tuple(violations)
        self.retry_delay = retry_delay
        super().__init__(message)


def invalid(violations: Sequence[Violation]) -> Refused:
    """INVALID_ARGUMENT for these fields."""
    return Refused(400, "There was a problem with the request.", violations=violations)


def body(refused: Refused, request_id: str, most_violations: int | None) -> dict[str, Any]:
    """The JSON document of a refusal. `most_violations` caps how many fields it names (None: all)."""
    details: list[dict[str, Any]] = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": refused.reason,
            "domain": DOMAIN,
            "metadata": {"requestId": request_id},
        }
    ]
    shown = refused.violations[:most_violations]
    if shown:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [
                    {
                        "field": one.field,
                        "reason": one.reason,
                        **({"description": one.description} if one.description else {}),
                    }
                    for one in shown
                ],
            }
        )
    if refused.retry_delay is not None:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": f"{refused.retry_delay.total_seconds():g}s",
            }
        )
    details.append({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id})
    return {
        "error": {
            "code": refused.code,
            "message": refused.message,
            "status": _STATUS_NAMES[refused.code],
            "details": details,
        }
    }
