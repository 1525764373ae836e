"""clv fit."""

from __future__ import annotations

import typer

from clvsync.cli.output import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    answering,
    print_json,
    progress,
    read_config,
)


def register(app: typer.Typer) -> None:
    """Adds these commands to the application."""
    clv = typer.Typer(help="The lifetime value model.", no_args_is_help=True)
    clv.callback()(_clv)
    clv.command()(fit)
    app.add_typer(clv, name="clv")


def _clv() -> None:
    """The lifetime value model."""


@answering
def fit(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Fits the model on the orders up to now and makes it the one that scores."""
    from clvsync.cli import tables
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        fitted = business.fit(tell=tell)
    if as_json:
        print_json(fitted.to_json())
    else:
        tables.show_fit(fitted)
