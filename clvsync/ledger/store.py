"""What every part of the ledger stands on: transactions, the clock and the vault."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

from clvsync.ledger.database import writing
from clvsync.ledger.vault import Vault
from connectors.errors import FixConfiguration

Clock = Callable[[], datetime]


class Store:
    """One open database. Safe to use from several threads."""

    def __init__(self, engine: Engine, vault: Vault | None, clock: Clock) -> None:
        self._engine = engine
        self._writing = writing(engine)
        self._vault = vault
        self._clock = clock
        # SQLite has one writer at a time, and threads that wait for it inside SQLite poll: let them queue.
        self._one_writer: AbstractContextManager[Any] = (
            threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._one_writer, self._writing.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def _upsert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
        return sqlite.insert(table) if self._engine.dialect.name == "sqlite" else postgresql.insert(table)

    def _vault_or_refuse(self) -> Vault:
        if self._vault is None:
            raise FixConfiguration(
                "The ledger",
                "rows cannot be sent without an encryption key: what a re-send needs is kept encrypted",
                "Set the state's encryption key.",
            )
        return self._vault
