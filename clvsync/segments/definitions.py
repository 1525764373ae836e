"""The segments that clvsync knows by name."""

from __future__ import annotations

from collections.abc import Mapping

BUILT_IN: Mapping[str, str] = {
    "vip": "residual_clv >= p90 and orders >= 3",
    "future_vip": "residual_clv >= p90 and orders <= 2",
    "at_risk": "realised_value >= p80 and probability_alive < 0.5 and probability_alive >= 0.1",
    "lapsed": "probability_alive < 0.1 or (probability_alive is null and days_since_last_order > 365)",
    "one_time": "orders = 1",
    "low_value": "total_clv < p20",
    "tier_1": "total_clv >= p80",
    "tier_2": "total_clv < p80 and total_clv >= p60",
    "tier_3": "total_clv < p60 and total_clv >= p40",
    "tier_4": "total_clv < p40 and total_clv >= p20",
    "tier_5": "total_clv < p20",
}
"""`vip` and `future_vip`: the tenth of whom most is still expected, proven and not yet. `at_risk`: much is
realised, and the probability alive has fallen (a purchase lifts it, silence alone lowers it). `tier_1` to
`tier_5`: fifths by total CLV, the highest first."""


def definitions(configured: Mapping[str, str]) -> Mapping[str, str]:
    """Every segment's condition by name: the configured ones, then clvsync's own that they do not replace."""
    return {**configured, **{name: text for name, text in BUILT_IN.items() if name not in configured}}
