"""What a console shows, as an SVG that refers to nothing outside itself, so that it looks alike wherever it
is shown."""

from __future__ import annotations

import re

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

_ASPECT = 0.602
"""Width ÷ height of a character in the fonts below."""
_FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def svg(console: Console, title: str, *, unique_id: str) -> str:
    """The picture of what a recording console was given. `unique_id` keeps its styles apart from those of
    other pictures on the same page."""
    return console.export_svg(
        title=title,
        theme=SVG_EXPORT_THEME,
        code_format=_template(),
        font_aspect_ratio=_ASPECT,
        unique_id=unique_id,
    )


def _template() -> str:
    """Rich's own, without the web fonts that it loads."""
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", _FONTS).replace("arial", "sans-serif")
    # Some viewers drop the blanks that numbers are set right with.
    return template.replace('-matrix">', '-matrix" xml:space="preserve">')
