"""Personal columns, which leave the source only for rows that are sent: before that, only whether they are
filled, and one digest of them that tells when they change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from sqlglot import exp

from clvsync.customers.expressions import column, is_not_null, named, number, text

DIGEST = "personal_digest"
"""MD5 (hex) of a row's personal columns, taken inside the source's engine."""


def selected(names: Sequence[str], *, in_clear: bool) -> list[exp.Expression]:
    """The personal columns themselves or, not in clear, a boolean has_<name> for each and the DIGEST."""
    if in_clear:
        return [column(name) for name in names]
    present = [named(is_not_null(column(name)), f"has_{name}") for name in names]
    return [*present, named(digest(names), DIGEST)]


def selected_names(names: Sequence[str]) -> list[str]:
    """What `selected` gives when not in clear."""
    return [*(f"has_{name}" for name in names), DIGEST]


def digest(names: Iterable[str]) -> exp.Expression:
    """MD5 (hex) of the columns, so joined that no two different rows read alike."""
    separator = exp.Chr(expressions=[number(31)])
    parts: list[exp.Expression] = [exp.func("coalesce", column(name), text("")) for name in names]
    return exp.MD5(
        this=reduce(
            lambda left, right: exp.DPipe(
                this=exp.DPipe(this=left, expression=separator.copy(), safe=False),
                expression=right,
                safe=False,
            ),
            parts,
        )
    )
