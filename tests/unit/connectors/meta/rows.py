"""Rows to send, made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import SecretStr

from connectors.meta.account import MetaAccount
from connectors.types import CONVERSION, MEMBER, PERSONAL_COLUMNS, Table

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TOKEN = "EAAtestTOKENtestTOKENtestTOKEN"
APP_SECRET = "0123456789abcdef-app-secret"


def account(graph_url: str | None = None, **changes: Any) -> MetaAccount:
    settings: dict[str, Any] = {
        "ad_account": "act_123",
        "access_token": SecretStr(TOKEN),
        "app_secret": SecretStr(APP_SECRET),
        "graph_url": graph_url,
        "timeout": timedelta(seconds=5),
    }
    return MetaAccount(**settings | changes)


def conversion(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One row of CONVERSION that can be sent as a website event."""
    row: dict[str, Any] = dict.fromkeys(CONVERSION.names)
    row |= {
        "key": f"order-{number}",
        "event_id": f"order-{number}",
        "event_time": NOW - timedelta(hours=1),
        "value": Decimal("129.90"),
        "currency": "EUR",
        "order_value": Decimal("59.00"),
        "customer_type": "new",
        "updated_at": NOW,
        "ad_user_data": True,
        "ad_personalization": True,
        "email": f"person{number}@example.com",
        "country": "DE",
        "page_url": "https://shop.example/thanks",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
    }
    return row | changes


def conversions(*rows: dict[str, Any]) -> Table:
    return pa.Table.from_pylist(list(rows), schema=CONVERSION)


def member(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One row of MEMBER that can be sent."""
    row: dict[str, Any] = dict.fromkeys(MEMBER.names)
    row |= {
        "key": f"customer-{number}",
        "value": Decimal("250.50"),
        "currency": "EUR",
        "ad_user_data": True,
        "ad_personalization": True,
        "email": f"person{number}@example.com",
    }
    return row | changes


def members(*rows: dict[str, Any]) -> Table:
    return pa.Table.from_pylist(list(rows), schema=MEMBER)


def judged(rows: Table) -> Table:
    """The same rows as `eligibility` is given them: has_<column> instead of what is personal."""
    columns = {}
    for name in rows.column_names:
        if name in PERSONAL_COLUMNS:
            columns[f"has_{name}"] = pc.is_valid(rows[name])
        else:
            columns[name] = rows[name]
    return pa.table(columns)
