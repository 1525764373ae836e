from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from clvsync.clv import boosting
from clvsync.clv.boosting import Calibrated, Forest
from clvsync.clv.model import Floats


def rows(count: int, seed: int = 3) -> tuple[Floats, Floats, Floats]:
    """(columns, rate, exposure): two labels, of 7 and 40 levels, and two numbers; a tenth unknown."""
    random = np.random.default_rng(seed)
    columns = np.stack(
        [
            np.concatenate([np.arange(7), random.integers(0, 7, count - 7)]).astype(np.float64),
            np.concatenate([np.arange(40), random.integers(0, 40, count - 40)]).astype(np.float64),
            random.normal(size=count),
            random.integers(0, 24, count).astype(np.float64),
        ],
        axis=1,
    )
    mean = np.exp(0.3 * columns[:, 0] - 0.4 * (columns[:, 1] % 3) + columns[:, 2] * (columns[:, 3] > 11))
    unknown = random.random(columns.shape) < 0.1
    unknown[:40] = False
    columns[unknown] = np.nan
    return columns, 20 * mean * random.exponential(size=count), random.uniform(0.1, 1, count)


LABELS = (True, True, False, False)


def test_plain_arrays_predict_what_scikit_learn_does() -> None:
    columns, rate, exposure = rows(4000)
    grown, mean = boosting._grown(columns, LABELS, rate, exposure, 60)
    forest = boosting._forest(grown, mean)
    assert isinstance(grown, HistGradientBoostingRegressor)
    assert any(forest.left_levels)
    assert any(forest.unknown_left)
    unseen, *_ = rows(40_000, seed=4)  # more than are evaluated at once
    unseen[:50] = np.nan
    # Cut-offs themselves, where at most and less than differ.
    unseen[100:160, 2] = [cut for cut, of in zip(forest.threshold, forest.feature, strict=True) if of == 2][
        :60
    ]
    assert np.exp(forest.predict(unseen)) == pytest.approx(grown.predict(unseen) * mean, rel=1e-12)


def test_a_forest_is_kept_as_json_to_the_last_digit() -> None:
    columns, rate, exposure = rows(2000)
    model = Calibrated(boosting.grow(columns, LABELS, rate, exposure, trees=20), 1.1, 0.9)
    kept = json.dumps(model.to_json(), allow_nan=False)
    back = Calibrated.from_json(json.loads(kept))
    assert back.predict(columns).tolist() == model.predict(columns).tolist()
    assert json.dumps(back.to_json()) == kept


def test_the_same_rows_grow_the_same_trees() -> None:
    columns, rate, exposure = rows(2000)
    one, other = (boosting.grow(columns, LABELS, rate, exposure, trees=20) for _ in range(2))
    assert isinstance(one, Forest)
    assert one == other


def test_a_row_without_exposure_teaches_nothing() -> None:
    columns, rate, exposure = rows(2000)
    half = np.where(np.arange(2000) < 1000, exposure, 0.0)
    one = boosting.grow(columns, LABELS, rate, half, trees=10)
    assert one == boosting.grow(columns[:1000], LABELS, rate[:1000], exposure[:1000], trees=10)


def test_more_trees_are_grown_where_there_is_more_to_learn() -> None:
    columns, rate, exposure = rows(6000)
    noise = np.random.default_rng(1).permutation(rate)

    def size(target: Floats) -> int:
        halves = [(columns[part], target[part], exposure[part]) for part in np.split(np.arange(6000), 2)]
        return boosting.best_size(halves[0], halves[1], LABELS)

    assert size(noise) < 5 < size(rate)


@pytest.mark.parametrize("slope", [0.7, 1.0, 1.5])
def test_the_slope_is_found_that_predictions_are_off_by(slope: float) -> None:
    random = np.random.default_rng(8)
    told = np.exp(random.normal(3, 0.8, 200_000))
    amount = 2 * told**slope * random.exponential(size=told.size)
    assert boosting.calibration_slope(told, amount, np.ones_like(told)) == pytest.approx(slope, abs=0.02)


def test_deviance_is_least_at_the_mean() -> None:
    rate = np.array([0.0, 1.0, 5.0])
    one = np.ones(3)
    losses = [boosting.deviances(rate, np.full(3, told), one).sum() for told in (1.9, 2.0, 2.1)]
    assert losses[1] < min(losses[0], losses[2])
    assert boosting.deviances(rate[1:], rate[1:], one[1:]).tolist() == [0.0, 0.0]
