from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clvsync.clv import scoring
from clvsync.clv.first_order import FirstOrder
from clvsync.clv.model import SCORES, FittedModel, Floats, NotEnoughHistory
from clvsync.clv.repeat_purchases import RepeatPurchases
from clvsync.clv.scoring import Scorer
from connectors.types import Table
from tests.shop import clv
from tests.unit.clvsync.clv.summaries import END, any_summary, simulated, summary, terms

SIMULATED = simulated(3000)
SCORER = scoring.fit(clv(), SIMULATED, terms())


def values(table: Table, name: str) -> Floats:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)


def test_each_model_speaks_for_its_own() -> None:
    scored = SCORER.score(SIMULATED, END)
    repeats = values(SIMULATED, "repeat_days")
    assert scored["customer_key"].to_pylist() == SIMULATED["customer_key"].to_pylist()
    assert {*np.array(scored["basis"].to_pylist())[repeats == 0]} == {"first_order"}
    assert {*np.array(scored["basis"].to_pylist())[repeats > 0]} == {"bgnbd"}
    alive = scored["probability_alive"]
    assert alive.filter(pa.array(repeats == 0)).null_count == int((repeats == 0).sum())
    assert alive.filter(pa.array(repeats > 0)).null_count == 0


@settings(deadline=None)
@given(any_summary(), st.integers(0, 800))
def test_scores_are_never_negative_nor_nan(table: Table, days: int) -> None:
    scored = SCORER.score(table, END + timedelta(days=days))
    assert scored.schema == SCORES
    for name in ("total_clv", "residual_clv", "realised_value"):
        assert scored[name].null_count == 0
        assert np.isfinite(values(scored, name)).all()
        assert (values(scored, name) >= 0).all()
    assert (values(scored, "total_clv") >= values(scored, "realised_value")).all()
    known = scored["probability_alive"].drop_null().to_pylist()
    assert all(0 <= probability <= 1 for probability in known)


@settings(deadline=None)
@given(any_summary())
def test_total_becomes_realised_as_the_horizon_closes(table: Table) -> None:
    for model in (SCORER.acquisition, SCORER.existing):
        closed = model.score(table, END + timedelta(days=365))
        assert values(closed, "total_clv").tolist() == values(closed, "realised_value").tolist()


@settings(deadline=None, max_examples=30)
@given(any_summary(), st.integers(0, 11))
def test_a_score_does_not_depend_on_who_else_is_scored(table: Table, row: int) -> None:
    together = SCORER.score(table, END).slice(row, 1).to_pylist()
    alone = SCORER.score(table.slice(row, 1), END).to_pylist()
    for one, other in zip(together, alone, strict=True):
        for name in SCORES.names:
            assert one[name] == (
                pytest.approx(other[name], rel=1e-12) if isinstance(other[name], float) else other[name]
            )


def test_silence_lowers_and_a_purchase_raises() -> None:
    first = date(2025, 6, 1)
    silent = summary(first_day=[first], last_day=[first + timedelta(days=20)], repeat_days=[2])
    bought = summary(first_day=[first], last_day=[first + timedelta(days=60)], repeat_days=[3])
    at = END.replace(month=6, day=21)
    totals = [SCORER.score(silent, at + timedelta(days=days))["total_clv"][0].as_py() for days in range(60)]
    assert totals == sorted(totals, reverse=True)
    later = at + timedelta(days=40)
    assert SCORER.score(bought, later)["total_clv"][0].as_py() > totals[39]


