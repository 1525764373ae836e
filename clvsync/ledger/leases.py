"""Who may run a sync now: one holder at a time, and one that dies loses it when its time is up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from clvsync.ledger.holder import has_ended
from clvsync.ledger.outbox import OutOfTurn
from clvsync.ledger.schema import leases
from clvsync.ledger.store import Store
from connectors.errors import RetryLater

_BEATS = 3
"""Renewals within one lifetime, so that one may fail."""


class Busy(RetryLater):
    """Somebody else runs this sync now."""


class Lease:
    """The right to run one sync, for as long as it is renewed."""

    def __init__(self, sync: str, holder: str) -> None:
        self.sync = sync
        self.holder = holder
        self._lost = threading.Event()

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def ensure(self) -> None:
        """Raises OutOfTurn once another holder has it."""
        if self.lost:
            raise OutOfTurn(
                f"Sync {self.sync!r}", "another agent has taken it over", "Nothing to do: that one goes on."
            )

    def lose(self) -> None:
        self._lost.set()


class Leases(Store):
    """Agents on several machines compare `expires_at` with their own clocks: those must agree to well
    within a lease's lifetime. What a process that lost its lease still tries is refused by its run having
    been ended (see `outbox`)."""

    @contextmanager
    def lease(self, sync: str, holder: str, ttl: timedelta = timedelta(seconds=45)) -> Iterator[Lease]:
        """Hold `sync` while the block runs. `holder` names this very process (see `holder`), not its kind.

        Raises Busy, with the time that is left, while another holds it. One that has died on this machine
        holds nothing any more; one on another machine, until its time is up.
        """
        self._take(sync, holder, ttl)
        lease, stop = Lease(sync, holder), threading.Event()
        heart = threading.Thread(
            target=self._beat, args=(lease, ttl, stop), name=f"lease of {sync}", daemon=True
        )
        heart.start()
        try:
            yield lease
        finally:
            stop.set()
            heart.join()
            with self._write() as connection:
                connection.execute(delete(leases).where(leases.c.sync == sync, leases.c.holder == holder))

    def _take(self, sync: str, holder: str, ttl: timedelta) -> None:
        now = self._clock()
        with self._write() as connection:
            held = connection.scalar(select(leases.c.holder).where(leases.c.sync == sync))
            # Who can be seen to be dead need not be waited for.
            replaced = [holder, held] if held is not None and has_ended(held) else [holder]
            statement = self._upsert(leases).values(sync=sync, holder=holder, expires_at=now + ttl)
            statement = statement.on_conflict_do_update(
                index_elements=[leases.c.sync],
                set_={"holder": statement.excluded.holder, "expires_at": statement.excluded.expires_at},
                where=or_(leases.c.expires_at <= now, leases.c.holder.in_(replaced)),
            )
            connection.execute(statement)
            row = connection.execute(select(leases).where(leases.c.sync == sync)).one()
        if row.holder != holder:
            raise Busy(
                f"Sync {sync!r}",
                "another process runs it now",
                "Wait for it, or for its lease to run out if it has died.",
                delay=row.expires_at - now,
            )

    def _beat(self, lease: Lease, ttl: timedelta, stop: threading.Event) -> None:
        while not stop.wait(ttl.total_seconds() / _BEATS):
            try:
                with self._write() as connection:
                    renewed = connection.execute(
                        update(leases)
                        .where(leases.c.sync == lease.sync, leases.c.holder == lease.holder)
                        .values(expires_at=self._clock() + ttl)
                    ).rowcount
            except SQLAlchemyError:
                # The database may be back at the next beat; if it is not, the lease runs out by itself.
                continue
            if not renewed:
                lease.lose()
                return
