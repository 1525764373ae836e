"""Streams, runs and entries: what happened, for people and for the next run."""

from __future__ import annotations

import importlib
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Engine, and_, exists, func, insert, literal, or_, select, text, update
from sqlalchemy.engine import Row

from clvsync.ledger.records import Entry, Run
from clvsync.ledger.schema import (
    UNSETTLED,
    Decision,
    EntryState,
    RunStatus,
    batches,
    entries,
    runs,
    streams,
)
from clvsync.ledger.store import Store
from connectors.errors import FixConfiguration
from connectors.types import BatchReader

ENTRIES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("fingerprint", pa.int64()),
        pa.field("value", pa.int64()),
        pa.field("currency", pa.string(), nullable=False),
        pa.field("present", pa.int64(), nullable=False),
        pa.field("event_time", pa.int64()),
        pa.field("updated_at", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""What the difference needs of an entry: the newest version tried, in ten-thousandths and microseconds
(`units`); `present` is 1 where the platform has the row in some version; "" stands for no text."""

# SQLite's ADBC driver tells a column's type from the values of its first batch: no text may be NULL.
_ENTRIES_QUERY = (
    "SELECT key, state, fingerprint, value, COALESCE(currency, '') AS currency, "
    "CASE WHEN accepted_fingerprint IS NULL THEN 0 ELSE 1 END AS present, event_time, updated_at, "
    "COALESCE(reason, '') AS reason FROM entries WHERE stream_id = {stream_id:d}"
)
_ROWS_PER_READ = 16_384
_KEYS_PER_QUERY = 10_000


class Journal(Store):
    """What was tried and what came of it."""

    def start_run(
        self,
        sync: str,
        address: str,
        kind: str,
        now: datetime,
        *,
        model_version: str | None = None,
        carries: str | None = None,
    ) -> Run:
        """Begin a run, under the sync's lease. Runs of the sync that never finished are ended as failed,
        and from then on what they still try is refused.

        `carries` says what the rows are, and so what their keys mean. Raises FixConfiguration where the
        stream's rows have been something else: under other keys each would be sent a second time.
        """
        run_id = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{secrets.token_hex(3)}"
        with self._write() as connection:
            connection.execute(
                self._upsert(streams)
                .values(sync=sync, address=address, carries=carries)
                .on_conflict_do_nothing()
            )
            stream_id, carried = connection.execute(
                select(streams.c.id, streams.c.carries).where(
                    streams.c.sync == sync, streams.c.address == address
                )
            ).one()
            if carries is not None and carried is not None and carried != carries:
                raise FixConfiguration(
                    f"sync {sync}",
                    f"it carried {carried!r} to {address} so far and would now carry {carries!r}",
                    "Set it back, or give the other rows a sync and an action or event of their own.",
                )
            of_sync = select(streams.c.id).where(streams.c.sync == sync)
            connection.execute(
                update(runs)
                .where(runs.c.stream_id.in_(of_sync), runs.c.status == RunStatus.RUNNING)
                .values(
                    status=RunStatus.FAILED,
                    finished_at=now,
                    message="Its process ended before it did; the next run went on from where it was.",
                )
            )
            connection.execute(
                insert(runs).values(
                    id=run_id,
                    stream_id=stream_id,
                    kind=kind,
                    status=RunStatus.RUNNING,
                    started_at=now,
                    counts={},
                    value_sent={},
                    reasons={},
                    message="",
                    model_version=model_version,
                )
            )
        return Run(
            run_id, stream_id, sync, address, kind, RunStatus.RUNNING, now, model_version=model_version
        )

    def finish_run(
        self,
        run: Run,
        status: RunStatus,
        now: datetime,
        *,
        counts: Mapping[str, Any],
        value_sent: Mapping[str, Decimal] | None = None,
        reasons: Mapping[str, int] | None = None,
        message: str = "",
    ) -> None:
        """End a run. One that another process has ended meanwhile stays as that one left it."""
        with self._write() as connection:
            connection.execute(
                update(runs)
                .where(runs.c.id == run.id, runs.c.status == RunStatus.RUNNING)
                .values(
                    status=status,
                    finished_at=now,
                    counts=dict(counts),
                    value_sent={currency: str(value) for currency, value in (value_sent or {}).items()},
                    reasons=dict(reasons or {}),
                    message=message,
                )
            )

    def runs(self, limit: int = 50, sync: str | None = None) -> list[Run]:
        """Newest first."""
        statement = (
            select(runs, streams.c.sync, streams.c.address)
            .join(streams)
            .order_by(runs.c.id.desc())
            .limit(limit)
        )
        if sync is not None:
            statement = statement.where(streams.c.sync == sync)
        with self._read() as connection:
            return [_run(row) for row in connection.execute(statement)]

    def decide(self, run_id: str, decision: Decision, now: datetime) -> None:
        """Release a held run, so that the next one passes the brakes, or discard it.

        FixConfiguration where there is no such held run without a decision.
        """
        with self._write() as connection:
            moved = connection.execute(
                update(runs)
                .where(runs.c.id == run_id, runs.c.status == RunStatus.HELD, runs.c.decision.is_(None))
                .values(decision=decision, decided_at=now)
            ).rowcount
        if not moved:
            raise FixConfiguration(
                f"Run {run_id}",
                "it is not held, or has been decided about",
                "`clvsync runs` shows which are.",
            )

    def stream_ids(self, sync: str | None = None) -> dict[tuple[str, str], int]:
        """Ids by (sync, address)."""
        statement = select(streams)
        if sync is not None:
            statement = statement.where(streams.c.sync == sync)
        with self._read() as connection:
            return {(row.sync, row.address): row.id for row in connection.execute(statement)}

    def owners(self, address: str) -> list[str]:
        """The syncs that have had rows on their way to this address."""
        written = exists().where(entries.c.stream_id == streams.c.id, entries.c.batch_id.is_not(None))
        statement = select(streams.c.sync).where(streams.c.address == address, written)
        with self._read() as connection:
            return list(connection.execute(statement.order_by(streams.c.sync)).scalars())

    def entries_reader(self, stream_id: int) -> BatchReader:
        """Every entry of a stream, in ENTRIES' columns, over a connection of its own."""
        batches_read = self._stream(_ENTRIES_QUERY.format(stream_id=stream_id))
        return pa.RecordBatchReader.from_batches(ENTRIES, batches_read)

    def entry(self, key: str, sync: str | None = None) -> list[Entry]:
        """What is known of a key, in each stream that has it."""
        ids = list(self.stream_ids(sync).values())
        return self._entries(entries.c.key == key, entries.c.stream_id.in_(ids))

    def event_ids(self, stream_id: int, keys: Sequence[str]) -> dict[str, str]:
        """The ids that these keys were first given, for those that the stream has."""
        found: dict[str, str] = {}
        with self._read() as connection:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                rows = connection.execute(
                    select(entries.c.key, entries.c.event_id).where(
                        entries.c.stream_id == stream_id, entries.c.key.in_(some)
                    )
                )
                found.update({row.key: row.event_id for row in rows})
        return found

    def rejects(self, sync: str | None = None, limit: int = 100) -> list[Entry]:
        """Rows that were wanted and not taken, the latest first."""
        ids = list(self.stream_ids(sync).values())
        # Spelled out in the statement, so that the partial index on it is seen to fit.
        rejected = literal(str(EntryState.REJECTED), literal_execute=True)
        return self._entries(entries.c.state == rejected, entries.c.stream_id.in_(ids), limit=limit)

    def retry(
        self,
        stream_id: int,
        *,
        keys: Sequence[str] | None = None,
        states: Sequence[EntryState] = (EntryState.REJECTED,),
    ) -> int:
        """Let the next run try rejected (or doubtful) rows again as they are; how many there are."""
        allowed = [state for state in states if state in (EntryState.REJECTED, EntryState.IN_DOUBT)]
        where = [entries.c.stream_id == stream_id, entries.c.state.in_(allowed)]
        if keys is not None:
            where.append(entries.c.key.in_(keys))
        with self._write() as connection:
            return connection.execute(
                update(entries).where(*where).values(state=EntryState.REJECTED, fingerprint=None)
            ).rowcount

    def verify(self) -> list[str]:
        """What is wrong with the ledger, in sentences; nothing where all is well."""
        open_states = [EntryState.PLANNED, EntryState.SENT, EntryState.PENDING]
        astray = (
            select(func.count())
            .select_from(entries.outerjoin(batches, entries.c.batch_id == batches.c.id))
            .where(
                entries.c.state.in_(open_states),
                or_(batches.c.id.is_(None), batches.c.state != entries.c.state),
            )
        )
        carried = (
            select(func.count())
            .select_from(entries)
            .where(
                entries.c.batch_id == batches.c.id, entries.c.state.in_([*open_states, EntryState.REJECTED])
            )
            .scalar_subquery()
        )
        short = select(func.count()).where(batches.c.state.in_(UNSETTLED), batches.c.rows != carried)
        payloads = select(func.count()).where(
            or_(
                and_(batches.c.state.in_(UNSETTLED), batches.c.payload.is_(None)),
                and_(batches.c.state.not_in(UNSETTLED), batches.c.payload.is_not(None)),
            )
        )
        unlike = select(func.count()).where(
            entries.c.state == EntryState.ACCEPTED,
            or_(
                entries.c.accepted_fingerprint.is_(None),
                entries.c.accepted_value.is_distinct_from(entries.c.value),
            ),
        )
        problems = []
        with self._read() as connection:
            if self._engine.dialect.name == "sqlite":
                damage = connection.execute(text("PRAGMA integrity_check")).scalars().all()
                problems += [f"The database file is damaged: {line}." for line in damage if line != "ok"]
            for statement, problem in (
                (astray, "rows are in another state than the batch that carries them"),
                (short, "open batches have more or fewer rows than were written"),
                (payloads, "batches have lost their content, or kept it after they were settled"),
                (unlike, "accepted rows do not hold what was accepted"),
            ):
                count = connection.scalar(statement)
                if count:
                    problems.append(f"{count} {problem}.")
        return problems

    def _entries(self, *where: Any, limit: int | None = None) -> list[Entry]:
        statement = (
            select(entries, streams.c.sync, streams.c.address)
            .join(streams, streams.c.id == entries.c.stream_id)
            .where(*where)
            .order_by(entries.c.updated_at.desc(), entries.c.key)
            .limit(limit)
        )
        with self._read() as connection:
            return [_entry(row) for row in connection.execute(statement)]

    def _stream(self, query: str) -> Iterator[Any]:
        url = self._engine.url
        if url.get_backend_name() == "sqlite":
            with _copied(self._engine, query) as path:
                options = {"adbc.sqlite.query.batch_rows": str(_ROWS_PER_READ)}
                yield from _read("adbc_driver_sqlite.dbapi", str(path), "SELECT * FROM copied", options)
        else:
            address = url.set(drivername="postgresql").render_as_string(hide_password=False)
            yield from _read("adbc_driver_postgresql.dbapi", address, query, {})


@contextmanager
def _copied(engine: Engine, query: str) -> Iterator[Path]:
    """A database file of its own with the query's rows as the table `copied`, gone when the block ends.

    The ADBC driver brings an SQLite of its own, and two SQLites in one process must never open the same file:
    whichever closes it drops the other's locks (sqlite.org/howtocorrupt.html, section 2.2.1), and the next
    process to come then truncates what is in use.
    """
    with tempfile.TemporaryDirectory(prefix="clvsync-") as folder:
        path = Path(folder) / "copied.db"
        with closing(engine.raw_connection()) as ledger, closing(ledger.cursor()) as cursor:
            cursor.execute("ATTACH ? AS copy", (str(path),))
            try:
                # It need not outlive a crash.
                cursor.execute("PRAGMA copy.journal_mode = OFF")
                cursor.execute("PRAGMA copy.synchronous = OFF")
                cursor.execute(f"CREATE TABLE copy.copied AS {query}")
            finally:
                cursor.execute("DETACH copy")
        yield path


def _read(driver: str, address: str, query: str, options: Mapping[str, str]) -> Iterator[Any]:
    dbapi = importlib.import_module(driver)
    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**options)
        cursor.execute(query)
        for batch in cursor.fetch_record_batch():
            yield batch.cast(ENTRIES)


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        stream_id=row.stream_id,
        sync=row.sync,
        address=row.address,
        kind=row.kind,
        status=RunStatus(row.status),
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=row.counts,
        value_sent={currency: Decimal(value) for currency, value in row.value_sent.items()},
        reasons=row.reasons,
        message=row.message,
        model_version=row.model_version,
        decision=Decision(row.decision) if row.decision else None,
    )


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        sync=row.sync,
        address=row.address,
        key=row.key,
        event_id=row.event_id,
        state=EntryState(row.state),
        value=row.value,
        currency=row.currency,
        accepted_value=row.accepted_value,
        accepted_currency=row.accepted_currency,
        event_time=row.event_time,
        updated_at=row.updated_at,
        reason=row.reason,
        words=row.words,
        batch_id=row.batch_id,
        model_version=row.model_version,
        first_accepted_at=row.first_accepted_at,
        last_sent_at=row.last_sent_at,
    )
