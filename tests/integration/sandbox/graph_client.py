"""Meta's own client library, pointed at the sandbox."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **step: float) -> None:
        self.now += timedelta(**step)


def graph(url: str, token: str = "sandbox-token", version: str = "v26.0", timeout: float = 10) -> Any:
    session = FacebookSession(access_token=token, timeout=timeout)
    session.GRAPH = url
    return FacebookAdsApi(session, api_version=version)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def purchase(number: int = 1, *, at: datetime = NOON, **changes: Any) -> dict[str, Any]:
    """A website purchase that Meta takes; `changes` replace whole top-level parameters."""
    event: dict[str, Any] = {
        "event_name": "Purchase",
        "event_time": int(at.timestamp()),
        "event_id": f"order-{number}",
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": {"em": [sha256(f"{number}@example.com")], "client_user_agent": "Mozilla/5.0"},
        "custom_data": {"value": 12.5, "currency": "EUR", "order_id": f"order-{number}"},
    }
    return {**event, **changes}
