"""Tried on the past: who is judged on what, and by what they are judged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clvsync.clv.backtest import (
    KNOWN_AT_ACQUISITION,
    Group,
    Past,
    Quality,
    Trial,
    at_acquisition,
    backtest,
)
from clvsync.clv.candidates import NAIVE, FirstOrderValue, can_be_tried, configured, fit_all
from clvsync.clv.model import NotEnoughHistory, ages, numbers
from clvsync.customers.summary import SUMMARY
from connectors.types import Table
from tests.shop import clv
from tests.unit.clvsync.clv.summaries import END, any_summary, simulated, summary, terms

WINDOW = terms(horizon=timedelta(days=180), discount_rate=0.0)
SIMULATED = simulated(1_500)
AFTER_THE_FIRST_DAY = {
    "last_order_at",
    "last_day",
    "orders",
    "purchase_days",
    "repeat_days",
    "unvalued_orders",
    "revenue",
    "purchases_value",
    "repeat_revenue",
    "mean_repeat_value",
    "realised_value",
    "total_clv",
    "residual_clv",
}


def test_of_every_column_it_is_said_whether_the_first_day_knows_it() -> None:
    """A new column of SUMMARY has to be put on one side or the other; on none, it could leak the future."""
    assert set(SUMMARY.names) == set(KNOWN_AT_ACQUISITION) | AFTER_THE_FIRST_DAY


def test_features_of_the_first_order_are_kept() -> None:
    table = SIMULATED.append_column("feature_coupon", pa.array(["none"] * SIMULATED.num_rows))
    assert at_acquisition(table, WINDOW)["feature_coupon"].equals(table["feature_coupon"])


@given(any_summary())
@settings(max_examples=25, deadline=None)
def test_the_first_day_knows_nothing_of_the_rest(table: Table) -> None:
    then = at_acquisition(table, WINDOW)
    assert then.schema == table.schema
    assert then["last_day"].equals(then["first_day"])
    assert set(then["repeat_days"].to_pylist()) == {0}
    assert then["mean_repeat_value"].null_count == then.num_rows
    assert then["realised_value"].equals(table["first_day_margin"])
    # Whatever came later, it looks the same.
    others = np.random.default_rng(0).permutation(table.num_rows)
    elsewhere = table
    for name in sorted(AFTER_THE_FIRST_DAY):
        place = elsewhere.column_names.index(name)
        shuffled = elsewhere[name].take(pa.array(others))
        elsewhere = elsewhere.set_column(place, table.schema.field(name), shuffled)
    assert at_acquisition(elsewhere, WINDOW).equals(then)


def test_new_customers_are_scored_as_on_their_first_day() -> None:
    first = WINDOW.day(END) + timedelta(days=30)
    later = summary(
        first_day=[first, first],
        last_day=[first, first + timedelta(days=90)],
        repeat_days=[0, 5],
        channel=["google", "google"],
    )
    then = at_acquisition(later, WINDOW)
    assert ages(then, END, WINDOW).tolist() == [0, 0]
    models, _ = fit_all(clv(), SIMULATED, WINDOW)
    for name, model in models.items():
        one, other = numbers(model.score(then, END), "total_clv")
        assert one == pytest.approx(other), name


def past(came: Any = None, acquired: Table | None = None) -> Past:
    brought = np.zeros(SIMULATED.num_rows) if came is None else came
    return Past(WINDOW, SIMULATED, brought, SUMMARY.empty_table() if acquired is None else acquired)


def test_each_model_is_judged_in_each_group_that_has_anybody() -> None:
    models, left_out = fit_all(clv(), SIMULATED, WINDOW)
    assert left_out == {}
    assert list(models) == [configured(clv()), "bgnbd", *NAIVE]
    trials = backtest(models, past(acquired=SIMULATED.slice(0, 40)))
    by_group = {group: [trial for trial in trials if trial.group is group] for group in Group}
    for own in by_group.values():
        assert [trial.model for trial in own] == list(models)
    new = int((numbers(SIMULATED, "repeat_days") < 1).sum())
    rows = {Group.ALL: SIMULATED.num_rows, Group.NEW: new, Group.ACQUIRED: 40}
    assert {(trial.group, len(trial.predicted), len(trial.actual)) for trial in trials} == {
        (group, count, count) for group, count in rows.items()
    }
    assert Group.ACQUIRED not in {trial.group for trial in backtest(models, past())}


def test_what_is_predicted_is_what_is_sent_for() -> None:
    """Residual CLV for those who are known, total CLV for those who are won; both within the window."""
    models, _ = fit_all(clv(), SIMULATED, WINDOW)
    mine = configured(clv())
    everyone, _, acquired = backtest({mine: models[mine]}, past(acquired=SIMULATED))
    scored = models[mine].score(SIMULATED, END)
    assert np.allclose(everyone.predicted, numbers(scored, "residual_clv"))
    total = numbers(models[mine].score(at_acquisition(SIMULATED, WINDOW), END), "total_clv")
    assert np.allclose(acquired.predicted, total)
    assert np.allclose(acquired.actual, numbers(SIMULATED, "realised_value"))
    assert (acquired.predicted >= numbers(SIMULATED, "first_day_margin") - 1e-9).all()


def test_customers_who_behave_as_the_models_say_are_predicted_without_bias() -> None:
    """Two years of simulated people, cut half a year before the end."""
    people = list(simulated_people(4_000))
    half_a_year = timedelta(days=182)
    window = terms(as_of=END - half_a_year, horizon=half_a_year, discount_rate=0.0)
    early, revenue = seen_until(people, 730 - half_a_year.days)
    _, later = seen_until(people, 730)
    came = np.array([later[key] - before for key, before in revenue.items()])
    models, _ = fit_all(clv(), early, window)
    trials = backtest(models, Past(window, early, came * window.margin, SUMMARY.empty_table()))
    found = {trial.model: Quality.of([trial]) for trial in trials if trial.group is Group.ALL}
    own = found[configured(clv())]
    assert own.bias == pytest.approx(0.0, abs=0.1)
    assert own.gini is not None
    for naive in ("average", "historical"):
        rival = found[naive]
        assert abs(rival.bias or 0.0) > 0.3
        assert (rival.gini or 0.0) < own.gini


def test_the_first_order_multiple_is_learned_from_those_whose_horizon_has_passed() -> None:
    day = WINDOW.day(END)
    table = summary(
        first_day=[day - timedelta(days=400), day - timedelta(days=10)],
        last_day=[day - timedelta(days=400), day - timedelta(days=10)],
        repeat_days=[0, 0],
        first_day_margin=[10.0, 10.0],
        realised_value=[25.0, 10.0],
    )
    fitted = FirstOrderValue().fit(table, WINDOW)
    assert fitted.more == pytest.approx(1.5)
    assert numbers(fitted.score(table, END), "total_clv").tolist() == pytest.approx([40.0, 25.0])
    assert fitted.from_json(fitted.to_json()) == fitted
    young = FirstOrderValue().fit(table.slice(1), WINDOW)
    assert young.more == pytest.approx(0.0)


def test_who_cannot_be_fitted_is_left_out_with_the_reason() -> None:
    models, left_out = fit_all(clv(), SIMULATED.slice(0, 60), WINDOW)
    assert "first_order" in left_out[configured(clv())]
    assert set(NAIVE) <= set(models)
    assert configured(clv()) not in models
    with pytest.raises(NotEnoughHistory):
        FirstOrderValue().fit(summary(first_day=[], last_day=[], repeat_days=[]), WINDOW)


def test_a_column_cannot_be_tried() -> None:
    assert can_be_tried(clv())
    assert not can_be_tried(clv(acquisition="column", existing="column"))
    assert configured(clv(acquisition="column", existing="column")) == "column"


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-100, 1e6)), min_size=1, max_size=40))
def test_figures_survive_the_ledger(pairs: list[tuple[float, float]]) -> None:
    predicted, actual = (np.array(side) for side in zip(*pairs, strict=True))
    half = len(pairs) // 2
    parts = [
        Trial("m", Group.ALL, predicted[place], actual[place]) for place in (slice(half), slice(half, None))
    ]
    found = Quality.of(parts)
    assert found == Quality.of([Trial("m", Group.ALL, predicted, actual)])
    assert Quality.from_json(found.to_json()) == found
    assert found.customers == len(pairs)
    assert found.buyers == sum(came > 0 for _, came in pairs)
    assert sum(rows for rows, _, _ in found.tenths) == len(pairs)
    assert sum(rows * told for rows, told, _ in found.tenths) == pytest.approx(found.predicted)


def simulated_people(count: int) -> Iterator[list[tuple[int, float]]]:
    """Purchases (day of 730, value), each person's first on a day of the first year, as BG/NBD and
    Gamma-Gamma say."""
    random = np.random.default_rng(11)
    for _ in range(count):
        day = float(random.integers(0, 365))
        rate, leaves = random.gamma(0.4, 1 / 6.0) / 7, random.beta(0.8, 2.5)
        scale = 1 / random.gamma(4.0, 1 / 15.0)
        bought = [(int(day), random.gamma(6.0) * scale)]
        while (day := day + random.exponential(1 / rate)) < 730:
            if int(day) > bought[-1][0]:
                bought.append((int(day), random.gamma(6.0) * scale))
            if random.random() < leaves:
                break
        yield bought


def seen_until(people: list[list[tuple[int, float]]], day: int) -> tuple[Table, dict[str, float]]:
    """SUMMARY of the purchases up to a day of 730, the last of which is END's, and revenue by key."""
    start = END.date() - timedelta(days=730)
    known = {f"c{index}": [each for each in own if each[0] <= day] for index, own in enumerate(people)}
    known = {key: own for key, own in known.items() if own}
    later = {key: [value for _, value in own[1:]] for key, own in known.items()}
    table = summary(
        customer_key=list(known),
        first_day=[start + timedelta(days=own[0][0]) for own in known.values()],
        last_day=[start + timedelta(days=own[-1][0]) for own in known.values()],
        repeat_days=[len(values) for values in later.values()],
        first_order_value=[own[0][1] for own in known.values()],
        mean_repeat_value=[float(np.mean(values)) if values else 0.0 for values in later.values()],
    )
    return table, {key: sum(value for _, value in own) for key, own in known.items()}
