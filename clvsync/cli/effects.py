"""What a value policy does, on a terminal: tenths before and after, a histogram, sums, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from clvsync.cli.output import console

if TYPE_CHECKING:
    from clvsync.value.effect import Effect, Spread

_WIDTH = 40
_BLOCKS = " ▏▎▍▌▋▊▉█"


def show_effect(effect: Effect, sent: str, own: str) -> None:
    """`sent` is the currency of values, `own` the business's."""
    deciles = Table(
        title=f"by tenths of worth, of {effect.rows:,} rows that may go (means)",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    deciles.add_column("tenth", justify="right")
    deciles.add_column(f"worth {own}", justify="right")
    deciles.add_column(f"value sent {sent}", justify="right")
    if effect.revenue is not None:
        deciles.add_column(f"order {own}", justify="right")
    deciles.add_column("of all worth", justify="right")
    deciles.add_column("of all value", justify="right")
    value = float(effect.value)
    for place, decile in enumerate(effect.deciles, start=1):
        revenue = () if decile.revenue is None else (f"{decile.revenue:,.2f}",)
        deciles.add_row(
            str(place),
            f"{decile.worth:,.2f}",
            f"{decile.value:,.2f}",
            *revenue,
            _share(decile.worth * decile.rows, effect.worth),
            _share(decile.value * decile.rows, value),
        )
    console().print(deciles)
    console().print(histogram(effect, sent))
    line = f"sum of worth {effect.worth:,.2f} {own} → of values {effect.value:,.2f} {sent}"
    if effect.revenue is not None and effect.to_revenue is not None:
        line += f"; revenue {effect.revenue:,.2f} {own}: values are {effect.to_revenue:.0%} of it"
    console().print(line, highlight=False, soft_wrap=True)


def histogram(effect: Effect, code: str) -> Table:
    """One bar for each value or band of values, as long as it has rows."""
    bars = Table(
        title=f"rows by value sent, {code}", title_justify="left", box=None, pad_edge=False, show_header=False
    )
    bars.add_column(justify="right", no_wrap=True)
    bars.add_column(no_wrap=True)
    bars.add_column(justify="right", no_wrap=True)
    most = max(bar.rows for bar in effect.bars)
    for bar in effect.bars:
        band = f"{bar.low:,.2f}" if bar.low == bar.high else f"{bar.low:,.2f} to {bar.high:,.2f}"
        bars.add_row(band, _bar(bar.rows / most), f"{bar.rows:,}")
    return bars


def show_spread(spread: Spread) -> None:
    """Whether values differ enough for value bidding."""
    ready = "[green]enough[/]" if spread.ready else f"[yellow]too little[/] ({spread.wanting})"
    console().print(
        f"values: {spread.rows:,} rows, {spread.distinct:,} distinct, lowest {spread.lowest:,.2f}, "
        f"median {spread.median:,.2f}, highest {spread.highest:,.2f}; difference for value bidding: {ready}",
        highlight=False,
        soft_wrap=True,
    )


def _bar(share: float) -> str:
    eighths = max(round(share * _WIDTH * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""
