"""clv fit, validate, models, accept, rollback."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

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


def register(app: typer.Typer) -> None:
    """Adds these commands to the application."""
    clv = typer.Typer(help="The lifetime value model.", no_args_is_help=True)
    clv.callback()(_clv)
    for command in (fit, validate, models, accept, rollback):
        clv.command()(command)
    app.add_typer(clv, name="clv")


def _clv() -> None:
    """The lifetime value model."""


@answering
def fit(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Fits the model on the orders up to now, tries it on the past and makes it the one that scores."""
    from clvsync.cli import model_tables, tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        fitted = business.fit(tell=tell)
    if as_json:
        print_json(fitted.to_json())
    else:
        tables.show_fit(fitted)
        model_tables.show_verdict(fitted.failed, fitted.warned)
    if fitted.failed:
        raise typer.Exit(ExitCode.HELD)


@answering
def validate(
    cutoff: Annotated[
        list[datetime] | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="A day: orders before it are learned from, those from it on predicted. As often as wanted.",
        ),
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="How long after a cut-off is predicted, such as '90 days'.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write what is shown as an SVG too.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Tries the models on the past: fitted before a day, judged on what came after it."""
    from clvsync.cli import model_tables
    from clvsync.sync.business import Business

    days = [each.date() for each in cutoff or ()]
    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        report = business.validate(days, _duration(window), tell=tell)
        currency = business.config.business.currency
    if as_json:
        print_json(report.to_json())
    else:
        model_tables.show_validation(report, currency)
    if picture is not None:
        picture.write_text(model_tables.drawn(report, currency), encoding="utf-8")
    if report.failed:
        raise typer.Exit(ExitCode.HELD)


@answering
def models(
    limit: Annotated[int, typer.Option(help="How many at the most.", min=1)] = 20,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Fitted versions, what they showed on the past, and which of them scores."""
    from clvsync.cli import model_tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        versions = business.models(limit)
    if as_json:
        print_json({"models": [version.to_json() for version in versions]})
    else:
        model_tables.show_versions(versions)


@answering
def accept(
    version: Annotated[str, typer.Argument(help="The version, as `clvsync clv models` shows it.")],
    because: Annotated[str, typer.Option(help="Why it is right all the same; it is recorded.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Lets a version score and be sent with, though it failed on the past or is far from the one before."""
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        accepted = business.accept(version, because)
    if as_json:
        print_json(accepted.to_json())
    else:
        console().print(f"Version {accepted.version} scores, and may be sent with.", highlight=False)


@answering
def rollback(
    version: Annotated[
        str | None, typer.Argument(help="The version to go back to; none: the one before.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Lets an earlier version score again, until a person fits or accepts another."""
    from clvsync.cli import model_tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business:
        back = business.rollback(version)
    if as_json:
        print_json(back.to_json())
    else:
        console().print(f"Version {back.version} scores again, fitted {back.fitted_at:%Y-%m-%d}.")
        model_tables.show_verdict(back.failed, back.warned)
    if back.failed:
        raise typer.Exit(ExitCode.HELD)


def _duration(text: str | None) -> timedelta | None:
    from clvsync.config.units import parse_duration
    from connectors.errors import FixConfiguration

    if text is None:
        return None
    try:
        found: timedelta = parse_duration(text)
    except ValueError as error:
        raise FixConfiguration("--window", str(error), "Give it like --window '90 days'.") from None
    return found
