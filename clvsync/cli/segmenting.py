"""segments list, segments export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from clvsync.sync.segmenting import Segment


def register(app: typer.Typer) -> None:
    """Adds these commands to the application."""
    segments = typer.Typer(
        help="Segments of customers, for audiences and for other tools.", no_args_is_help=True
    )
    segments.command("list")(segments_list)
    segments.command("export")(segments_export)
    app.add_typer(segments, name="segments")


@answering
def segments_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every segment: its condition, how many are in it, and what they are worth."""
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        found = business.segments(tell=tell)
        currency = business.config.business.currency
    if as_json:
        print_json({"currency": currency, "segments": [segment.to_json() for segment in found]})
    else:
        _show(found, currency)


@answering
def segments_export(
    name: Annotated[str, typer.Argument(help="The segment's name.")],
    to: Annotated[Path, typer.Option(help="A .csv or .parquet file. One that is there is brought forward.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Keys and scores of a segment's members, never an identifier."""
    from clvsync.cli.output import console
    from clvsync.sync.business import Business

    with Business.open(read_config(config)) as business, progress(as_json=as_json) as tell:
        written = business.export_segment(name, to, tell=tell)
    if as_json:
        print_json(written.to_json())
        return
    line = f"{written.customers:,} customers of {written.segment} in {written.path}"
    if written.before is not None:
        line += f" ({written.before:,} before; {written.stayed:,} stay in within the margin)"
    console().print(line, highlight=False, soft_wrap=True)


def _show(found: list[Segment], currency: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from clvsync.cli.output import console

    table = Table(box=None, pad_edge=False)
    table.add_column("segment", no_wrap=True)
    for name in ("customers", "share", f"mean CLV {currency}", f"CLV {currency}", "of all CLV"):
        table.add_column(name, justify="right", no_wrap=True)
    for segment in found:
        table.add_row(
            segment.name,
            f"{segment.customers:,}",
            _percent(segment.share),
            "" if segment.mean_clv is None else f"{segment.mean_clv:,.2f}",
            f"{segment.clv:,.0f}",
            _percent(segment.share_of_clv),
        )
    console().print(table)
    for segment in found:
        line = f"[dim]{segment.name}[/]: {escape(segment.condition)}"
        console().print(line, highlight=False, soft_wrap=True)
    amounts = {name: amount for segment in found for name, amount in segment.thresholds.items()}
    for name, amount in sorted(amounts.items()):
        console().print(
            f"{name}: " + ("nobody has one" if amount is None else f"{amount:,.2f}"), highlight=False
        )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
