"""Batches, written before they are sent, and what became of each row in them.

A batch goes planned → sent → accepted, or → pending → accepted, in_doubt or refused; every step moves its
entries with it in one transaction. Only a run that is still running may write or send, so that a process
that was taken for dead and wakes up again changes nothing; an answer that it still gets counts only for a
batch that is not settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.engine import RowMapping

from clvsync.ledger.records import Batch, Refusal, Run, Tally
from clvsync.ledger.schema import UNSETTLED, BatchState, EntryState, RunStatus, batches, entries, runs
from clvsync.ledger.store import Store
from clvsync.ledger.units import instant_column, money_column
from connectors.errors import StopAndCall
from connectors.types import INSTANT, MONEY, Action, Reason, Receipt, Settlement, SettlementState, Table

ROWS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("fingerprint", pa.int64()),
        pa.field("value", MONEY),
        pa.field("currency", pa.string()),
        pa.field("event_time", INSTANT),
        pa.field("updated_at", INSTANT, nullable=False),
    ]
)
"""What the ledger keeps of a row. `fingerprint` is required but for removals and rows that are not sent."""


class Doubt(StrEnum):
    """Why the fate of a row is not known."""

    ANSWER_LOST = "answer_lost"
    FAILURES_NOT_NAMED = "failures_not_named"


class OutOfTurn(StopAndCall):
    """Rows, a batch or a run are no longer as the caller believes: somebody else has moved them."""


_MAX_WORDS = 500
_OPEN = (EntryState.PLANNED, EntryState.SENT, EntryState.PENDING)


class Outbox(Store):
    """The batches of every stream."""

    def write_batch(self, run: Run, action: Action, rows: Table, payload: Table) -> Batch:
        """Write a batch of `rows` (ROWS) with the wire columns that will carry them.

        Raises FixConfiguration without an encryption key, and OutOfTurn, having written nothing, where a
        row has a newer version, another event id or an unsettled batch, or the run has ended.
        """
        self._vault_or_refuse()
        content = _serialise(payload)
        planned = Batch(0, run.id, run.stream_id, action, BatchState.PLANNED, len(rows), 0, self._clock())
        with self._write() as connection:
            _must_run(connection, run)
            batch = self._insert(connection, planned, content)
            self._upsert_rows(connection, run, action, rows, batch_id=batch.id)
            written = connection.scalar(
                select(func.count()).select_from(entries).where(entries.c.batch_id == batch.id)
            )
            if written != len(rows):
                raise OutOfTurn(
                    f"Sync {run.sync!r}",
                    f"{len(rows) - (written or 0)} of {len(rows)} rows have a newer version, another "
                    "event id or a request that is not settled",
                    "Run it again; if it stays so, check that keys and event ids are unique in the source.",
                )
            return batch

    def record_rejections(self, run: Run, action: Action, rows: Table, refusals: Sequence[Refusal]) -> None:
        """Rows (ROWS, one Refusal each) that were refused before anything was sent."""
        with self._write() as connection:
            _must_run(connection, run)
            self._upsert_rows(connection, run, action, rows, refusals=refusals)

    def mark_sent(self, batch: Batch, run: Run) -> None:
        """The batch is about to leave, on behalf of `run`. Raises OutOfTurn where it may not."""
        now = self._clock()
        running = exists().where(runs.c.id == run.id, runs.c.status == RunStatus.RUNNING)
        with self._write() as connection:
            moved = connection.execute(
                update(batches)
                .where(batches.c.id == batch.id, batches.c.state.in_((BatchState.PLANNED, BatchState.SENT)))
                .where(running)
                .values(
                    state=BatchState.SENT,
                    run_id=run.id,
                    # Tries within one delivery, of which none arrived, count as one.
                    attempts=batches.c.attempts + case((batches.c.state == BatchState.PLANNED, 1), else_=0),
                    sent_at=func.coalesce(batches.c.sent_at, bindparam("now", now, batches.c.sent_at.type)),
                )
            ).rowcount
            if not moved:
                raise OutOfTurn(
                    f"Run {run.id}",
                    "it has been ended by another process",
                    "Nothing to do: that one goes on.",
                )
            _move(connection, batch, state=EntryState.SENT, last_sent_at=now)

    def mark_unsent(self, batch: Batch) -> None:
        """Nothing of the batch has arrived: a later run sends it."""
        with self._write() as connection:
            if _is(connection, batch, BatchState.SENT):
                _change(
                    connection,
                    batch,
                    state=BatchState.PLANNED,
                    sent_at=None,
                    request_id=None,
                    attempts=batches.c.attempts - 1,
                )
                _move(connection, batch, state=EntryState.PLANNED)

    def mark_in_doubt(self, batch: Batch, words: str = "") -> None:
        """The answer was lost and it may not be sent again."""
        with self._write() as connection:
            if _is(connection, batch, *UNSETTLED):
                self._doubt(connection, batch, Doubt.ANSWER_LOST, words)

    def record(
        self, batch: Batch, receipt: Receipt, keys: Sequence[str], next_poll_at: datetime | None = None
    ) -> None:
        """The platform's answer. `keys` are the batch's in the order they were sent, which rejections
        point into; `next_poll_at` is when to ask after an unsettled one."""
        refused = {keys[each.index]: Refusal(each.reason, each.words) for each in receipt.rejections}
        with self._write() as connection:
            if not _is(connection, batch, *UNSETTLED):
                return
            _reject(connection, batch, refused)
            if receipt.unplaced:
                self._doubt(connection, batch, Doubt.FAILURES_NOT_NAMED, receipt.words)
            elif receipt.settled:
                self._accept(connection, batch, receipt.words)
            else:
                _move(connection, batch, state=EntryState.PENDING)
                _change(connection, batch, state=BatchState.PENDING, next_poll_at=next_poll_at)
            if receipt.request_id is not None:
                _change(connection, batch, request_id=receipt.request_id)

    def record_refusal(
        self, batch: Batch, refused: Mapping[str, Refusal], rest: Sequence[Table], words: str = ""
    ) -> list[Batch]:
        """The batch was refused whole: `refused` rows (by key) are rejected and each payload of `rest`
        becomes a written batch of its own. Raises OutOfTurn where another process has had an answer."""
        parts = [(payload, _serialise(payload)) for payload in rest]
        written = []
        with self._write() as connection:
            if not _is(connection, batch, BatchState.PLANNED, BatchState.SENT):
                raise OutOfTurn(
                    f"Batch {batch.id}", "another process has settled it", "Nothing to do: that one goes on."
                )
            _reject(connection, batch, refused)
            for payload, content in parts:
                smaller = replace(
                    batch,
                    rows=len(payload),
                    planned_at=self._clock(),
                    state=BatchState.PLANNED,
                    attempts=0,
                    sent_at=None,
                )
                part = self._insert(connection, smaller, content)
                connection.execute(
                    _ENTRY_UPDATE.values(batch_id=part.id, state=EntryState.PLANNED),
                    [{"b_stream": batch.stream_id, "b_key": key} for key in payload["key"].to_pylist()],
                )
                written.append(part)
            self._close(connection, batch, BatchState.REFUSED, words)
        return written

    def settle(
        self, batch: Batch, settlement: Settlement, now: datetime, next_poll_at: datetime | None = None
    ) -> None:
        """What became of a pending batch. A failed one that is retryable is planned again as it is."""
        words = ", ".join(f"{reason}: {count}" for reason, count in sorted(settlement.counts.items()))
        with self._write() as connection:
            if not _is(connection, batch, BatchState.PENDING):
                return
            match settlement.state:
                case SettlementState.PENDING:
                    _change(connection, batch, next_poll_at=next_poll_at or now)
                case SettlementState.ACCEPTED:
                    self._accept(connection, batch, words)
                case SettlementState.PARTIAL:
                    self._doubt(connection, batch, Doubt.FAILURES_NOT_NAMED, words)
                case SettlementState.FAILED if settlement.retryable:
                    _move(connection, batch, state=EntryState.PLANNED)
                    _change(
                        connection,
                        batch,
                        state=BatchState.PLANNED,
                        sent_at=None,
                        request_id=None,
                        next_poll_at=None,
                        words=words[:_MAX_WORDS],
                    )
                case SettlementState.FAILED:
                    _move(
                        connection,
                        batch,
                        state=EntryState.REJECTED,
                        reason=Reason.REFUSED_BY_PLATFORM,
                        words=words[:_MAX_WORDS],
                    )
                    self._close(connection, batch, BatchState.REFUSED, words)

    def unsettled(self, stream_id: int) -> list[Batch]:
        """Planned and sent batches, oldest first: a run that has ended left them behind."""
        return self._batches(
            batches.c.stream_id == stream_id, batches.c.state.in_((BatchState.PLANNED, BatchState.SENT))
        )

    def due_polls(self, stream_id: int, now: datetime) -> list[Batch]:
        """Pending batches that it is time to ask after, oldest first."""
        return self._batches(
            batches.c.stream_id == stream_id,
            batches.c.state == BatchState.PENDING,
            or_(batches.c.next_poll_at.is_(None), batches.c.next_poll_at <= now),
        )

    def batch(self, batch_id: int) -> Batch | None:
        found = self._batches(batches.c.id == batch_id)
        return found[0] if found else None

    def tally(self, batch: Batch) -> list[Tally]:
        """What became of the rows that the batch carries, as the ledger has it."""
        groups = (entries.c.state, entries.c.reason, entries.c.currency)
        total = func.sum(entries.c.value, type_=entries.c.value.type)
        with self._read() as connection:
            found = connection.execute(
                select(*groups, func.count(), total)
                .where(entries.c.stream_id == batch.stream_id, entries.c.batch_id == batch.id)
                .group_by(*groups)
            ).all()
        return [Tally(EntryState(state), *rest) for state, *rest in found]

    def payload(self, batch: Batch) -> Table:
        """The wire columns of an unsettled batch; OutOfTurn where they have been erased."""
        with self._read() as connection:
            sealed = connection.scalar(select(batches.c.payload).where(batches.c.id == batch.id))
        if sealed is None:
            raise OutOfTurn(f"Batch {batch.id}", "its content has been erased", "It is settled: plan anew.")
        content = self._vault_or_refuse().decrypt(bytes(sealed), _binding(batch.id))
        with pa.ipc.open_stream(content) as reader:
            return reader.read_all()

    def _batches(self, *where: Any) -> list[Batch]:
        columns = [column for column in batches.c if column is not batches.c.payload]
        with self._read() as connection:
            found = connection.execute(select(*columns).where(*where).order_by(batches.c.id)).mappings().all()
        return [_batch(row) for row in found]

    def _insert(self, connection: Connection, batch: Batch, content: bytes) -> Batch:
        """`batch` with its id, written with its encrypted content."""
        statement = insert(batches).values(
            run_id=batch.run_id,
            stream_id=batch.stream_id,
            action=batch.action,
            state=BatchState.PLANNED,
            rows=batch.rows,
            attempts=0,
            planned_at=batch.planned_at,
            words="",
        )
        batch_id = connection.execute(statement.returning(batches.c.id)).scalar_one()
        # The id binds the payload, so it must exist first.
        sealed = self._vault_or_refuse().encrypt(content, _binding(batch_id))
        connection.execute(update(batches).where(batches.c.id == batch_id).values(payload=sealed))
        return replace(batch, id=batch_id)

    def _upsert_rows(
        self,
        connection: Connection,
        run: Run,
        action: Action,
        rows: Table,
        *,
        batch_id: int | None = None,
        refusals: Sequence[Refusal] | None = None,
    ) -> None:
        """Insert or overwrite entries, but none that is newer, unsettled or bound to another event id."""
        columns = _columns(rows, action, sent=refusals is None)
        if refusals is not None:
            columns["reason"] = [str(each.reason) for each in refusals]
            columns["words"] = [each.words[:_MAX_WORDS] for each in refusals]
        if not len(rows):
            return
        fixed = {
            "stream_id": run.stream_id,
            "state": str(EntryState.PLANNED if refusals is None else EntryState.REJECTED),
            "batch_id": batch_id,
            "model_version": run.model_version,
        }
        # The integers are stored as they are: the columns' own types would turn each from an object.
        values: dict[str, Any] = {
            name: bindparam(name, type_=BigInteger() if name in _INTEGERS else None) for name in columns
        }
        statement = self._upsert(entries).values({**fixed, **values})
        new, old = statement.excluded, entries.c
        kept = {"stream_id", "key"} | (
            {"value", "currency", "updated_at"} if action is Action.REMOVE else set()
        )
        written = [name for name in (*columns, *fixed) if name not in kept]
        cleared = {"reason": None, "words": None} if refusals is None else {}
        statement = statement.on_conflict_do_update(
            index_elements=[old.stream_id, old.key],
            set_={**{name: new[name] for name in written}, **cleared},
            where=and_(
                # Leaving is no version of a value: a clock that was ahead must not keep a person in.
                true() if action is Action.REMOVE else new.updated_at >= old.updated_at,
                and_(*(old.state != state for state in _OPEN)),
                or_(
                    new.event_id == old.event_id,
                    and_(old.state == EntryState.REJECTED, old.first_accepted_at.is_(None)),
                ),
            ),
        )
        names = list(columns)
        connection.execute(
            statement, [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        )

    def _accept(self, connection: Connection, batch: Batch, words: str) -> None:
        if batch.action is Action.REMOVE:
            _move(
                connection,
                batch,
                state=EntryState.REMOVED,
                accepted_fingerprint=None,
                accepted_value=None,
                accepted_currency=None,
            )
        else:
            first = func.coalesce(
                entries.c.first_accepted_at, bindparam("now", self._clock(), entries.c.first_accepted_at.type)
            )
            _move(
                connection,
                batch,
                state=EntryState.ACCEPTED,
                accepted_fingerprint=entries.c.fingerprint,
                accepted_value=entries.c.value,
                accepted_currency=entries.c.currency,
                first_accepted_at=first,
            )
        self._close(connection, batch, BatchState.ACCEPTED, words)

    def _doubt(self, connection: Connection, batch: Batch, doubt: Doubt, words: str) -> None:
        _move(connection, batch, state=EntryState.IN_DOUBT, reason=doubt, words=words[:_MAX_WORDS])
        self._close(connection, batch, BatchState.IN_DOUBT, words)

    def _close(self, connection: Connection, batch: Batch, state: BatchState, words: str) -> None:
        _change(
            connection,
            batch,
            state=state,
            settled_at=self._clock(),
            next_poll_at=None,
            payload=None,
            words=words[:_MAX_WORDS],
        )


_INTEGERS = frozenset({"fingerprint", "value", "event_time", "updated_at"})

_ENTRY_UPDATE = update(entries).where(
    entries.c.stream_id == bindparam("b_stream"), entries.c.key == bindparam("b_key")
)


def _columns(rows: Table, action: Action, *, sent: bool) -> dict[str, list[Any]]:
    rows = rows.select(ROWS.names).cast(ROWS)
    columns = {name: rows[name] for name in ROWS.names}
    columns["value"] = money_column(columns["value"])
    columns["event_time"] = instant_column(columns["event_time"])
    columns["updated_at"] = instant_column(columns["updated_at"])
    if action is Action.REMOVE:
        columns["fingerprint"] = pa.nulls(len(rows), pa.int64())
    elif sent and columns["fingerprint"].null_count:
        raise ValueError("a row to be added or restated needs a fingerprint")
    return {name: column.to_pylist() for name, column in columns.items()}


def _move(connection: Connection, batch: Batch, **values: Any) -> None:
    """Change the entries of a batch that are not settled."""
    connection.execute(
        update(entries).where(entries.c.batch_id == batch.id, entries.c.state.in_(_OPEN)).values(**values)
    )


def _is(connection: Connection, batch: Batch, *states: BatchState) -> bool:
    """Whether the batch is in one of these states now; it stays so until the transaction is over."""
    statement = select(batches.c.state).where(batches.c.id == batch.id).with_for_update()
    return connection.scalar(statement) in states


def _change(connection: Connection, batch: Batch, **values: Any) -> None:
    connection.execute(update(batches).where(batches.c.id == batch.id).values(**values))


def _reject(connection: Connection, batch: Batch, refused: Mapping[str, Refusal]) -> None:
    if not refused:
        return
    connection.execute(
        _ENTRY_UPDATE.where(entries.c.batch_id == batch.id).values(
            state=EntryState.REJECTED, reason=bindparam("b_reason"), words=bindparam("b_words")
        ),
        [
            {
                "b_stream": batch.stream_id,
                "b_key": key,
                "b_reason": str(refusal.reason),
                "b_words": refusal.words[:_MAX_WORDS],
            }
            for key, refusal in refused.items()
        ],
    )


def _must_run(connection: Connection, run: Run) -> None:
    if connection.scalar(select(runs.c.status).where(runs.c.id == run.id)) != RunStatus.RUNNING:
        raise OutOfTurn(
            f"Run {run.id}", "it has been ended by another process", "Nothing to do: that one goes on."
        )


def _binding(batch_id: int) -> bytes:
    return f"batch {batch_id}".encode()


def _serialise(payload: Table) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, payload.schema, options=options) as writer:
        writer.write_table(payload)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _batch(row: RowMapping) -> Batch:
    return Batch(
        id=row["id"],
        run_id=row["run_id"],
        stream_id=row["stream_id"],
        action=Action(row["action"]),
        state=BatchState(row["state"]),
        rows=row["rows"],
        attempts=row["attempts"],
        planned_at=row["planned_at"],
        sent_at=row["sent_at"],
        request_id=row["request_id"],
        next_poll_at=row["next_poll_at"],
        words=row["words"],
    )
