"""Identifiers may come plain or already hashed, but a column must be one or the other.

A column that mixes the two has been half hashed somewhere on its way, and whichever way it is read, some of
its people would be sent as somebody who does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from clvsync.customers.mapping import Mapped
from connectors.errors import FixConfiguration

_HASHABLE = ("email", "phone", "first_name", "last_name", "city", "region", "postcode", "external_id")
_SHA256_HEX = "^[0-9a-fA-F]{64}$"


def identifier_forms(mapped: Mapped) -> exp.Select:
    """The query of one row: for each identifier the count of its values, <name>_all, and of those that are
    SHA-256 in hex already, <name>_hashed."""
    counts: list[exp.Expression] = []
    for name in _HASHABLE:
        column = exp.column(exp.to_identifier(name, quoted=True))
        is_hash = exp.RegexpLike(this=column.copy(), expression=exp.Literal.string(_SHA256_HEX))
        one = exp.Case().when(is_hash, exp.Literal.number(1)).else_(exp.Literal.number(0))
        hashed = exp.func("coalesce", exp.Sum(this=one), exp.Literal.number(0))
        counts.append(exp.alias_(exp.Count(this=column), f"{name}_all", quoted=True))
        counts.append(exp.alias_(exp.cast(hashed, "BIGINT"), f"{name}_hashed", quoted=True))
    return exp.select(*counts).from_(mapped.customers.subquery("mapped"))


def refuse_mixed(counts: Mapping[str, int]) -> None:
    """Raises FixConfiguration for the first identifier that is neither all plain nor all hashed."""
    for name in _HASHABLE:
        every, hashed = counts[f"{name}_all"], counts[f"{name}_hashed"]
        if 0 < hashed < every:
            raise FixConfiguration(
                f"tables.customers.{name}",
                f"{hashed:,} of its {every:,} values are hashed already and the others are plain",
                "Give one form in one column: best plain, which is hashed here as each platform wants it.",
            )
