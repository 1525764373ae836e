"""`first_order` on the sample shop, where the truth is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from clvsync.clv.first_order import FirstOrder, FittedFirstOrder
from clvsync.clv.model import Floats, Terms, known, numbers
from clvsync.clv.validation import deciles, gini
from clvsync.config.sections import Clv, Tables
from clvsync.customers.mapping import mapped
from clvsync.customers.summary import order_summary
from clvsync.demo import market
from connectors.sources.opening import open_source
from connectors.types import Table
from tests.sample_shop import NOW, small_shop
from tests.shop import business

ROOT = Path(__file__).parents[4]
CLV = Clv.model_validate(
    {"horizon": "365 days", "margin": market.MARGIN, "discount_rate": market.DISCOUNT_RATE}
)
TERMS = Terms.of(CLV, "Europe/Berlin", NOW)
TABLES = Tables.model_validate(
    {
        "customers": {"from": "customers", "key": "customer_id", "country": "country", "test": "is_test"},
        "orders": {
            "from": "orders",
            "key": "order_id",
            "customer": "customer_id",
            "time": "ordered_at",
            "value": "net_revenue",
            "currency": "currency",
            "test": "is_test",
            "channel": "channel",
            "device": "device",
            "campaign_id": "campaign_id",
            "features": {"category": "category", "discounted": "discounted"},
        },
    }
)


@dataclass(frozen=True)
class Judged:
    """`predicted`: on their first day, in the order of `summary`; `truth`: expected total CLV."""

    path: Path
    summary: Table
    model: FittedFirstOrder
    predicted: Floats
    truth: Floats


def summarised(path: Path) -> Table:
    source = open_source(f"duckdb:///{path}", name="shop")
    shop = business(exchange_rates=market.EXCHANGE_RATES)
    with source.stream(order_summary(mapped(source, TABLES, shop), CLV, NOW)) as batches:
        found: Any = pa.Table.from_batches(list(batches)).sort_by("customer_key")
    source.close()
    return found


def judged(folder: Path, customers: int) -> Judged:
    path, _ = small_shop(folder, customers=customers)
    with duckdb.connect(str(path), read_only=True) as connection:
        truth = dict(
            connection.execute(
                "SELECT customer_id, total_clv FROM truth UNION ALL "
                "SELECT second_key, total_clv FROM truth WHERE second_key IS NOT NULL"
            ).fetchall()
        )
    every = summarised(path)
    summary = every.filter(pa.array([key in truth for key in every["customer_key"].to_pylist()]))
    model = FirstOrder().fit(every, TERMS)
    true = np.array([truth[key] for key in summary["customer_key"].to_pylist()])
    predicted = known(numbers(summary, "first_day_margin")) + model.remainder_at_acquisition(summary)
    return Judged(path, summary, model, predicted, true)


def check(found: Judged, *, calibrated: float) -> None:
    assert found.model.boosted is not None, found.model.trial
    tenths = deciles(found.predicted, found.truth)
    told, true = (np.sort(numbers(tenths, name)) for name in ("predicted", "actual"))
    assert told[-1] > 3 * told[0]
    assert true[-1] > 3 * true[0]
    assert np.abs(numbers(tenths, "predicted") / numbers(tenths, "actual") - 1).max() < calibrated
    ours = gini(found.predicted, found.truth)
    first_order = gini(known(numbers(found.summary, "first_order_value")), found.truth)
    assert ours is not None
    assert first_order is not None
    assert ours > first_order + 0.04


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return judged(tmp_path_factory.mktemp("shop"), 6_000)


def test_new_customers_are_spread_calibrated_and_ranked_better_than_by_their_first_order(
    small: Judged,
) -> None:
    check(small, calibrated=0.2)


def test_with_more_customers_each_tenth_is_right_to_a_tenth(tmp_path: Path) -> None:
    found = judged(tmp_path, 24_000)
    check(found, calibrated=0.1)
    first_day = known(numbers(found.summary, "first_day_margin"))
    mean = first_day + replace(found.model, boosted=None).remainder_at_acquisition(found.summary)
    page = " ".join((ROOT / "docs" / "clv.md").read_text(encoding="utf-8").split())
    ours, cohort_mean, first_order = (gini(told, found.truth) for told in (found.predicted, mean, first_day))
    assert (
        f"Gini {ours:.2f} with boosting, {cohort_mean:.2f} with the cohort mean, "
        f"{first_order:.2f} by the first order's value"
    ) in page


def test_boosting_beats_the_cohort_mean_and_says_so(small: Judged) -> None:
    trial = small.model.to_json()["trial"]
    assert trial["chosen"] == "boosting"
    assert trial["boosting_deviance"] < trial["cohort_mean_deviance"]
    assert trial["boosting_gini"] > trial["cohort_mean_gini"]
    assert trial["advantage"] > 2


def test_nothing_after_the_first_order_moves_a_prediction(small: Judged) -> None:
    with duckdb.connect(str(small.path)) as connection:
        connection.execute(
            """
            WITH first AS (
                SELECT customer_id, min(ordered_at) AS at FROM orders
                WHERE net_revenue > 0 AND NOT is_test GROUP BY customer_id
            )
            UPDATE orders SET net_revenue = net_revenue * 7, channel = 'meta', device = 'tablet',
                category = 'tents', discounted = NOT discounted, campaign_id = 'another'
            FROM first WHERE orders.customer_id = first.customer_id AND orders.ordered_at > first.at
            """
        )
    changed = summarised(small.path)
    before = dict(
        zip(
            small.summary["customer_key"].to_pylist(),
            small.model.remainder_at_acquisition(small.summary).tolist(),
            strict=True,
        )
    )
    after = small.model.remainder_at_acquisition(changed).tolist()
    revenues = [np.nansum(numbers(each, "revenue")) for each in (changed, small.summary)]
    assert revenues[0] > 2 * revenues[1]
    same = [
        before[key] == told
        for key, told in zip(changed["customer_key"].to_pylist(), after, strict=True)
        if key in before
    ]
    assert len(same) == len(before)
    assert all(same)


def test_a_kept_model_predicts_the_same_to_the_last_digit(small: Judged) -> None:
    kept = json.loads(json.dumps(small.model.to_json(), allow_nan=False))
    back = FittedFirstOrder.from_json(kept)
    assert back.version == small.model.version
    assert (
        back.remainder_at_acquisition(small.summary).tolist()
        == small.model.remainder_at_acquisition(small.summary).tolist()
    )


def test_fitting_twice_gives_one_model(small: Judged) -> None:
    shuffled = small.summary.take(pa.array(np.random.default_rng(2).permutation(small.summary.num_rows)))
    one, other = (FirstOrder(small.model.repeat).fit(each, TERMS) for each in (small.summary, shuffled))
    assert one.boosted == other.boosted


def test_features_that_are_gone_or_of_another_kind_count_as_unknown(small: Judged) -> None:
    place = small.summary.column_names.index("feature_category")
    gone = small.summary.remove_column(place)
    unknown = pa.nulls(small.summary.num_rows, pa.string())
    number = pa.array(np.ones(small.summary.num_rows))
    told = [
        small.model.remainder_at_acquisition(each).tolist()
        for each in (
            gone,
            *(small.summary.set_column(place, "feature_category", v) for v in (unknown, number)),
        )
    ]
    assert told[0] == told[1] == told[2]
    assert min(told[0]) > 0
    assert told[0] != small.model.remainder_at_acquisition(small.summary).tolist()


def test_too_few_customers_keep_the_cohort_mean(tmp_path: Path) -> None:
    path, _ = small_shop(tmp_path, customers=500)
    model = FirstOrder().fit(summarised(path), TERMS)
    assert model.boosted is None
    assert model.trial is not None
    assert model.trial.chosen == "cohort_mean"
    assert "are needed" in model.trial.because
