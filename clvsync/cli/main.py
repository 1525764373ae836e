"""The command `clvsync`."""

from __future__ import annotations

import typer

from clvsync.cli import looking, modelling, running, segmenting, serving

app = typer.Typer(
    name="clvsync",
    help="Keeps Google Ads and Meta bidding on customer lifetime value.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
running.register(app)
looking.register(app)
modelling.register(app)
segmenting.register(app)
serving.register(app)
