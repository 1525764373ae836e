"""The sync's rows in the workspace: who and what, worth, value and eligibility; never an identifier.

`staged` holds what the source's first pass gives; `rows` is what the plan compares with the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clvsync.value.policies import Amounts
from connectors.types import MONEY, Array, BatchReader, Destination, Reason, Source, Table

ROWS_PER_BATCH = 65_536

Valuer = Callable[[Amounts, Array | None], Array]
"""Worth (CLV or margin; NaN where unknown) and the leads' stages (None: the rows have none) → values to send
(MONEY)."""
Progress = Callable[[str, int, int | None], None]
"""(stage, rows done, rows in all or None)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How the rows of one sync are read from `staged` and `scores`.

    `owner` is the column of `staged` that holds the customer's key; `key` and `event_id` are expressions over
    `staged`; `worth` and `chosen` (who comes in) over `staged` and `scores`, and so is `stays` (of those who
    are in, the table `members`, who stays; None: who is chosen); `content` are the columns of `staged` whose
    change makes a row another one to send.
    """

    owner: str
    key: str
    event_id: str
    worth: str
    chosen: str
    content: tuple[str, ...]
    stays: str | None = None


def read(workspace: Any, source: Source, query: Any, tell: Progress) -> None:
    """First pass: stream the query's rows into the table `staged`."""
    with source.stream(query, rows_per_batch=ROWS_PER_BATCH) as batches:
        counted = pa.RecordBatchReader.from_batches(batches.schema, _counting(batches, "reading", tell))
        workspace.register("incoming", counted)
        try:
            workspace.execute("CREATE OR REPLACE TABLE staged AS SELECT * FROM incoming")
        finally:
            workspace.unregister("incoming")


def read_members(workspace: Any, entries: BatchReader) -> None:
    """The keys of those whom the platform holds, or may hold, as the table `members`."""
    workspace.register("ledger_entries", entries)
    try:
        workspace.execute(
            """
            CREATE OR REPLACE TABLE members AS SELECT key FROM ledger_entries
            WHERE present = 1 OR state IN ('planned', 'sent', 'pending', 'in_doubt')
            """
        )
    finally:
        workspace.unregister("ledger_entries")


def _counting(batches: Any, stage: str, tell: Progress) -> Any:
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        tell(stage, done, None)


def value(
    workspace: Any,
    stage: Stage,
    destination: Destination,
    *,
    valuer: Valuer,
    currency: str,
    salt: str,
    now: datetime,
    tell: Progress,
) -> None:
    """`staged` and `scores` → the table `rows`: key, event_id, fingerprint, value, currency, event_time,
    updated_at, reason, order_value, worth.

    `valuer` and `currency` make the values; `order_value` and `worth` are in the business's own currency.
    `salt` keeps the fingerprints of content from being looked up in a dictionary.
    """
    workspace.execute(
        """
        CREATE OR REPLACE TABLE rows (
            key VARCHAR, event_id VARCHAR, fingerprint BIGINT, value DECIMAL(18, 4), currency VARCHAR,
            event_time TIMESTAMPTZ, updated_at TIMESTAMPTZ, reason VARCHAR, order_value DECIMAL(18, 4),
            worth DOUBLE
        )
        """
    )
    content = ", ".join(f'coalesce(CAST(staged."{name}" AS VARCHAR), chr(0))' for name in stage.content)
    digest = f"md5_number_lower(concat_ws(chr(31), $salt, {content}))"
    members, chosen = "", stage.chosen
    if stage.stays is not None:
        members = f"LEFT JOIN members ON {stage.key} = members.key"
        chosen = f"CASE WHEN members.key IS NULL THEN {stage.chosen} ELSE {stage.stays} END"
    reader_of = workspace.cursor()
    batches = reader_of.execute(
        f"""
        SELECT staged.*, {stage.key} AS row_key, {stage.event_id} AS row_event_id,
            CAST({stage.worth} AS DOUBLE) AS worth,
            CAST({digest}::HUGEINT - {1 << 63}::HUGEINT AS BIGINT) AS fingerprint
        FROM staged LEFT JOIN scores ON staged.{stage.owner} = scores.customer_key {members}
        WHERE {chosen}
        """,
        {"salt": salt},
    ).to_arrow_reader(ROWS_PER_BATCH)
    total = workspace.execute("SELECT count(*) FROM staged").fetchone()[0]
    done = 0
    for batch in batches:
        valued = _valued(pa.Table.from_batches([batch]), destination, valuer, currency, now)
        workspace.register("valued", valued)
        workspace.execute("INSERT INTO rows BY NAME SELECT * FROM valued")
        workspace.unregister("valued")
        done += batch.num_rows
        tell("valuing", done, total)
    reader_of.close()


def _valued(staged: Table, destination: Destination, valuer: Valuer, currency: str, now: datetime) -> Table:
    rows = staged.num_rows
    worth = np.asarray(pc.fill_null(staged["worth"], float("nan")), dtype=np.float64)
    values = valuer(worth, staged["stage"] if "stage" in staged.column_names else None)
    judged = staged.drop_columns(["worth", "fingerprint", "row_key", "row_event_id"])
    given = {
        "key": staged["row_key"],
        "event_id": staged["row_event_id"],
        "value": values,
        "currency": pa.repeat(pa.scalar(currency, pa.string()), rows),
        "updated_at": pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), rows),
    }
    unconverted = pa.repeat(pa.scalar(False), rows)
    order_value = pa.nulls(rows, MONEY)
    event_time = pa.nulls(rows, pa.timestamp("us", tz="UTC"))
    if "business_value" in judged.column_names:
        order_value = judged["business_value"].combine_chunks()
        unconverted = pc.is_null(order_value)
        event_time = judged["event_time"].combine_chunks()
        given["order_value"] = order_value
        judged = judged.drop_columns(["business_value"])
    for name, column in given.items():
        if name in judged.column_names:
            judged = judged.set_column(judged.column_names.index(name), name, column)
        else:
            judged = judged.append_column(name, column)
    reasons = destination.eligibility(judged, now)
    reasons = pc.if_else(unconverted, pa.scalar(str(Reason.UNKNOWN_CURRENCY)), reasons)
    return pa.table(
        {
            "key": given["key"],
            "event_id": given["event_id"],
            "fingerprint": staged["fingerprint"],
            "value": values,
            "currency": given["currency"],
            "event_time": event_time,
            "updated_at": given["updated_at"],
            "reason": reasons,
            "order_value": order_value,
            "worth": pa.array(worth, from_pandas=True),
        }
    )
