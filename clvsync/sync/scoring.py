"""The workspace's tables `summary` (the source's order summary) and `scores` (each customer's worth)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clvsync.sync.passes import Pass
from clvsync.sync.staging import ROWS_PER_BATCH

if TYPE_CHECKING:
    from clvsync.clv.scoring import Scorer


def summarise(one_pass: Pass) -> None:
    """Stream the order summary, computed inside the source's engine, into the table `summary`."""
    from clvsync.customers.summary import order_summary

    business, workspace = one_pass.business, one_pass.workspace
    query = order_summary(one_pass.mapped, business.config.clv, one_pass.now)
    with business.source.stream(query, rows_per_batch=ROWS_PER_BATCH) as batches:
        workspace.register("incoming", _told(batches, one_pass, "summarising"))
        try:
            workspace.execute("CREATE OR REPLACE TABLE summary AS SELECT * FROM incoming")
        finally:
            workspace.unregister("incoming")


def score(one_pass: Pass, model: Scorer) -> None:
    """Score every customer of `summary` into the table `scores`: SCORES' columns, and what audiences'
    conditions and value policies speak of."""
    workspace = one_pass.workspace
    total = workspace.execute("SELECT count(*) FROM summary").fetchone()[0]
    reader = workspace.cursor()
    batches = reader.execute("SELECT * FROM summary").to_arrow_reader(ROWS_PER_BATCH)
    workspace.execute("DROP TABLE IF EXISTS model_scores")
    done = 0
    for batch in batches:
        scored = model.score(pa.Table.from_batches([batch]), one_pass.now)
        workspace.register("scored", scored)
        verb = "INSERT INTO model_scores" if done else "CREATE TABLE model_scores AS"
        workspace.execute(f"{verb} SELECT * FROM scored")
        workspace.unregister("scored")
        done += batch.num_rows
        one_pass.tell("scoring", done, total)
    reader.close()
    if not done:
        empty = model.score(_empty_summary(), one_pass.now)
        workspace.register("scored", empty)
        workspace.execute("CREATE TABLE model_scores AS SELECT * FROM scored")
        workspace.unregister("scored")
    workspace.execute(
        """
        CREATE OR REPLACE TABLE scores AS
        SELECT model_scores.*, summary.orders, summary.revenue, summary.country, summary.channel,
            summary.first_order_value,
            date_diff('day', summary.first_day, $today) AS days_since_first_order,
            date_diff('day', summary.last_day, $today) AS days_since_last_order
        FROM model_scores JOIN summary USING (customer_key)
        """,
        {"today": model.terms.day(one_pass.now)},
    )
    workspace.execute("DROP TABLE model_scores")


def _empty_summary() -> Any:
    from clvsync.customers.summary import SUMMARY

    return SUMMARY.empty_table()


def _told(batches: Any, one_pass: Pass, stage: str) -> Any:
    def counted() -> Any:
        done = 0
        for batch in batches:
            yield batch
            done += batch.num_rows
            one_pass.tell(stage, done, None)

    return pa.RecordBatchReader.from_batches(batches.schema, counted())
