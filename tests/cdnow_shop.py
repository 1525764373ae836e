"""All CDNOW purchases as a shop: a warehouse and the configuration that reads it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import yaml

from clvsync.config.loading import load
from clvsync.config.sections import Config
from tests import cdnow


def cdnow_shop(folder: Path) -> Config:
    """A DuckDB file in `folder` and its configuration: margin 100 percent, because revenue is all there is.

    It has a sync because a configuration needs one; nothing is sent.
    """
    orders = cdnow.master()
    with duckdb.connect(str(folder / "cdnow.duckdb")) as connection:
        connection.register("given", orders)
        connection.execute("CREATE TABLE orders AS FROM given")
        connection.execute("CREATE TABLE customers AS SELECT DISTINCT customer_id FROM orders")
    path = folder / "clvsync.yaml"
    path.write_text(yaml.safe_dump(_CONFIGURATION), encoding="utf-8")
    return load(path, environment={})


_CONFIGURATION = {
    "business": {"name": "CDNOW", "currency": "USD", "timezone": "UTC"},
    "warehouse": {"url": "duckdb:///cdnow.duckdb"},
    "tables": {
        "customers": {"from": "customers", "key": "customer_id"},
        "orders": {
            "from": "orders",
            "key": "order_id",
            "customer": "customer_id",
            "time": "ordered_on",
            "value": "value",
        },
    },
    "clv": {"horizon": "365 days", "margin": "100%", "discount_rate": "10%"},
    "accounts": {"meta": {"ad_account": "act_1", "dataset": "1", "access_token": "none"}},
    "syncs": [{"name": "best-customers", "from": "customers", "to": "meta.audience"}],
}
