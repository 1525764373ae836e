from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings

from clvsync.clv.historical import Average, FittedAverage, FittedHistorical, Historical
from clvsync.clv.model import FittedModel, NotEnoughHistory
from connectors.types import Table
from tests.unit.clvsync.clv.summaries import END, any_summary, simulated, summary, terms

FREE = terms(discount_rate=0.0)


def customer(age: int, purchases: int) -> Table:
    first = END.date() - timedelta(days=age)
    return summary(first_day=[first], last_day=[END.date()], repeat_days=[purchases - 1])


def score(model: FittedModel, table: Table, name: str) -> float:
    return float(model.score(table, END)[name][0].as_py())


def test_the_past_rate_is_carried_on() -> None:
    model = Historical().fit(customer(146, 4), FREE)
    # 4 purchases of 20 at a margin of one half in 146 days: 0.274 a day.
    assert score(model, customer(146, 4), "residual_clv") == pytest.approx(40 / 146 * 365)
    assert score(model, customer(146, 4), "total_clv") == pytest.approx(40 + 40 / 146 * (365 - 146))
    assert score(model, customer(0, 1), "residual_clv") == pytest.approx(10 / 90 * 365)


def test_the_average_is_profit_a_year_times_years_capped_by_the_horizon() -> None:
    table = customer(365, 4)
    assert score(Average(3.0).fit(table, FREE), table, "residual_clv") == pytest.approx(40)
    assert score(Average(1.25).fit(table, FREE), table, "residual_clv") == pytest.approx(10)
    assert score(Average(3.0).fit(table, FREE), customer(265, 1), "total_clv") == pytest.approx(
        10 + 40 * 100 / 365
    )


def test_an_average_needs_time_observed() -> None:
    with pytest.raises(NotEnoughHistory):
        Average(2.0).fit(customer(0, 1), FREE)


MODELS: list[FittedModel] = [FittedHistorical(terms()), Average(2.0).fit(simulated(300), terms())]


@settings(deadline=None, max_examples=30)
@given(any_summary())
def test_scores_are_never_negative_and_close_with_the_horizon(table: Table) -> None:
    for model in MODELS:
        scored = model.score(table, END)
        for name in ("total_clv", "residual_clv"):
            values = np.asarray(scored[name].to_numpy())
            assert np.isfinite(values).all()
            assert (values >= 0).all()
        closed = model.score(table, END + timedelta(days=365))
        assert closed["total_clv"].to_pylist() == pytest.approx(closed["realised_value"].to_pylist())


def test_kept_as_json_they_are_the_same() -> None:
    assert FittedHistorical.from_json(MODELS[0].to_json()) == MODELS[0]
    assert FittedAverage.from_json(MODELS[1].to_json()) == MODELS[1]
