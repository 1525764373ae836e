from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from clvsync.ledger import Busy, Ledger
from clvsync.ledger.holder import has_ended, this_process

NAME_ITSELF = "from clvsync.ledger.holder import this_process; print(this_process(), flush=True); input()"


def a_process() -> tuple[subprocess.Popen[str], str]:
    """A process that lives until it is killed, and what it calls itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", NAME_ITSELF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_each_name_is_its_own_and_this_process_lives() -> None:
    assert this_process() != this_process()
    assert not has_ended(this_process())


def test_a_killed_process_has_ended_and_a_living_one_has_not(ledger: Ledger) -> None:
    process, name = a_process()
    ledger._take("s", name, timedelta(hours=1))
    assert not has_ended(name)
    with pytest.raises(Busy), ledger.lease("s", this_process()):
        pass
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(name), "dead, though its parent has not asked after it"
    process.communicate()
    assert has_ended(name)
    with ledger.lease("s", this_process()) as lease:
        lease.ensure()


@pytest.mark.parametrize("name", ["", "dead", "elsewhere/1/2/3", "elsewhere:boot:1/99999999/5/abc"])
def test_what_cannot_be_told_counts_as_living(name: str) -> None:
    assert not has_ended(name)


def test_a_number_that_another_process_was_given_since_does_not_count_as_living() -> None:
    machine, pid, _, nonce = this_process().split("/")
    assert has_ended(f"{machine}/{pid}/1/{nonce}")


def test_without_start_times_the_number_alone_tells() -> None:
    machine, pid, _, nonce = this_process().split("/")
    assert not has_ended(f"{machine}/{pid}/-/{nonce}")
    assert has_ended(f"{machine}/{2**22 + 1}/-/{nonce}")
