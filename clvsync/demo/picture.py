"""The demo's closing table as an SVG, for the README."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from clvsync.demo.summary import Pass, SentValues, summary

_COLUMNS = 112
_ASPECT = 0.602
"""Width ÷ height of a character in the fonts below."""
_FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def drawn(passes: Sequence[Pass], sent: Sequence[SentValues]) -> str:
    """The picture. It refers to nothing outside itself, so that it looks alike wherever it is shown, and
    names no file: where to look next is left out."""
    console = Console(
        record=True, file=io.StringIO(), width=_COLUMNS, force_terminal=True, color_system="truecolor"
    )
    console.print(summary(passes, sent, next_steps=()))
    return console.export_svg(
        title="clvsync demo",
        theme=SVG_EXPORT_THEME,
        code_format=_template(),
        font_aspect_ratio=_ASPECT,
        unique_id="demo",
    )


def _template() -> str:
    """Rich's own, without the web fonts that it loads."""
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", _FONTS).replace("arial", "sans-serif")
    # Some viewers drop the blanks that numbers are set right with.
    return template.replace('-matrix">', '-matrix" xml:space="preserve">')
