"""The second pass: the rows that are to be sent, now with identifiers, straight to delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from clvsync.sync.passes import Pass
from clvsync.sync.streams import Stream
from connectors.types import CONVERSION, INSTANT, MEMBER, MONEY, Action, Table

FEW = 1_000
"""Up to so many changed rows are asked for by key; beyond, the relation is streamed and filtered here."""

_ROWS_PER_TABLE = 10_000
_FROM_PLAN = ("key", "value", "currency")
# A member who is no longer in the source has neither; both are the ledger's to say.
_OF_ABSENT = {
    "event_id": "coalesce(plan.event_id, plan.key)",
    "updated_at": "coalesce(plan.updated_at, $now)",
}


def changes(one_pass: Pass, stream: Stream, stream_id: int, stopping: Callable[[], bool]) -> Iterator[Table]:
    """Tables of CONVERSION or MEMBER columns with `fingerprint`, `action`, and for members `event_id` and
    `updated_at`. Ends early when `stopping` says so."""
    workspace = one_pass.workspace
    todo = workspace.execute("SELECT count(*) FROM plan WHERE action IS NOT NULL").fetchone()[0]
    if not todo:
        return
    keys = None
    if todo <= FEW:
        asked = f'"{stream.filter_by}"'
        found = workspace.execute(
            f"SELECT {asked} FROM plan WHERE action IS NOT NULL AND {asked} IS NOT NULL"
        ).fetchall()
        keys = [key for (key,) in found]
    query = stream.query(one_pass, in_clear=True, keys=keys)
    is_members = "order_value" not in query.named_selects
    wanted = pa.schema(
        [
            *(MEMBER if is_members else CONVERSION),
            pa.field("fingerprint", pa.int64()),
            pa.field("action", pa.string()),
        ]
    )
    if is_members:
        wanted = wanted.append(pa.field("event_id", pa.string())).append(pa.field("updated_at", INSTANT))
    with one_pass.business.source.stream(query, rows_per_batch=_ROWS_PER_TABLE) as clear:
        reader = workspace.cursor()
        reader.register("clear", clear)
        try:
            statement = f"""
                SELECT {_selected(wanted, query.named_selects, stream.sent.rate)}
                FROM plan {"LEFT" if is_members else "INNER"} JOIN clear ON {stream.join}
                WHERE plan.action IS NOT NULL
            """
            for batch in reader.execute(statement, {"now": one_pass.now}).to_arrow_reader(_ROWS_PER_TABLE):
                if stopping():
                    return
                table = pa.Table.from_batches([batch]).cast(wanted)
                yield _with_first_ids(one_pass, table, stream_id)
        finally:
            reader.close()


def _selected(wanted: pa.Schema, given: list[str], rate: Decimal) -> str:
    columns = []
    for field in wanted:
        name = field.name
        if name in _OF_ABSENT:
            source = _OF_ABSENT[name]
        elif name in (*_FROM_PLAN, "fingerprint", "action"):
            source = f'plan."{name}"'
        elif name == "order_value":
            # Beside the value, and so in its currency.
            source = "clear.business_value" if rate == 1 else f"clear.business_value / {float(rate)!r}"
        elif name in given:
            source = f'clear."{name}"'
        else:
            source = "NULL"
        kind = {
            pa.string(): "VARCHAR",
            MONEY: "DECIMAL(18, 4)",
            INSTANT: "TIMESTAMPTZ",
            pa.bool_(): "BOOLEAN",
        }
        columns.append(f'CAST({source} AS {kind.get(field.type, "BIGINT")}) AS "{name}"')
    return ", ".join(columns)


def _with_first_ids(one_pass: Pass, table: Table, stream_id: int) -> Table:
    """The same row always carries the same id: the one that the ledger first gave it."""
    if not any(action != Action.ADD for action in table["action"].unique().to_pylist()):
        return table
    kept: dict[str, str] = one_pass.business.ledger.event_ids(stream_id, table["key"].to_pylist())
    ids: list[Any] = [
        kept.get(key, event_id)
        for key, event_id in zip(table["key"].to_pylist(), table["event_id"].to_pylist(), strict=True)
    ]
    return table.set_column(table.column_names.index("event_id"), "event_id", pa.array(ids, pa.string()))
