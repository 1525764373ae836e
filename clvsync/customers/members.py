"""The query of audience members: one row per customer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from clvsync.customers.expressions import (
    ascending,
    column,
    is_among,
    named,
    number,
    row_number,
)
from clvsync.customers.mapping import Mapped
from clvsync.customers.personal import digest, selected, selected_names
from connectors.types import IDENTITY_COLUMNS

CONSENT_COLUMNS = ("ad_user_data", "ad_personalization")


def members(mapped: Mapped, *, in_clear: bool = False, keys: Sequence[str] | None = None) -> exp.Select:
    """key (the customer's), ad_user_data, ad_personalization, then the IDENTITY_COLUMNS in clear or, not in
    clear, has_<name> for each and personal_digest.

    Test customers and those whom the configuration's `where` leaves out are not in it. `keys`: these alone.
    """
    only = is_among(column("customer_key"), keys) if keys is not None else None
    return (
        exp.select(
            named(column("customer_key"), "key"),
            *(column(name) for name in CONSENT_COLUMNS),
            *selected(IDENTITY_COLUMNS, in_clear=in_clear),
        )
        .from_(one_row_each(mapped, only).subquery("customer"))
        .where(column("standing").eq(number(1)))
    )


def content_columns() -> list[str]:
    """The columns of `members`, not in clear, whose change makes a member another one to send."""
    return [*CONSENT_COLUMNS, *selected_names(IDENTITY_COLUMNS)]


def one_row_each(mapped: Mapped, only: exp.Expression | None) -> exp.Select:
    """The mapped customers (those whom the condition `only` keeps), one row for each, with their `standing`.

    Where the source has several, a row that `where` keeps comes first, then a test row (it makes a test
    customer), then one without consent, then the lowest digest: always the same one.
    """
    order = [column("standing"), *(column(name) for name in CONSENT_COLUMNS), digest(IDENTITY_COLUMNS)]
    ranked = exp.select(
        exp.Star(), named(row_number([column("customer_key")], [ascending(each) for each in order]), "place")
    ).from_(mapped.customers.subquery("mapped"))
    if only is not None:
        ranked = ranked.where(only)
    return exp.select(exp.Star()).from_(ranked.subquery("ranked")).where(column("place").eq(number(1)))
