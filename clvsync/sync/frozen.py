"""What is taken from everyone once and then kept in the ledger: value policies' constants, and the amounts
behind the percentiles of conditions.

Taken anew on every run they would move everyone a little every day without news. A pass over one customer
takes nothing: it is told what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from clvsync.config.sections import ConversionsSync
from clvsync.ledger import Model
from clvsync.segments.conditions import Amounts, Threshold
from clvsync.sync.passes import Pass
from clvsync.value.policies import Constants, freeze
from connectors.errors import FixConfiguration

_COHORT_DAYS = 365
_SMALLEST_COHORT = 100
_EVERYONE = 2**31 - 1

_SEGMENTS = "segments"


class NotFrozen(FixConfiguration):
    """What a run takes from everyone has not been taken yet."""


def constants(one_pass: Pass, sync: ConversionsSync) -> Constants:
    """The constants of a sync's value policy: those kept or, the first time and after a change of the policy,
    frozen now and kept.

    The cohort is everyone acquired within a year or, where that is too few to tell, everyone; for increments,
    the rows at hand.
    """
    ledger, name = one_pass.business.ledger, _kept_as(sync)
    wanted = _wanted(sync)
    kept = ledger.current_model(name)
    if kept is not None and _policy_of(kept) == wanted:
        return Constants.from_json(kept.parameters["constants"])
    if one_pass.customer is not None:
        raise NotFrozen(
            f"sync {sync.name}",
            "nothing has been taken from its customers yet for the value policy that it has now",
            f"Run or preview it: clvsync preview {sync.name}",
        )
    worth, revenue = _cohort(one_pass, sync)
    found = freeze(sync.value, worth, revenue)
    if found.customers:
        parameters = {"policy": wanted, "constants": found.to_json()}
        ledger.save_model(
            Model(name, _version(one_pass.now), one_pass.now, parameters, customers=found.customers)
        )
    return found


def constants_at(one_pass: Pass, sync: ConversionsSync, moment: datetime) -> Constants | None:
    """The constants in force at a moment, if they are of the policy that the sync has now."""
    earlier = [kept for kept in one_pass.business.ledger.models(_kept_as(sync)) if kept.fitted_at <= moment]
    if not earlier or _policy_of(earlier[0]) != _wanted(sync):
        return None
    return Constants.from_json(earlier[0].parameters["constants"])


def _kept_as(sync: ConversionsSync) -> str:
    return f"value/{sync.name}"


def _wanted(sync: ConversionsSync) -> dict[str, Any]:
    """What the constants depend on. Keys that say nothing are left out, so that a new one changes nothing."""
    said = sync.value.model_dump(mode="json", exclude_none=True, exclude={"currency", "round_to"})
    return said | {"acquisition": sync.carries == "acquisition"}


def _policy_of(kept: Model) -> dict[str, Any]:
    return {name: value for name, value in kept.parameters["policy"].items() if value is not None}


def _version(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S%f}"


def _cohort(one_pass: Pass, sync: ConversionsSync) -> tuple[Any, Any]:
    """Worth and revenue of the cohort's conversions."""
    if sync.carries != "acquisition":
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
    found = one_pass.workspace.execute(statement, {"days": _COHORT_DAYS}).fetchnumpy()
    if len(found["worth"]) < _SMALLEST_COHORT:
        found = one_pass.workspace.execute(statement, {"days": _EVERYONE}).fetchnumpy()
    return np.asarray(found["worth"], dtype=np.float64), np.asarray(found["revenue"], dtype=np.float64)


def thresholds(one_pass: Pass, wanted: Sequence[Threshold]) -> Amounts:
    """The amount of each percentile, over everyone who is scored: as kept, or taken now where there is none,
    where it is older than `membership.thresholds`, or where what a CLV means has changed.

    They are the business's, not a sync's: `residual_clv >= p90` is the same people in every audience, list
    and export.
    """
    business = one_pass.business
    clv = business.config.clv.model_dump(mode="json", include={"horizon", "margin", "discount_rate"})
    kept = business.ledger.current_model(_SEGMENTS)
    held: dict[str, Any] = (
        dict(kept.parameters["thresholds"]) if kept and kept.parameters["clv"] == clv else {}
    )
    oldest = one_pass.now - business.config.membership.thresholds
    alone = one_pass.customer is not None
    missing = [
        threshold
        for threshold in wanted
        if str(threshold) not in held
        or (not alone and datetime.fromisoformat(held[str(threshold)]["taken_at"]) <= oldest)
    ]
    if missing and alone:
        raise NotFrozen(
            "segments",
            f"the amount behind {missing[0]} has not been taken yet",
            "Take it: clvsync segments list",
        )
    taken = {str(threshold): _percentile(one_pass, threshold) for threshold in missing}
    found = {name: amount for name, amount in taken.items() if amount is not None}
    if found:
        taken_at = one_pass.now.isoformat()
        held |= {name: {"amount": amount, "taken_at": taken_at} for name, amount in found.items()}
        customers = one_pass.workspace.execute("SELECT count(*) FROM scores").fetchone()[0]
        parameters = {"clv": clv, "thresholds": held}
        business.ledger.save_model(
            Model(_SEGMENTS, _version(one_pass.now), one_pass.now, parameters, customers=customers)
        )
    return {
        threshold: taken.get(str(threshold), held.get(str(threshold), {}).get("amount"))
        for threshold in wanted
    }


def _percentile(one_pass: Pass, threshold: Threshold) -> float | None:
    """Linear between neighbours; None where nobody has the column."""
    amount: float | None = one_pass.workspace.execute(
        f'SELECT quantile_cont(CAST("{threshold.column}" AS DOUBLE), {threshold.share!r}) FROM scores'
    ).fetchone()[0]
    return amount
