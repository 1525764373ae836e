"""The section `value` of a sync."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from clvsync.config.section import Currency, Section
from clvsync.config.units import Limit, Percentile, Share


class Tier(Section):
    """Everyone from `at_least` up to the next tier is worth `value`."""

    at_least: Limit | None = Field(
        default=None,
        description="A CLV, or a percentile of it such as p80. Absent in the first tier alone, which "
        "everyone else is in.",
    )
    value: Annotated[Decimal, Field(ge=0)] = Field(description="In the business's currency.")


class StageValue(Section):
    """What a lead at a stage is worth: an amount, or a probability of winning that multiplies its CLV."""

    value: Annotated[Decimal, Field(ge=0)] | None = Field(
        default=None, description="In the business's currency."
    )
    probability: Annotated[Share, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> StageValue:
        if (self.value is None) == (self.probability is None):
            raise ValueError("give either a value or a probability")
        return self


class ValuePolicy(Section):
    """From CLV to the value sent: by the policy, × factor, at most the cap, at least the floor, converted,
    rounded."""

    policy: Literal["clv", "scaled", "tiers", "stage"] = Field(
        default="clv",
        description="clv: CLV as it is. scaled: CLV × k, so that the sum stays that of first orders. "
        "tiers: one value for each band of CLV. stage: by how far a lead has come.",
    )
    factor: Annotated[Decimal, Field(gt=0)] = Decimal(1)
    floor: Annotated[Decimal, Field(ge=0)] = Field(
        default=Decimal(0), description="In the business's currency."
    )
    cap: Limit | None = Field(
        default=None, description="A percentile such as p99, or an amount in the business's currency."
    )
    tiers: list[Tier] | None = Field(default=None, description="For the policy `tiers`, the lowest first.")
    stages: dict[str, StageValue] | None = Field(
        default=None, description="For the policy `stage`: by the name that tables.orders.stage has."
    )
    currency: Currency | None = Field(
        default=None, description="What to send in, by business.exchange_rates. Absent: the business's own."
    )
    round_to: Annotated[Decimal, Field(gt=0, decimal_places=4)] | None = Field(
        default=None, description="In the currency sent. Absent: its smallest unit."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ValuePolicy:
        for policy, name, given in (("tiers", "tiers", self.tiers), ("stage", "stages", self.stages)):
            if self.policy == policy and not given:
                raise ValueError(f"the policy `{policy}` needs `{name}`")
            if self.policy != policy and given is not None:
                raise ValueError(f"`{name}` is for the policy `{policy}`, and this is `{self.policy}`")
        if self.policy in ("tiers", "stage") and isinstance(self.cap, Percentile):
            raise ValueError(f"with the policy `{self.policy}` the cap has to be an amount")
        if isinstance(self.cap, Decimal) and self.cap < self.floor:
            raise ValueError(f"the cap {self.cap} is below the floor {self.floor}")
        if self.tiers:
            _ascending(self.tiers)
        if self.stages and len({name.strip().lower() for name in self.stages}) < len(self.stages):
            raise ValueError("two stages differ in upper and lower case alone")
        return self


def _ascending(tiers: list[Tier]) -> None:
    limits = [tier.at_least for tier in tiers[1:] if tier.at_least is not None]
    if tiers[0].at_least is not None or len(limits) < len(tiers) - 1:
        raise ValueError(
            "every tier but the first has to say at_least, and the first, for everyone else, not"
        )
    if len({type(limit) for limit in limits}) > 1:
        raise ValueError("give the tiers' at_least either all as amounts or all as percentiles")
    sizes = [limit.share if isinstance(limit, Percentile) else limit for limit in limits]
    if any(later <= earlier for earlier, later in pairwise(sizes)):
        raise ValueError("each tier's at_least has to be above that of the tier before")
    worths = [tier.value for tier in tiers]
    if worths != sorted(worths):
        raise ValueError("a higher tier cannot be worth less than a lower one")
