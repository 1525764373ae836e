"""Segments over everyone who is scored: how large each is, what it is worth, and its members for export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clvsync.segments.conditions import COUNTED, DRIFTING, Condition, parse
from clvsync.segments.definitions import definitions
from clvsync.sync.fitting import scored
from clvsync.sync.frozen import thresholds
from clvsync.sync.opened import Opened
from clvsync.sync.passes import Pass
from clvsync.sync.staging import ROWS_PER_BATCH
from connectors.errors import FixConfiguration
from connectors.types import Table

EXPORTED = ("customer_key", *DRIFTING, *COUNTED)
"""Keys and scores alone: what an export of a segment has, and never an identifier."""

_FORMATS = (".csv", ".parquet")
_ADDRESS = r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$"


@dataclass(frozen=True, slots=True)
class Segment:
    """Who is in by the condition today. `share` is of everyone scored; `mean_clv` and `clv` (their sum) are
    total CLV, `residual_clv` the sum of what is expected from now on, in the business's currency;
    `share_of_clv` is of everyone's total CLV. Means and shares of nobody are None."""

    name: str
    condition: str
    thresholds: Mapping[str, float | None]
    customers: int
    share: float | None
    mean_clv: float | None
    clv: float
    residual_clv: float
    share_of_clv: float | None

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Export:
    """What was written. `stayed`: members who no longer meet the condition and are within its margin."""

    segment: str
    path: Path
    customers: int
    stayed: int
    before: int | None
    """Members of the export that was there before; None: there was none."""

    def to_json(self) -> dict[str, Any]:
        return {
            "segment": self.segment,
            "path": str(self.path),
            "customers": self.customers,
            "stayed": self.stayed,
            "before": self.before,
        }


def conditions(business: Opened) -> dict[str, Condition]:
    """Every segment's condition by name, the configured ones first. Raises FixConfiguration."""
    known = definitions(business.config.segments)
    return {name: parse(f"segments.{name}", text, known) for name, text in known.items()}


def segments(one_pass: Pass) -> list[Segment]:
    """Every segment, the configured ones first."""
    known = conditions(one_pass.business)
    scored(one_pass)
    amounts = thresholds(one_pass, _needed(known.values()))
    found = _worth(one_pass, ["true", *(condition.enter(amounts) for condition in known.values())])
    everyone, everyones_clv, _ = found[0]
    return [
        Segment(
            name=name,
            condition=condition.text,
            thresholds={str(each): amounts[each] for each in condition.thresholds},
            customers=customers,
            share=customers / everyone if everyone else None,
            mean_clv=clv / customers if customers else None,
            clv=clv,
            residual_clv=residual_clv,
            share_of_clv=clv / everyones_clv if everyones_clv else None,
        )
        for (name, condition), (customers, clv, residual_clv) in zip(known.items(), found[1:], strict=True)
    ]


def _worth(one_pass: Pass, chosen: Sequence[str]) -> list[tuple[int, float, float]]:
    """Customers, total CLV and residual CLV of those whom each condition chooses, in one go."""
    columns = [
        f"count(*) FILTER ({each}), coalesce(sum(total_clv) FILTER ({each}), 0), "
        f"coalesce(sum(residual_clv) FILTER ({each}), 0)"
        for each in chosen
    ]
    found = one_pass.workspace.execute(f"SELECT {', '.join(columns)} FROM scores").fetchone()
    return [(found[at], found[at + 1], found[at + 2]) for at in range(0, len(found), 3)]


def export(one_pass: Pass, name: str, path: Path) -> Export:
    """Write the members of a segment to a .csv or .parquet file, in EXPORTED's columns.

    Where the file is there already, it is the export before: who is in it stays in it within the margin, as
    in an audience. People who asked to be forgotten are left out. Raises FixConfiguration for a name, an
    ending or a file that cannot be, and where keys look like e-mail addresses.
    """
    known = conditions(one_pass.business)
    if name not in known:
        raise FixConfiguration(
            f"segment {name}", "there is no such segment", f"There are: {', '.join(known)}."
        )
    if path.suffix.lower() not in _FORMATS:
        raise FixConfiguration(str(path), "it is neither a .csv nor a .parquet file", "Name it so.")
    scored(one_pass)
    condition = known[name]
    amounts = thresholds(one_pass, condition.thresholds)
    enter = condition.enter(amounts)
    stay = condition.stay(amounts, float(one_pass.business.config.membership.margin))
    before = _keys_of(path)
    workspace = one_pass.workspace
    workspace.register(
        "before", pa.table({"key": before if before is not None else pa.array([], pa.string())})
    )
    try:
        workspace.execute(
            f"""
            CREATE OR REPLACE TABLE exported AS
            SELECT {", ".join(f"CAST({name} AS {_kind(name)}) AS {name}" for name in EXPORTED)},
                NOT coalesce({enter}, false) AS stayed
            FROM scores LEFT JOIN before ON customer_key = before.key
            WHERE CASE WHEN before.key IS NULL THEN {enter} ELSE {stay} END
            ORDER BY customer_key
            """
        )
    finally:
        workspace.unregister("before")
    _refuse_addresses(one_pass)
    written = _write(path, _batches(one_pass))
    stayed = workspace.execute("SELECT count(*) FILTER (stayed) FROM exported").fetchone()[0]
    return Export(name, path, written, stayed, None if before is None else len(before))


