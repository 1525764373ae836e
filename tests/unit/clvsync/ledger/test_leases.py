from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from clvsync.ledger import Busy, Ledger, OutOfTurn
from tests.fakes import Clock
from tests.unit.clvsync.ledger.conftest import KEY

MINUTE = timedelta(minutes=1)


def test_one_holder_at_a_time(ledger: Ledger) -> None:
    with ledger.lease("s", "first", MINUTE):
        with pytest.raises(Busy) as raised, ledger.lease("s", "second", MINUTE):
            pass
        assert raised.value.delay == MINUTE
        with ledger.lease("another", "second", MINUTE):
            pass
    with ledger.lease("s", "second", MINUTE):
        pass


def test_the_lease_of_one_that_died_runs_out(ledger: Ledger, clock: Clock) -> None:
    ledger._take("s", "dead", MINUTE)
    clock.forward(MINUTE)
    with ledger.lease("s", "next", MINUTE) as lease:
        assert not lease.lost


def test_a_lease_is_renewed_while_its_block_runs(url: str) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    with Ledger.open(url, KEY, now) as ledger:
        short = timedelta(seconds=0.6)
        with ledger.lease("s", "first", short):
            threading.Event().wait(1.2)
            with pytest.raises(Busy), ledger.lease("s", "second", short):
                pass


def test_one_that_lost_its_lease_is_told(ledger: Ledger, clock: Clock) -> None:
    with ledger.lease("s", "first", timedelta(seconds=0.3)) as lease:
        lease.ensure()
        clock.forward(MINUTE)
        ledger._take("s", "second", 10 * MINUTE)
        for _ in range(100):
            if lease.lost:
                break
            threading.Event().wait(0.05)
        with pytest.raises(OutOfTurn, match="taken it over"):
            lease.ensure()
    with pytest.raises(Busy), ledger.lease("s", "third", MINUTE):
        pass
