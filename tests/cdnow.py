"""The CDNOW purchases, as shipped inside the package `lifetimes`."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
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


Floats = npt.NDArray[np.float64]

CALIBRATION_END = datetime(1997, 9, 30, 23, 59, 59, tzinfo=UTC)
"""End of the first 39 weeks, on which the published models were fitted."""
END = datetime(1998, 6, 30, 23, 59, 59, tzinfo=UTC)


def mapped(source: Source) -> Mapped:
    """CDNOW's `orders` and `customers` (customer_id) in a source, mapped. USD, days in UTC."""
    tables = Tables(
        customers=CustomersTable.model_validate({"from": "customers", "key": "customer_id"}),
        orders=OrdersTable.model_validate(
            {
                "from": "orders",
                "key": "order_id",
                "customer": "customer_id",
                "time": "ordered_on",
                "value": "value",
            }
        ),
    )
    return map_tables(source, tables, Business(name="CDNOW", currency="USD", timezone="UTC"))


def calibration() -> tuple[Floats, Floats, Floats, Floats]:
    """x, t_x, T (in weeks) and mean repeat value of the sample's 2,357 customers over the first 39 weeks, as
    the papers take them: every row is a purchase, those worth nothing too."""
    rows = sample()
    end = np.datetime64("1997-09-30")
    days = rows["ordered_on"].to_numpy()
    kept = days <= end
    customer = np.unique(rows["customer_id"].to_numpy(zero_copy_only=False), return_inverse=True)[1][kept]
    day, value = days[kept], rows["value"].cast(pa.float64()).to_numpy()[kept]
    occasions, index = np.unique(np.stack([customer, day.astype(np.int64)]), axis=1, return_inverse=True)
    who, when = occasions
    spent = np.bincount(index.ravel(), value)
    first = np.full(who.max() + 1, np.iinfo(np.int64).max)
    last = np.zeros_like(first)
    np.minimum.at(first, who, when)
    np.maximum.at(last, who, when)
    x = np.bincount(who).astype(np.float64) - 1
    repeat_value = np.bincount(who, np.where(when > first[who], spent, 0.0))
    age = (end.astype("datetime64[D]").astype(np.int64) - first) / 7
    return x, (last - first) / 7, age, repeat_value / np.maximum(x, 1)
