"""run, preview, status, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clvsync.cli.output import (
    DEFAULT_CONFIG,
    ConfigOption,
    ExitCode,
    JsonOption,
    answering,
    console,
    print_json,
    progress,
    read_config,
)

if TYPE_CHECKING:
    from clvsync.sync.report import RunReport

SyncsArgument = Annotated[list[str] | None, typer.Argument(help="Names of syncs; none: all of them.")]
SyncArgument = Annotated[str, typer.Argument(help="The sync's name.")]
LimitOption = Annotated[int, typer.Option(help="How many at the most.", min=1)]


def register(app: typer.Typer) -> None:
    """Adds these commands to the application."""
    app.command()(run)
    app.command()(preview)
    app.command()(status)
    app.command()(runs)
    app.command()(release)


@answering
def run(
    syncs: SyncsArgument = None, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """One pass of each sync: read, score, value, send what changed, record."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        reports = business.run(syncs or None, tell=tell)
    if as_json:
        print_json({"runs": [report.to_json() for report in reports]})
    else:
        tables.show_runs(reports)
    raise typer.Exit(exit_code(reports))


@answering
def preview(
    sync: SyncArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
    rows: Annotated[int, typer.Option(help="How many rows to show.", min=0)] = 5,
) -> None:
    """Exactly what the next run would send, without sending. Identifiers are shown hashed."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        seen = business.preview(sync, rows=rows, tell=tell)
    if as_json:
        print_json(seen.to_json())
    else:
        tables.show_preview(seen)


@answering
def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Each sync: its last run, what is under way, what is next."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        lines = business.status()
    if as_json:
        print_json({"syncs": [line.to_json() for line in lines]})
    else:
        tables.show_status(lines)


@answering
def runs(
    sync: Annotated[str | None, typer.Argument(help="The sync's name; none: all.")] = None,
    limit: LimitOption = 20,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Past runs, the newest first."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        past = business.past_runs(sync, limit)
    if as_json:
        print_json({"runs": [report.to_json() for report in past]})
    else:
        tables.show_runs(past)


@answering
def release(
    run: Annotated[str, typer.Argument(help="The held run, as `clvsync runs` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Let the next run of a held run's sync pass the brakes, because what held it is right."""
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        business.release(run)
    if as_json:
        print_json({"released": run})
    else:
        console().print(f"Run {run} is released: the sync's next run passes the brakes.", highlight=False)


def exit_code(reports: list[RunReport]) -> ExitCode:
    """The gravest of the runs: credentials, configuration, held, rejects or failed, all well."""
    found = {report.exit_code for report in reports}
    order = (ExitCode.CREDENTIALS, ExitCode.CONFIGURATION, ExitCode.HELD, ExitCode.REJECTS_OR_FAILED)
    return next((code for code in order if code in found), ExitCode.WELL)
