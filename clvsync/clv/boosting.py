"""Gradient boosting of an expected amount: trees grown by scikit-learn, kept and evaluated as plain arrays.

    amount = factor × exp(start + Σ leaf of each tree) ^ slope

Poisson loss: with a log link it estimates a mean that is never negative, whatever the amounts' distribution
(Gourieroux, Monfort, Trognon 1984, "Pseudo Maximum Likelihood Methods", Econometrica 52(3)). Nothing is
pickled: a fitted model is JSON, and predicts without scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from clvsync.clv.model import Floats, Json

Integers = npt.NDArray[np.int64]

_RATE = 0.1
_MOST_TREES = 200
_LEAVES = 8
_FEWEST_IN_A_LEAF = 50
_HELD_BACK = 1.0
"""A leaf's estimate is drawn to its surroundings as if by so many average customers more."""
_ROWS_AT_ONCE = 16_384
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Forest:
    """All nodes of all trees in one row of arrays, left and right being places in it; a leaf leads to itself.

    `feature`: which column a node asks for. `threshold`: at most this goes left. `left_levels`: by node, the
    levels that go left, where it asks for a label. `unknown_left`: 1 where what is unknown goes left.
    `value`: what a leaf adds.
    """

    start: float
    depth: int
    roots: tuple[int, ...]
    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left_levels: Mapping[int, tuple[int, ...]]
    unknown_left: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def predict(self, columns: Floats) -> Floats:
        """start + Σ leaves, of rows of features (NaN where unknown)."""
        cuts, turns = self._tables
        feature, value = np.asarray(self.feature), np.asarray(self.value)
        width, total = turns.shape[1], np.full(len(columns), self.start)
        for first in range(0, len(columns), _ROWS_AT_ONCE):
            rows = columns[first : first + _ROWS_AT_ONCE]
            codes = np.stack(
                [
                    np.where(np.isnan(rows[:, place]), width - 1, np.searchsorted(cut, rows[:, place]))
                    for place, cut in enumerate(cuts)
                ],
                axis=1,
            )
            at = np.arange(len(rows)) * len(cuts)
            for root in self.roots:
                node = np.full(len(rows), root)
                for _ in range(self.depth):
                    node = turns.ravel()[node * width + codes.ravel()[at + feature[node]]]
                total[first : first + _ROWS_AT_ONCE] += value[node]
        return total

    @cached_property
    def _tables(self) -> tuple[list[Floats], Integers]:
        """What each column is cut at, and by node and code (the count of cuts below the value; the last code
        is that of the unknown) the node that comes next."""
        feature, threshold = np.asarray(self.feature), np.asarray(self.threshold)
        left, right = np.asarray(self.left), np.asarray(self.right)
        asks = left != np.arange(len(left))
        labels = {int(feature[node]) for node in self.left_levels}
        most = 1 + max((max(levels, default=0) for levels in self.left_levels.values()), default=0)
        cuts = [
            np.arange(most, dtype=np.float64) if place in labels
            else np.unique(threshold[asks & (feature == place)])
            for place in range(int(feature.max(initial=0)) + 1)
        ]  # fmt: skip
        width = max(len(cut) for cut in cuts) + 2
        turns = np.repeat(right[:, None], width, axis=1)
        for node in np.flatnonzero(asks):
            levels = self.left_levels.get(int(node))
            if levels is not None:
                turns[node, list(levels)] = left[node]
            else:
                turns[node, : 1 + np.searchsorted(cuts[feature[node]], threshold[node])] = left[node]
            turns[node, -1] = left[node] if self.unknown_left[node] else right[node]
        return cuts, turns

    def to_json(self) -> Json:
        return asdict(self) | {"left_levels": [[at, *levels] for at, levels in self.left_levels.items()]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Forest:
        lists = {name: tuple(value) for name, value in kept.items() if isinstance(value, list)}
        levels = {node: tuple(left) for node, *left in kept["left_levels"]}
        return cls(**{**kept, **lists, "left_levels": levels})


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A forest's amounts, drawn apart (`slope` above 1) or together, and scaled to a sum."""

    forest: Forest
    slope: float = 1.0
    factor: float = 1.0

    def predict(self, columns: Floats) -> Floats:
        return self.factor * np.exp(self.slope * self.forest.predict(columns))

    def balanced(self, columns: Floats, amount: Floats, exposure: Floats) -> Calibrated:
        """The same, with a sum over these rows that is that of their amounts."""
        told = float((self.predict(columns) * exposure).sum())
        return replace(self, factor=self.factor * max(float(amount.sum()), 0.0) / told)

    def to_json(self) -> Json:
        return {"forest": self.forest.to_json(), "slope": self.slope, "factor": self.factor}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Calibrated:
        return cls(Forest.from_json(kept["forest"]), kept["slope"], kept["factor"])


def grow(
    columns: Floats, labels: Sequence[bool], rate: Floats, exposure: Floats, *, trees: int = _MOST_TREES
) -> Forest:
    """Fit to `rate` (the amount per exposure, taken as 0 where it is negative). `labels`: which columns hold
    places of labels; they stand first, and each label occurs. Rows without exposure are left out; rates are
    scaled to a mean of 1."""
    grown, mean = _grown(columns, labels, rate, exposure, trees)
    return _forest(grown, mean)


def best_size(
    earlier: tuple[Floats, Floats, Floats], later: tuple[Floats, Floats, Floats], labels: Sequence[bool]
) -> int:
    """How many trees grown on `earlier` do best on `later`, by deviance; each (columns, rate, exposure)."""
    grown, mean = _grown(earlier[0], labels, earlier[1], earlier[2], _MOST_TREES)
    columns, rate, exposure = later
    losses = [
        float(deviances(np.maximum(rate, 0.0), told * mean, exposure).sum())
        for told in grown.staged_predict(columns)
    ]
    return int(np.argmin(losses)) + 1


def deviances(rate: Floats, predicted: Floats, exposure: Floats) -> Floats:
    """Each row's Poisson deviance: 2 × exposure × (rate · ln(rate ⁄ predicted) - rate + predicted)."""
    ratio = np.where(rate > 0, rate, predicted) / predicted
    return 2.0 * exposure * (rate * np.log(ratio) - rate + predicted)


def calibration_slope(told: Floats, amount: Floats, exposure: Floats) -> float:
    """The power of the predictions that fits amounts they were not fitted to best (Cox 1958, "Two Further
    Applications of a Model for Binary Regression", Biometrika 45, here with a log link); 0.5 to 2."""
    from scipy.optimize import brentq

    logs = np.log(told) - np.average(np.log(told), weights=exposure)

    def slack(slope: float) -> float:
        shape = exposure * np.exp(slope * logs)
        return float((amount * logs).sum() - amount.sum() * (shape * logs).sum() / shape.sum())

    low, high = 0.5, 2.0
    if slack(low) <= 0:
        return low
    return high if slack(high) >= 0 else float(brentq(slack, low, high))


def _grown(
    columns: Floats, labels: Sequence[bool], rate: Floats, exposure: Floats, trees: int
) -> tuple[Any, float]:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    kept = exposure > 0
    amount = np.maximum(rate[kept], 0.0)
    mean = float(np.average(amount, weights=exposure[kept]))
    model = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=_RATE,
        max_iter=trees,
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=_FEWEST_IN_A_LEAF,
        l2_regularization=_HELD_BACK,
        categorical_features=list(labels),
        early_stopping=False,
        random_state=0,
    )
    # One thread sums in one order: the same data give the same trees to the last digit.
    with threadpool_limits(1):
        return model.fit(columns[kept], amount / mean, sample_weight=exposure[kept]), mean


