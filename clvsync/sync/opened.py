"""A business, opened: its configuration, ledger, warehouse and clock."""

from __future__ import annotations

import difflib
import hmac
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Self

from clvsync.config.sections import Config, Sync
from clvsync.connections import open_source
from clvsync.ledger import Ledger
from clvsync.ledger.holder import this_process
from connectors.errors import FixConfiguration
from connectors.types import Source

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]


def utc_now() -> datetime:
    """The clock of the machine."""
    return datetime.now(UTC)


class Opened:
    """Close it when done. `holder` names this process where it leases a sync; `sleep` waits before a request
    is tried again."""

    def __init__(self, config: Config, ledger: Ledger, clock: Clock, sleep: Sleep = time.sleep) -> None:
        self.config = config
        self.ledger = ledger
        self.clock = clock
        self.sleep = sleep
        self.holder = this_process()

    @classmethod
    @contextmanager
    def open(cls, config: Config, clock: Clock = utc_now, sleep: Sleep = time.sleep) -> Iterator[Self]:
        """The ledger is opened, and brought forward, at once; the warehouse when it is first read."""
        key = config.state.key.get_secret_value().encode() if config.state.key else None
        with Ledger.open(config.state.url, key, clock) as ledger:
            business = cls(config, ledger, clock, sleep)
            try:
                yield business
            finally:
                if "source" in business.__dict__:
                    business.source.close()

    @cached_property
    def source(self) -> Source:
        """The warehouse."""
        return open_source(self.config)

    @cached_property
    def salt(self) -> str:
        """Keeps fingerprints of content from being looked up in a dictionary."""
        if self.config.state.key is None:
            raise FixConfiguration(
                "state.key",
                "there is none, so that nothing could be kept safely until it is sent",
                "Set CLVSYNC_STATE_KEY in the environment or in .env; `openssl rand -base64 32` makes one.",
            )
        key = self.config.state.key.get_secret_value().encode()
        return hmac.digest(key, b"fingerprints of content", "sha256").hex()

    def sync(self, name: str) -> Sync:
        """The sync of that name. Raises FixConfiguration, naming the nearest."""
        names = [sync.name for sync in self.config.syncs]
        if name not in names:
            nearest = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(names)}."
            raise FixConfiguration(f"sync {name}", "the configuration has no such sync", hint)
        return self.config.sync(name)