def _needed(known: Any) -> list[Any]:
    return sorted({threshold for condition in known for threshold in condition.thresholds})


def _kind(name: str) -> str:
    if name == "customer_key":
        return "VARCHAR"
    return "BIGINT" if name in COUNTED else "DOUBLE"


def _refuse_addresses(one_pass: Pass) -> None:
    found = one_pass.workspace.execute(
        f"SELECT count(*) FROM exported WHERE regexp_matches(customer_key, '{_ADDRESS}')"
    ).fetchone()[0]
    if found:
        raise FixConfiguration(
            "tables.customers.key",
            f"{found} of its values look like e-mail addresses, which are not exported",
            "Map a column with the shop's own ids, or a hash.",
        )


def _batches(one_pass: Pass) -> Iterator[Table]:
    reader = one_pass.workspace.execute(f"SELECT {', '.join(EXPORTED)} FROM exported")
    for batch in reader.to_arrow_reader(ROWS_PER_BATCH):
        forgotten = one_pass.business.ledger.is_forgotten(batch.column("customer_key"))
        yield pa.Table.from_batches([batch.filter(pc.invert(forgotten))])


_SCHEMA = pa.schema(
    [
        pa.field(
            name, pa.string() if name == "customer_key" else pa.int64() if name in COUNTED else pa.float64()
        )
        for name in EXPORTED
    ]
)


def _write(path: Path, tables: Iterator[Table]) -> int:
    """Beside the file first, and in its place at once: nobody reads half an export."""
    beside = path.with_name(f".{path.name}.new")
    rows = 0
    try:
        with _writer(beside, path.suffix.lower()) as writer:
            for table in tables:
                writer.write_table(table.cast(_SCHEMA))
                rows += table.num_rows
        beside.replace(path)
    except OSError as error:
        raise FixConfiguration(
            str(path), f"it cannot be written: {error.strerror}", "Name another."
        ) from None
    finally:
        beside.unlink(missing_ok=True)
    return rows


def _writer(path: Path, ending: str) -> Any:
    if ending == ".csv":
        from pyarrow import csv

        return csv.CSVWriter(path, _SCHEMA)
    from pyarrow import parquet

    return parquet.ParquetWriter(path, _SCHEMA)


def _keys_of(path: Path) -> Any:
    """The keys of an earlier export, None where there is none."""
    if not path.exists():
        return None
    from pyarrow import csv, parquet

    try:
        if path.suffix.lower() == ".csv":
            kinds = csv.ConvertOptions(column_types=_SCHEMA, include_columns=["customer_key"])
            return csv.read_csv(path, convert_options=kinds)["customer_key"]
        return parquet.read_table(path, columns=["customer_key"])["customer_key"].cast(pa.string())
    except (pa.ArrowException, OSError):
        raise FixConfiguration(
            str(path), "it is there and is no export of a segment", "Name another file, or take it away."
        ) from None


def members_of(one_pass: Pass, customer: str) -> Sequence[str]:
    """The names of the segments that a customer of the table `scores` is in by the conditions of today."""
    known = conditions(one_pass.business)
    amounts = thresholds(one_pass, _needed(known.values()))
    columns = ", ".join(f"coalesce({each.enter(amounts)}, false)" for each in known.values())
    found = one_pass.workspace.execute(
        f"SELECT {columns} FROM scores WHERE customer_key = $customer", {"customer": customer}
    ).fetchone()
    return [name for name, inside in zip(known, found or (), strict=bool(found)) if inside]
