"""What each kind of sync reads, keeps, values and compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from clvsync.config.sections import (
    ConversionsSync,
    GoogleConversionsSync,
    MetaAudienceSync,
    Restate,
    Sync,
    ValuePolicy,
)
from clvsync.ledger import Model
from clvsync.plan import Rules, Tolerance
from clvsync.sync.passes import Pass
from clvsync.sync.staging import Stage, Valuer
from clvsync.value.policies import Constants, freeze, values
from connectors.types import Destination

OVERLAP = timedelta(days=2)
"""How much further back than the platform takes events a run looks: what has just aged out is told."""

_COHORT = timedelta(days=365)
_SMALLEST_COHORT = 100


@dataclass(frozen=True, slots=True)
class Stream:
    """One sync's way from the source to the plan.

    `query(pass, in_clear, keys)` are its rows, `keys` alone where they are given.
    """

    stage: Stage
    rules: Rules
    query: Callable[..., Any]
    valuer: Callable[[Pass], Valuer]
    join: str
    """How a row of the plan finds its row of the query, called `clear`."""
    filter_by: str
    """The plan's column that holds the source's own key."""


def stream_of(one_pass: Pass, sync: Sync, destination: Destination) -> Stream:
    """The stream of a sync."""
    if isinstance(sync, ConversionsSync):
        return _conversions(one_pass, sync, destination)
    return _members(sync, destination)


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
        valuer=lambda one_pass: _policy(one_pass, sync.name, sync.value, acquisition=acquisition),
        join="plan.key = clear.customer_key" if acquisition else "plan.key = clear.key",
        filter_by="event_id" if acquisition else "key",
    )


def _members(sync: MetaAudienceSync, destination: Destination) -> Stream:
    from clvsync.customers import members
    from clvsync.segments.conditions import condition

    chosen = condition(sync.name, sync.where, "scores").sql(dialect="duckdb")

    def query(one_pass: Pass, *, in_clear: bool, keys: Sequence[str] | None) -> Any:
        return members.members(one_pass.mapped, in_clear=in_clear, keys=keys)

    policy = ValuePolicy()
    return Stream(
        stage=Stage(
            owner="key",
            key="staged.key",
            event_id="staged.key",
            worth="scores.residual_clv" if sync.value_based else "NULL",
            chosen=f"scores.customer_key IS NOT NULL AND ({chosen})",
            content=tuple(members.content_columns()),
        ),
        rules=Rules.of(destination.capabilities, Tolerance(relative=sync.tolerance)),
        query=query,
        valuer=lambda one_pass: _plain(policy, one_pass.business.config.business.currency),
        join="plan.key = clear.key",
        filter_by="key",
    )


def _plain(policy: ValuePolicy, currency: str) -> Valuer:
    return lambda worth: values(policy, Constants(1.0, None, 0), worth, currency)


def _policy(one_pass: Pass, name: str, policy: ValuePolicy, *, acquisition: bool) -> Valuer:
    """The policy with its constants: those kept in the ledger or, the first time, frozen and kept.

    The cohort is everyone acquired within a year or, where that is too few to tell, everyone.
    """
    ledger, config = one_pass.business.ledger, one_pass.business.config
    kept_as = f"value/{name}"
    wanted = policy.model_dump(mode="json") | {"acquisition": acquisition}
    kept = ledger.current_model(kept_as)
    if kept is not None and kept.parameters["policy"] == wanted:
        constants = Constants.from_json(kept.parameters["constants"])
    else:
        worth, revenue = _cohort(one_pass, acquisition=acquisition)
        constants = freeze(policy, worth, revenue)
        parameters = {"policy": wanted, "constants": constants.to_json()}
        ledger.save_model(
            Model(
                kept_as,
                f"{one_pass.now:%Y%m%dT%H%M%S%f}",
                one_pass.now,
                parameters,
                customers=constants.customers,
            )
        )
    return lambda worth: values(policy, constants, worth, config.business.currency)


def _cohort(one_pass: Pass, *, acquisition: bool) -> tuple[Any, Any]:
    if not acquisition:
        margin = float(one_pass.business.config.clv.margin)
        found = one_pass.workspace.execute(
            "SELECT CAST(business_value AS DOUBLE) AS revenue FROM staged WHERE business_value IS NOT NULL"
        ).fetchnumpy()
        revenue = np.asarray(found["revenue"], dtype=np.float64)
        return revenue * margin, revenue
    statement = """
        SELECT total_clv AS worth, CAST(coalesce(first_order_value, 0) AS DOUBLE) AS revenue FROM scores
        WHERE total_clv IS NOT NULL AND days_since_first_order <= $days
    """
    found = one_pass.workspace.execute(statement, {"days": _COHORT.days}).fetchnumpy()
    if len(found["worth"]) < _SMALLEST_COHORT:
        found = one_pass.workspace.execute(statement, {"days": 2**31 - 1}).fetchnumpy()
    return np.asarray(found["worth"], dtype=np.float64), np.asarray(found["revenue"], dtype=np.float64)