def test_remainder_is_discounted_to_the_acquisition_and_residual_to_now() -> None:
    first = END.date() - timedelta(days=300)
    table = summary(first_day=[first], last_day=[END.date()], repeat_days=[5])
    dear = RepeatPurchases().fit(SIMULATED, terms(discount_rate=0.1))
    free = replace(dear, terms=terms(discount_rate=0.0))

    def remainder(model: FittedModel) -> float:
        scored = model.score(table, END)
        return float(scored["total_clv"][0].as_py() - scored["realised_value"][0].as_py())

    ratio = remainder(dear) / remainder(free)
    assert 1.1 ** (-365 / 365) < ratio < 1.1 ** (-300 / 365)
    residual = (
        dear.score(table, END)["residual_clv"][0].as_py() / free.score(table, END)["residual_clv"][0].as_py()
    )
    assert 1.1**-1 < residual < 1


def test_on_average_the_total_was_right() -> None:
    """Customers simulated for 104 weeks: what was expected after each one's first day, against what came."""
    table = simulated(20_000, seed=9)
    model = FirstOrder().fit(table, terms(discount_rate=0.0, horizon=timedelta(days=364)))
    born = summary(
        first_day=table["first_day"].to_pylist(),
        last_day=table["first_day"].to_pylist(),
        repeat_days=[0] * table.num_rows,
        first_order_value=values(table, "first_order_value"),
    )
    mature = np.array([(END.date() - day).days >= 364 for day in table["first_day"].to_pylist()])
    assert mature.all()
    expected = values(born, "first_day_margin") + model.remainder_at_acquisition(born)
    came = values(table, "realised_value")
    assert expected.sum() == pytest.approx(came.sum(), rel=0.02)


def test_kept_as_json_it_scores_the_same() -> None:
    again = Scorer.from_json(json.loads(json.dumps(SCORER.to_json())))
    assert again.version == SCORER.version
    assert again.score(SIMULATED, END).equals(SCORER.score(SIMULATED, END))


def test_version_changes_with_terms_and_with_parameters() -> None:
    versions = {
        SCORER.version,
        scoring.fit(clv(), SIMULATED, terms(margin=0.4)).version,
        scoring.fit(clv(), SIMULATED, terms(horizon=timedelta(days=180))).version,
        scoring.fit(clv(), SIMULATED.slice(0, 2000), terms()).version,
    }
    assert len(versions) == 4


def test_refunds_lower_what_is_still_expected() -> None:
    revenue = pa.array(values(SIMULATED, "revenue") * 0.8).cast(pa.decimal128(18, 4), safe=False)
    refunded = SIMULATED.set_column(SIMULATED.column_names.index("revenue"), "revenue", revenue)
    model = scoring.fit(clv(), refunded, terms()).existing
    before = values(SCORER.existing.score(SIMULATED, END), "residual_clv")
    assert values(model.score(SIMULATED, END), "residual_clv") == pytest.approx(before * 0.8, rel=1e-6)


def test_batches_score_like_the_whole() -> None:
    batches = list(SCORER.score_batches(SIMULATED.to_batches(max_chunksize=700), END))
    assert len(batches) == 5
    assert pa.concat_tables(batches).equals(SCORER.score(SIMULATED, END))


def test_the_column_model_takes_the_sources_own() -> None:
    table = summary(
        first_day=[END.date()] * 3,
        last_day=[END.date()] * 3,
        repeat_days=[0, 0, 0],
        total_clv=[100.0, -5.0, None],
        residual_clv=[50.0, None, float("nan")],
    )
    scorer = scoring.fit(clv(acquisition="column", existing="column"), table, terms())
    scored = scorer.score(table, END)
    assert scored["total_clv"].to_pylist() == [100.0, 0.0, None]
    assert scored["residual_clv"].to_pylist() == [50.0, None, None]
    assert set(scored["basis"].to_pylist()) == {"column"}
    assert Scorer.from_json(scorer.to_json()).score(table, END).equals(scored)


def test_a_shop_without_repeat_purchases_is_told() -> None:
    table = simulated(200).filter(pa.array(values(simulated(200), "repeat_days") == 0))
    with pytest.raises(NotEnoughHistory, match="only 0 customers have bought on a second day"):
        scoring.fit(clv(), table, terms())
