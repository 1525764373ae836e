"""Changes on their way out: shape → write → send → record. The only room that writes receipts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from clvsync.delivery.sending import Clock, Delivered, Progress, Sender
from clvsync.ledger import ROWS, Ledger, Refusal, Run
from clvsync.plan import Miscounted
from connectors.errors import ConnectorError
from connectors.transport import RetryPolicy
from connectors.types import (
    CONVERSION,
    MEMBER,
    Action,
    Array,
    Destination,
    Kind,
    Reason,
    Rejection,
    Shaped,
    Table,
)

_WAITING_PER_THREAD = 2
"""Written batches that wait for a thread, so that none idles while the next one is written."""

_REFUSED_AT_ONCE = 5_000


def deliver(
    ledger: Ledger,
    run: Run,
    destination: Destination,
    changes: Iterable[Table],
    clock: Clock,
    *,
    policy: RetryPolicy | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivered:
    """Send `changes`, each batch written down before its first byte leaves.

    Each table has the columns of CONVERSION or MEMBER, `fingerprint` (int64, of everything but the value)
    and `action` (an Action's value; absent: add). Members may have `event_id` (absent: the key) and
    `updated_at` (absent: now). No key may occur twice in a run.

    Returns what became of the rows it took from `changes`; where an error stops it early, that error, and
    the rest of `changes` untouched. `progress` is called after every batch with the counts so far.
    """
    sender = Sender(ledger, run, destination, clock, policy=policy, progress=progress, sleep=sleep)
    threads = destination.capabilities.concurrency
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix=f"sync {run.sync}") as pool:
        try:
            for action, rows, payload in _requests(sender, changes):
                batch = ledger.write_batch(run, action, rows, payload)
                waiting.append(pool.submit(sender.send, batch, payload))
                while len(waiting) > threads * _WAITING_PER_THREAD:
                    waiting.popleft().result()
        except ConnectorError as error:
            sender.stop(error)
        except BaseException:
            # What waits in the pool stays planned; what is on its way is let finish.
            sender.stopped.set()
            raise
        for future in waiting:
            future.result()
    return sender.delivered


def keep_refused(ledger: Ledger, run: Run, rows: Table, reasons: Sequence[str]) -> None:
    """Keep rows (ROWS' columns) that eligibility refused, so that a person can find them.

    Their fingerprint is left out: what stands against a row may pass without the row changing.
    """
    unknown = pa.nulls(len(rows), pa.int64())
    place = rows.column_names.index("fingerprint")
    kept = rows.set_column(place, "fingerprint", unknown).select(ROWS.names).cast(ROWS)
    for start in range(0, len(kept), _REFUSED_AT_ONCE):
        part = kept.slice(start, _REFUSED_AT_ONCE)
        refusals = [Refusal(reason) for reason in reasons[start : start + len(part)]]
        ledger.record_rejections(run, Action.ADD, part, refusals)


def _requests(sender: Sender, changes: Iterable[Table]) -> Iterator[tuple[Action, Table, Table]]:
    """Full requests: what the ledger keeps of the rows, and the wire columns that carry them."""
    destination, started = sender.destination, sender.clock()
    size = destination.capabilities.rows_per_request
    kept: dict[Action, list[tuple[Table, Table]]] = {}
    for change in changes:
        for action, given in _by_action(change):
            rows = _ledger_rows(given, started)
            shaped = destination.shape(given.select(_columns(destination.kind)), sender.clock())
            if len(shaped.table) + len(shaped.rejections) != len(given):
                raise Miscounted(
                    f"{destination.address}: of {len(given)} rows {len(shaped.table)} were shaped "
                    f"and {len(shaped.rejections)} rejected"
                )
            if action is Action.REMOVE and shaped.rejections:
                shaped = _by_key_alone(shaped, given["key"])
            _record_rejections(sender, action, rows, shaped.rejections)
            if len(shaped.table):
                carried = rows.take(pc.index_in(shaped.table["key"], rows["key"].combine_chunks()))
                kept.setdefault(action, []).append((carried, shaped.table))
        for action in list(kept):
            for rows, payload in _cut(kept, action, size, last=False):
                if sender.stopped.is_set():
                    return
                yield action, rows, payload
    for action in list(kept):
        for rows, payload in _cut(kept, action, size, last=True):
            if sender.stopped.is_set():
                return
            yield action, rows, payload


def _cut(
    kept: dict[Action, list[tuple[Table, Table]]], action: Action, size: int, *, last: bool
) -> Iterator[tuple[Table, Table]]:
    """Take full requests off what is kept for `action`; the `last` one may be smaller."""
    parts = kept.pop(action)
    rows = pa.concat_tables([part[0] for part in parts])
    payload = pa.concat_tables([part[1] for part in parts])
    end = len(rows) if last else len(rows) - len(rows) % size
    for start in range(0, end, size):
        length = min(size, end - start)
        yield rows.slice(start, length), payload.slice(start, length)
    if end < len(rows):
        kept[action] = [(rows.slice(end), payload.slice(end))]


def _columns(kind: Kind) -> list[str]:
    names: list[str] = (CONVERSION if kind is Kind.CONVERSIONS else MEMBER).names
    return names


def _by_action(change: Table) -> Iterator[tuple[Action, Table]]:
    if "action" not in change.column_names:
        yield Action.ADD, change
        return
    # Removals first: a person who has withdrawn does not wait for the others.
    for action in (Action.REMOVE, Action.ADD, Action.RESTATE):
        part = change.filter(pc.equal(change["action"], str(action)))
        if len(part):
            yield action, part


def _ledger_rows(given: Table, started: object) -> Table:
    """ROWS, with what members lack filled in."""
    columns = {name: given[name] for name in ROWS.names if name in given.column_names}
    rows = len(given)
    columns.setdefault("event_id", given["key"])
    columns.setdefault("event_time", pa.nulls(rows, ROWS.field("event_time").type))
    columns.setdefault("fingerprint", pa.nulls(rows, pa.int64()))
    columns.setdefault("updated_at", pa.repeat(pa.scalar(started, ROWS.field("updated_at").type), rows))
    return pa.table({name: columns[name] for name in ROWS.names}).cast(ROWS)


def _by_key_alone(shaped: Shaped, keys: Array) -> Shaped:
    """A removal whose rows that could not be shaped go by their key: a member whom the source has no
    identifiers of any more, or not at all, has to leave as well."""
    unnamed = pa.table({"key": keys.take([each.index for each in shaped.rejections])})
    return Shaped(pa.concat_tables([shaped.table, unnamed], promote_options="default"))


def _record_rejections(
    sender: Sender, action: Action, rows: Table, rejections: tuple[Rejection, ...]
) -> None:
    """Rows that could not be shaped. Those that were never meant to go are only counted."""
    wanted = [each for each in rejections if _rejects(each.reason)]
    if wanted:
        refused = rows.take([each.index for each in wanted])
        sender.ledger.record_rejections(
            sender.run, action, refused, [Refusal(str(each.reason), each.words) for each in wanted]
        )
    for each in rejections:
        sender.count("rejected" if _rejects(each.reason) else "skipped", 1, str(each.reason))


def _rejects(reason: str) -> bool:
    try:
        return Reason(reason).rejects
    except ValueError:
        return True