def _forest(grown: Any, mean: float) -> Forest:
    """The fitted trees. scikit-learn has no public way to read them; a test holds both to one prediction.
    It puts labelled columns first, and so they have to stand first already."""
    trees = [stage[0] for stage in grown._predictors]
    nodes = [tree.nodes for tree in trees]
    roots = np.concatenate([[0], np.cumsum([len(each) for each in nodes])])
    every = np.concatenate(nodes)
    base = np.repeat(roots[:-1], [len(each) for each in nodes])
    own = np.arange(len(every))
    leaf = every["is_leaf"].astype(bool)
    levels: dict[int, tuple[int, ...]] = {}
    for tree, root in zip(trees, roots, strict=False):
        for at in np.flatnonzero((tree.nodes["is_categorical"] == 1) & (tree.nodes["is_leaf"] == 0)):
            words = tree.raw_left_cat_bitsets[tree.nodes["bitset_idx"][at]]
            bits = np.unpackbits(words.view(np.uint8), bitorder="little")
            levels[int(root + at)] = tuple(np.flatnonzero(bits).tolist())
    return Forest(
        start=float(grown._baseline_prediction.ravel()[0] + np.log(mean)),
        depth=int(every["depth"].max()),
        roots=tuple(roots[:-1].tolist()),
        feature=tuple(np.where(leaf, 0, every["feature_idx"]).tolist()),
        # An infinite threshold parts the known from the unknown; JSON has no infinity.
        threshold=tuple(np.where(leaf, 0.0, np.minimum(every["num_threshold"], _LARGEST)).tolist()),
        left_levels=levels,
        unknown_left=tuple(every["missing_go_to_left"].astype(int).tolist()),
        left=tuple(np.where(leaf, own, base + every["left"]).tolist()),
        right=tuple(np.where(leaf, own, base + every["right"]).tolist()),
        value=tuple(np.where(leaf, every["value"], 0.0).tolist()),
    )
