"""The sample shop's tables and how columns get into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clvsync.demo.market import Columns, Integers, Strings

_AMOUNT = pa.decimal128(12, 2)
_INSTANT = pa.timestamp("us", tz="UTC")

CUSTOMERS = pa.schema(
    [
        pa.field("customer_id", pa.string()),
        pa.field("created_at", _INSTANT),
        pa.field("email", pa.string()),
        pa.field("phone", pa.string()),
        pa.field("first_name", pa.string()),
        pa.field("last_name", pa.string()),
        pa.field("city", pa.string()),
        pa.field("region", pa.string()),
        pa.field("postcode", pa.string()),
        pa.field("country", pa.string()),
        pa.field("consent_ad_user_data", pa.bool_()),
        pa.field("consent_ad_personalization", pa.bool_()),
        pa.field("is_test", pa.bool_()),
    ]
)

ORDERS = pa.schema(
    [
        pa.field("order_id", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("ordered_at", _INSTANT),
        pa.field("net_revenue", _AMOUNT),
        pa.field("currency", pa.string()),
        pa.field("is_test", pa.bool_()),
        pa.field("refund_of", pa.string()),
        pa.field("category", pa.string()),
        pa.field("discounted", pa.bool_()),
        pa.field("channel", pa.string()),
        pa.field("device", pa.string()),
        pa.field("campaign_id", pa.string()),
        pa.field("ad_group_id", pa.string()),
        pa.field("ad_id", pa.string()),
        pa.field("click_time", _INSTANT),
        pa.field("gclid", pa.string()),
        pa.field("gbraid", pa.string()),
        pa.field("wbraid", pa.string()),
        pa.field("fbclid", pa.string()),
        pa.field("fbp", pa.string()),
        pa.field("client_ip", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("page_url", pa.string()),
    ]
)

AD_SPEND = pa.schema(
    [
        pa.field("date", pa.date32()),
        pa.field("channel", pa.string()),
        pa.field("campaign_id", pa.string()),
        pa.field("campaign", pa.string()),
        pa.field("cost", _AMOUNT),
        pa.field("currency", pa.string()),
    ]
)

TRUTH = pa.schema(
    [
        pa.field("customer_id", pa.string()),
        pa.field("second_key", pa.string()),
        pa.field("acquired_at", _INSTANT),
        pa.field("country", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("campaign", pa.string()),
        pa.field("device", pa.string()),
        pa.field("category", pa.string()),
        pa.field("discounted", pa.bool_()),
        pa.field("rate", pa.float64()),
        pa.field("dropout", pa.float64()),
        pa.field("mean_value", pa.float64()),
        pa.field("first_value", pa.float64()),
        pa.field("total_clv", pa.float64()),
    ]
)
"""One person a row. `rate` orders a year while active; `dropout` the chance of leaving after each order;
values and `total_clv` in EUR. `second_key`: the other customer_id of the same person."""

TRUTH_PARAMETERS = pa.schema([pa.field("name", pa.string()), pa.field("value", pa.float64())])

TABLES = {
    "customers": CUSTOMERS,
    "orders": ORDERS,
    "ad_spend": AD_SPEND,
    "truth": TRUTH,
    "truth_parameters": TRUTH_PARAMETERS,
}


def arrow(columns: Columns, schema: pa.Schema) -> pa.Table:
    """The schema's columns of `columns`; columns beyond them are left out."""
    return pa.table([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.timestamp("us")).cast(kind)
    if pa.types.is_decimal(kind):
        return pa.array(np.round(values, 2)).cast(kind, safe=False)
    return pa.array(values, kind)


def create(connection: Any, name: str, columns: Columns) -> None:
    """Make the table `name` of TABLES with these rows. `connection` is DuckDB's."""
    connection.register("incoming", arrow(columns, TABLES[name]))
    connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')
    connection.unregister("incoming")


def append(connection: Any, name: str, columns: Columns) -> None:
    """Add rows to the table `name` of TABLES."""
    connection.register("incoming", arrow(columns, TABLES[name]))
    connection.execute(f'INSERT INTO "{name}" SELECT * FROM incoming')
    connection.unregister("incoming")


def stacked(*parts: Columns) -> Columns:
    """The rows of all parts, with the columns of the first; what a part lacks is null."""
    return {name: np.concatenate([_part(part, name, parts[0][name]) for part in parts]) for name in parts[0]}


def _part(part: Columns, name: str, like: Any) -> Any:
    if name in part:
        return part[name]
    size = len(next(iter(part.values())))
    if like.dtype.kind == "M":
        return np.full(size, np.datetime64("NaT", "us"))
    return np.full(size, False if like.dtype.kind == "b" else None, dtype=like.dtype)


def taken(columns: Columns, rows: Integers) -> Columns:
    """Those rows, in that order."""
    return {name: values[rows] for name, values in columns.items()}


def text(numbers: Integers, width: int = 1) -> Strings:
    """Numbers as text, with leading zeros up to `width`."""
    if not len(numbers):
        return np.array([], dtype=object)
    return np.strings.zfill(numbers.astype("U20"), width).astype(object)


def keys(prefix: str, numbers: Integers, width: int) -> Strings:
    """Keys such as C000123."""
    return np.asarray(prefix + text(numbers, width), dtype=object)
