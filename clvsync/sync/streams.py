"""What each kind of sync reads, keeps, values and compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from clvsync.config.sections import (
    Business,
    ConversionsSync,
    GoogleConversionsSync,
    MetaAudienceSync,
    Restate,
    Sync,
)
from clvsync.config.value_policy import ValuePolicy
from clvsync.plan import Rules, Tolerance
from clvsync.sync.frozen import constants, thresholds
from clvsync.sync.passes import Pass
from clvsync.sync.staging import Stage, Valuer
from clvsync.value.policies import Constants, values
from connectors.types import Destination

OVERLAP = timedelta(days=2)
"""How much further back than the platform takes events a run looks: what has just aged out is told."""

AS_IT_IS = Constants(scale=1.0, cap=None, customers=0)
"""Of members, whose value is their CLV."""


@dataclass(frozen=True, slots=True)
class Sent:
    """In what a sync's values are sent: a currency, and what one unit of it is worth in the business's."""

    currency: str
    rate: Decimal = Decimal(1)

    @classmethod
    def by(cls, policy: ValuePolicy, business: Business) -> Sent:
        code = policy.currency or business.currency
        return cls(code) if code == business.currency else cls(code, business.exchange_rates[code])


@dataclass(frozen=True, slots=True)
class Stream:
    """One sync's way from the source to the plan.

    `query(pass, in_clear, keys)` are its rows, `keys` alone where they are given.
    """

    stage: Stage
    rules: Rules
    query: Callable[..., Any]
    valuer: Callable[[Pass], Valuer]
    """Asked for once `staged` is there."""
    join: str
    """How a row of the plan finds its row of the query, called `clear`."""
    filter_by: str
    """The plan's column that holds the source's own key."""
    sent: Sent


def stream_of(one_pass: Pass, sync: Sync, destination: Destination) -> Stream:
    """The stream of a sync."""
    if isinstance(sync, ConversionsSync):
        return _conversions(one_pass, sync, destination)
    return _members(one_pass, sync, destination)


def _conversions(one_pass: Pass, sync: ConversionsSync, destination: Destination) -> Stream:
    from clvsync.customers import events

    restate = sync.restate if isinstance(sync, GoogleConversionsSync) else Restate()
    acquisition = sync.carries == "acquisition"
    by_site = sync.sent_by == "site"
    since = None
    if (reach := destination.capabilities.reach) is not None:
        wanted = max(reach, restate.within) if destination.capabilities.restates else reach
        since = one_pass.now - wanted - OVERLAP
    margin = float(one_pass.business.config.clv.margin)
    sent = Sent.by(sync.value, one_pass.business.config.business)

    def query(one_pass: Pass, *, in_clear: bool, keys: Sequence[str] | None) -> Any:
        return events.conversions(
            one_pass.mapped, sync.carries, one_pass.now, since=since, in_clear=in_clear, keys=keys
        )

    return Stream(
        stage=Stage(
            owner="customer_key",
            # An acquisition belongs to its customer: if its order is taken back and the next one becomes the
            # first, it is still the one acquisition, under the id that was sent.
            key="staged.customer_key" if acquisition else "staged.key",
            event_id="staged.key",
            worth="scores.total_clv" if acquisition else f"staged.business_value * {margin!r}",
            chosen="true",
            content=tuple(events.content_columns()),
        ),
        rules=Rules.of(
            destination.capabilities,
            Tolerance(relative=restate.after),
            restate=acquisition or by_site,
            restate_window=restate.within,
            restate_to_zero=restate.to_zero,
            sent_by_site=by_site,
        ),
        query=query,
        valuer=lambda one_pass: _policy(one_pass, sync, sent),
        join="plan.key = clear.customer_key" if acquisition else "plan.key = clear.key",
        filter_by="event_id" if acquisition else "key",
        sent=sent,
    )


def _members(one_pass: Pass, sync: MetaAudienceSync, destination: Destination) -> Stream:
    from clvsync.customers import members
    from clvsync.segments import conditions
    from clvsync.segments.definitions import definitions

    config = one_pass.business.config
    where = conditions.parse(f"sync {sync.name}", sync.where, definitions(config.segments))
    amounts = thresholds(one_pass, where.thresholds)
    enter, stay = where.enter(amounts), where.stay(amounts, float(config.membership.margin))
    known = "scores.customer_key IS NOT NULL"
    sent = Sent(config.business.currency)

    def query(one_pass: Pass, *, in_clear: bool, keys: Sequence[str] | None) -> Any:
        return members.members(one_pass.mapped, in_clear=in_clear, keys=keys)

    return Stream(
        stage=Stage(
            owner="key",
            key="staged.key",
            event_id="staged.key",
            worth="scores.residual_clv" if sync.value_based else "NULL",
            chosen=f"{known} AND ({enter})",
            content=tuple(members.content_columns()),
            stays=f"{known} AND ({stay})" if stay != enter else None,
        ),
        rules=Rules.of(destination.capabilities, Tolerance(relative=sync.tolerance)),
        query=query,
        valuer=lambda _: lambda worth, _: values(ValuePolicy(), AS_IT_IS, worth, sent.currency),
        join="plan.key = clear.key",
        filter_by="key",
        sent=sent,
    )


def _policy(one_pass: Pass, sync: ConversionsSync, sent: Sent) -> Valuer:
    """The policy with its constants, which are frozen the first time."""
    kept = constants(one_pass, sync)
    return lambda worth, stages: values(sync.value, kept, worth, sent.currency, rate=sent.rate, stages=stages)
