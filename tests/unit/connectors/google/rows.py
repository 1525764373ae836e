"""Conversions to test with. Names and numbers are made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.types import CONVERSION, PERSONAL_COLUMNS, Table

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def conversion(number: int = 1, now: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """One conversion of two days ago that Google takes, with `changes`."""
    return {
        "key": f"key-{number}",
        "event_id": f"order-{number}",
        "event_time": now - timedelta(days=2),
        "click_time": now - timedelta(days=3),
        "value": Decimal("123.45"),
        "currency": "EUR",
        "customer_type": "new",
        "updated_at": now - timedelta(hours=1),
        "ad_user_data": True,
        "ad_personalization": True,
        "gclid": f"Cj0KCQ{number}",
    } | changes


def table(*rows: dict[str, Any]) -> Table:
    return pa.Table.from_pylist(list(rows), schema=CONVERSION)


def with_presence(rows: Table) -> Table:
    """The rows as Destination.eligibility has them: has_<column> in place of what is personal."""
    plain = rows.drop_columns(list(PERSONAL_COLUMNS))
    for name in PERSONAL_COLUMNS:
        plain = plain.append_column(f"has_{name}", pc.is_valid(rows[name]))
    return plain
