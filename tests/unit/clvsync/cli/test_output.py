from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import typer

from clvsync.cli import output
from connectors.errors import FixConfiguration


@pytest.fixture(autouse=True)
def fresh_consoles() -> Iterator[None]:
    """Consoles are kept for a process, and here each test has other streams."""
    for cached in (output.console, output.err_console):
        cached.cache_clear()
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)
    for cached in (output.console, output.err_console):
        cached.cache_clear()


def test_an_error_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    problem = "the condition \"country in ['de'] or [/b]\" cannot be used" + " for a reason" * 20

    @output.answering
    def command(*, as_json: bool) -> None:
        raise FixConfiguration("sync [a]", problem, "Correct `where`.")

    for as_json in (False, True):
        with pytest.raises(typer.Exit) as ended:
            command(as_json=as_json)
        assert ended.value.exit_code == output.ExitCode.CONFIGURATION
        told = capsys.readouterr()
        assert told.err == f"sync [a]: {problem}. Correct `where`.\n"
        assert bool(told.out) is as_json
    assert json.loads(told.out)["error"]["problem"] == problem


@pytest.mark.parametrize("as_json", [False, True])
def test_a_fault_of_our_own_is_named_without_what_a_row_held(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    held = "@".join(("someone", "example.com"))

    @output.answering
    def command(*, as_json: bool) -> None:
        raise RuntimeError(held)

    output.set_up_logging()
    with pytest.raises(typer.Exit) as ended:
        command(as_json=as_json)
    assert ended.value.exit_code == output.ExitCode.REJECTS_OR_FAILED
    told = capsys.readouterr()
    assert "RuntimeError" in told.err
    assert "test_output.py" in told.err, "the place is there for a report"
    assert held not in told.err + told.out
    assert bool(told.out) is as_json
    if as_json:
        assert json.loads(told.out)["error"]["remedy"]


def test_long_work_is_told_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    output.set_up_logging()
    with output.progress(as_json=True) as tell:
        tell("reading", 1, None)
        now[0] = 60.0
        tell("reading", 2_000, 3_000)
    told = capsys.readouterr()
    assert "reading: 2,000 of 3,000 rows" in told.err
    assert told.out == ""
