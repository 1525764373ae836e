"""The CDNOW purchases, as shipped inside the package `lifetimes`."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from clvsync.config.sections import Business, CustomersTable, OrdersTable, Tables
from clvsync.customers.mapping import Mapped
from clvsync.customers.mapping import mapped as map_tables
from connectors.types import MONEY, Source, Table


def sample() -> Table:
    """The 1-in-10 sample: 2,357 customers, 6,919 purchases. Columns as `master`."""
    return _read("CDNOW_sample.txt", ["master_id", "customer_id", "date", "cds", "value"])


def master() -> Table:
    """All purchases: 23,570 customers, 69,659 purchases. order_id (int64), customer_id, ordered_on (date32),
    value (MONEY, USD)."""
    return _read("CDNOW_master.txt", ["customer_id", "date", "cds", "value"], skip=1)


def _read(name: str, columns: list[str], skip: int = 0) -> Table:
    files = metadata.files("lifetimes") or []
    path = Path(str(next(file for file in files if file.name == name).locate()))
    lines = [
        ",".join(line.split())
        for line in path.read_text(encoding="utf-8").splitlines()[skip:]
        if line.strip()
    ]
    rows = csv.read_csv(
        pa.BufferReader("\n".join(lines).encode()),
        csv.ReadOptions(column_names=columns),
        convert_options=csv.ConvertOptions(
            column_types={"customer_id": pa.string(), "date": pa.string(), "value": MONEY}
        ),
    )
    return pa.table(
        {
            "order_id": pa.array(range(1, rows.num_rows + 1), pa.int64()),
            "customer_id": rows["customer_id"],
            "ordered_on": pc.cast(pc.strptime(rows["date"], "%Y%m%d", "s"), pa.date32()),
            "value": rows["value"],
        }
    )


CALIBRATION_END = datetime(1997, 9, 30, 23, 59, 59, tzinfo=UTC)
"""End of the first 39 weeks, on which the published models were fitted."""
END = datetime(1998, 6, 30, 23, 59, 59, tzinfo=UTC)


def mapped(source: Source) -> Mapped:
    """CDNOW's `orders` and `customers` (customer_id) in a source, mapped. USD, days in UTC."""
    tables = Tables(
        customers=CustomersTable(**{"from": "customers", "key": "customer_id"}),
        orders=OrdersTable(
            **{
                "from": "orders",
                "key": "order_id",
                "customer": "customer_id",
                "time": "ordered_on",
                "value": "value",
            }
        ),
    )
    return map_tables(source, tables, Business(name="CDNOW", currency="USD", timezone="UTC"))
