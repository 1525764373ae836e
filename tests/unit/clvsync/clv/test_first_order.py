from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from clvsync.clv.first_order import FirstOrder, FittedFirstOrder, _credible
from clvsync.clv.model import NotEnoughHistory
from connectors.types import Table
from tests.unit.clvsync.clv.summaries import END, simulated, summary, terms

MATURE = END.date() - timedelta(days=400)


def new_customers(**columns: list[object]) -> Table:
    rows = len(next(iter(columns.values())))
    today = [END.date()] * rows
    return summary(first_day=today, last_day=today, repeat_days=[0] * rows, **columns)


def shop(per_channel: dict[str, tuple[int, float]], seed: int = 5) -> Table:
    """Mature customers whose remainder depends on the channel: (customers, mean remainder) of each."""
    random = np.random.default_rng(seed)
    channels = [name for name, (rows, _) in per_channel.items() for _ in range(rows)]
    means = np.array([per_channel[name][1] for name in channels])
    rows = len(channels)
    remainder = random.exponential(means)
    first_day = [MATURE - timedelta(days=int(days)) for days in random.integers(0, 90, rows)]
    return summary(
        first_day=first_day,
        last_day=[day + timedelta(days=30) for day in first_day],
        repeat_days=random.integers(1, 4, rows),
        mean_repeat_value=random.gamma(4, 5, rows),
        channel=channels,
        realised_value=10.0 + remainder,
    )


def expected(model: FittedFirstOrder, channel: str | None) -> float:
    return float(model.remainder_at_acquisition(new_customers(channel=[channel]))[0])


def test_channels_that_differ_are_told_apart() -> None:
    model = FirstOrder().fit(shop({"google": (2000, 30.0), "meta": (2000, 10.0)}), terms())
    assert expected(model, "google") == pytest.approx(30, rel=0.1)
    assert expected(model, "meta") == pytest.approx(10, rel=0.1)
    assert set(model.factors) >= {"channel"}


def test_a_channel_with_few_customers_is_pulled_towards_everyone() -> None:
    model = FirstOrder().fit(
        shop({"google": (1500, 30.0), "meta": (1500, 10.0), "radio": (3, 200.0)}), terms()
    )
    raw = 200.0
    assert 20 < expected(model, "radio") < raw / 2
    assert expected(model, "never seen") == pytest.approx(expected(model, None))


def test_channels_that_do_not_differ_stay_together() -> None:
    table = shop({f"c{n}": (60, 20.0) for n in range(40)})
    model = FirstOrder().fit(table, terms())
    found = [expected(model, f"c{n}") for n in range(40)]
    remainder = np.asarray(table["realised_value"]) - np.asarray(table["first_day_margin"])
    raw = remainder.reshape(40, 60).mean(axis=1)
    assert max(raw) / min(raw) > 1.5
    assert np.ptp(found) < np.ptp(raw) / 4


def test_expected_remainders_sum_to_those_learned_from() -> None:
    table = shop({"google": (500, 30.0), "meta": (1500, 10.0)})
    model = FirstOrder().fit(table, terms())
    learned = np.asarray(table["realised_value"]) - np.asarray(table["first_day_margin"])
    assert model.remainder_at_acquisition(table).sum() == pytest.approx(learned.sum(), rel=1e-9)


def test_credibility_is_that_of_buhlmann_and_straub() -> None:
    """A worked case: two levels of two rows each, unit exposure.

    Means 1 and 3, everyone 2; σ² = (0.5 + 0.5)/2 = 0.5; τ² = (2·1 + 2·1 - 0.5)/(4 - 8/4) = 1.75;
    k = 0.5/1.75 and Z = 2/(2 + k).
    """
    effects, k = _credible(np.array([0, 0, 1, 1]), 2, np.array([0.5, 1.5, 2.5, 3.5]), np.ones(4))
    assert k == pytest.approx(0.5 / 1.75)
    z = 2 / (2 + 0.5 / 1.75)
    assert effects == pytest.approx([(z * 1 + (1 - z) * 2) / 2, (z * 3 + (1 - z) * 2) / 2])


def test_young_customers_count_by_what_was_observed_of_them() -> None:
    table = simulated(4000)
    model = FirstOrder().fit(table, terms())
    born_today = new_customers(channel=["google"] * 500)
    fed = FirstOrder(model.repeat).fit(pa.concat_tables([table, born_today]), terms())
    observed = np.minimum([(END.date() - day).days / 365 for day in table["first_day"].to_pylist()], 1)
    one, other = (np.average(each.remainder_at_acquisition(table), weights=observed) for each in (model, fed))
    assert other == pytest.approx(one, rel=1e-9)


def test_new_customers_differ() -> None:
    model = FirstOrder().fit(simulated(5000), terms())
    random = np.random.default_rng(11)
    values = random.gamma(6, 1, 1000) / random.gamma(4, 1 / 15, 1000)
    scored = model.score(new_customers(first_order_value=values.tolist()), END)
    total = np.sort(np.asarray(scored["total_clv"]))
    assert total[-100:].mean() / total[:100].mean() > 3


def test_while_nothing_is_bought_the_remainder_fades_as_bgnbd_says() -> None:
    model = FirstOrder().fit(simulated(5000), terms())
    customer = summary(first_day=[date(2025, 1, 1)], last_day=[date(2025, 1, 1)], repeat_days=[0])
    ages = [0, 1, 30, 180, 364, 365, 400]
    remainders = []
    for age in ages:
        scored = model.score(customer, END.replace(year=2025, month=1, day=1) + timedelta(days=age))
        remainders.append(scored["total_clv"][0].as_py() - scored["realised_value"][0].as_py())
    assert remainders[0] == pytest.approx(float(model.remainder_at_acquisition(customer)[0]))
    assert remainders == sorted(remainders, reverse=True)
    assert remainders[4] > 0
    assert remainders[5:] == pytest.approx([0, 0])


def test_too_few_customers() -> None:
    with pytest.raises(NotEnoughHistory, match="99 customers"):
        FirstOrder().fit(simulated(99), terms())
