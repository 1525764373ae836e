"""The demo's closing table as an SVG, for the README."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console

from clvsync.demo.summary import Pass, SentValues, summary
from clvsync.picture import svg

_COLUMNS = 112


def drawn(passes: Sequence[Pass], sent: Sequence[SentValues]) -> str:
    """The picture. It names no file: where to look next is left out."""
    console = Console(
        record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, color_system="truecolor"
    )
    console.print(summary(passes, sent, next_steps=()))
    return svg(console, "clvsync demo", unique_id="demo")
