"""How commands answer: tables for people, one JSON document for programs, errors with an exit code."""

from __future__ import annotations

import functools
import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from clvsync.config.sections import Config


class ExitCode(IntEnum):
    """What a caller can tell from the exit code."""

    WELL = 0
    REJECTS_OR_FAILED = 1
    CONFIGURATION = 2
    CREDENTIALS = 3
    HELD = 4


ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", envvar="CLVSYNC_CONFIG")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DEFAULT_CONFIG = Path("clvsync.yaml")

_PROGRESS = logging.getLogger("clvsync.progress")
"""Told at every level of logging: who waits wants to know."""

P = ParamSpec("P")
R = TypeVar("R")


def answering(command: Callable[P, R]) -> Callable[P, R]:
    """Turns errors into a message and an exit code.

    A fault of clvsync itself is told by its kind and place alone: its text may hold what a row held.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from connectors.errors import ConnectorError, FixConfiguration, StopAndCall

        try:
            return command(*args, **kwargs)
        except ConnectorError as error:
            code = ExitCode.REJECTS_OR_FAILED
            if isinstance(error, FixConfiguration):
                code = ExitCode.CONFIGURATION
            elif isinstance(error, StopAndCall):
                code = ExitCode.CREDENTIALS
            _tell(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as fault:
            sys.stderr.write("".join(traceback.format_tb(fault.__traceback__)))
            told = ConnectorError(
                "clvsync",
                f"it ended in a fault of its own ({type(fault).__name__})",
                "Report it with the place above.",
            )
            _tell(told, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(ExitCode.REJECTS_OR_FAILED) from None

    return wrapped


def _tell(error: Any, *, as_json: bool) -> None:
    if as_json:
        print_json({"error": {"what": error.what, "problem": error.problem, "remedy": error.remedy}})
    from rich.text import Text

    # As it is: brackets are no markup here, and a line that is broken can be neither searched nor clicked.
    message = Text.assemble((error.what, "bold red"), f": {error.problem}. {error.remedy}")
    err_console().print(message, soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    json.dump(document, sys.stdout, default=_jsonable, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


@functools.cache
def console() -> Console:
    """Standard output, for people."""
    from rich.console import Console

    return Console()


@functools.cache
def err_console() -> Console:
    """Standard error: progress and messages."""
    from rich.console import Console

    return Console(stderr=True)


def read_config(path: Path) -> Config:
    """The configuration, with logging set up to standard error."""
    from clvsync.config.loading import load

    set_up_logging()
    return load(path)


def set_up_logging(level: int = logging.WARNING) -> None:
    """Log lines go to standard error; libraries that would log requests are kept quiet."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for name in ("urllib3", "google", "facebook_business", "apscheduler", "alembic"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    _PROGRESS.setLevel(logging.INFO)


@contextmanager
def progress(*, as_json: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on a terminal, a log line now and then elsewhere: call it with (stage, done, rows in all)."""
    if as_json or not err_console().is_terminal:
        yield _LogLines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err_console(), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance


class _LogLines:
    """At most one line a stage every so many seconds."""

    _EVERY_SECONDS = 10.0

    def __init__(self) -> None:
        import time

        self._clock = time.monotonic
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = self._clock()
        if now - self._last.setdefault(stage, now) >= self._EVERY_SECONDS:
            self._last[stage] = now
            _PROGRESS.info("%s: %s rows", stage, f"{done:,}" if total is None else f"{done:,} of {total:,}")
