"""The agent's durable memory: what was planned, sent, accepted and refused."""

from __future__ import annotations

from sqlalchemy import select

from clvsync.ledger.database import open_engine, parse_url
from clvsync.ledger.journal import Journal
from clvsync.ledger.leases import Leases
from clvsync.ledger.outbox import Outbox
from clvsync.ledger.registry import Registry
from clvsync.ledger.schema import vault as vault_table
from clvsync.ledger.store import Clock
from clvsync.ledger.vault import Vault


class Ledger(Journal, Outbox, Leases, Registry):
    """SQLite or PostgreSQL. Safe to use from several threads and, under leases, from several processes."""

    @classmethod
    def open(cls, url: str, key: bytes | None, clock: Clock) -> Ledger:
        """Open the ledger at `url`, creating it or bringing its schema forward.

        `key` is the secret that payloads are encrypted with; without it nothing can be written or sent, but
        all else can be read. Raises WrongKey where it is not the one the ledger was written with,
        FixConfiguration for an address that is none, StopAndCall for a ledger newer than this version.
        """
        engine = open_engine(parse_url(url))
        try:
            return cls(engine, cls(engine, None, clock)._open_vault(key), clock)
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_vault(self, secret: bytes | None) -> Vault | None:
        if not secret:
            return None
        with self._read() as connection:
            stored = connection.execute(select(vault_table)).one_or_none()
        if stored is None:
            salt = Vault.new_salt()
            new = {"id": 1, "salt": salt, "key_check": Vault(secret, salt).key_check()}
            with self._write() as connection:
                # Two agents may both get here: the first one's salt counts.
                connection.execute(self._upsert(vault_table).values(new).on_conflict_do_nothing())
                stored = connection.execute(select(vault_table)).one()
        opened = Vault(secret, bytes(stored.salt))
        opened.verify(bytes(stored.key_check))
        return opened
