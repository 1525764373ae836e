"""Standard errors, against samples drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clvsync.clv.chance import bias_error, gini_gap_error
from clvsync.clv.model import Floats
from clvsync.clv.validation import gini

SAMPLES = 300


def drawn(random: np.random.Generator, customers: int) -> tuple[Floats, Floats, Floats]:
    """What many bring is nothing; one prediction that is nearer to the truth, and one that is further off."""
    rate = random.gamma(0.4, 1.0, customers)
    actual = random.poisson(rate) * random.gamma(3.0, 20.0, customers)
    near, far = (rate * 60.0 * np.exp(random.normal(0.0, spread, customers)) for spread in (0.5, 0.9))
    return near, far, actual


@pytest.mark.parametrize("customers", [400, 2_000])
def test_errors_are_the_spread_of_figures_over_samples(customers: int) -> None:
    random = np.random.default_rng(3)
    biases, gaps, bias_errors, gap_errors = [], [], [], []
    for _ in range(SAMPLES):
        near, far, actual = drawn(random, customers)
        biases.append(near.sum() / actual.sum() - 1.0)
        bias_errors.append(bias_error(near, actual))
        gaps.append((gini(near, actual) or 0.0) - (gini(far, actual) or 0.0))
        gap_errors.append(gini_gap_error(near, far, actual))
    for errors, figures in ((bias_errors, biases), (gap_errors, gaps)):
        told = np.mean([error for error in errors if error is not None])
        assert told == pytest.approx(np.std(figures), rel=0.15)


amounts = st.lists(st.tuples(*[st.integers(0, 100)] * 3), min_size=1, max_size=30)


@given(amounts)
def test_errors_are_never_negative_and_unknown_only_where_there_is_nothing_to_tell(
    rows: list[tuple[int, int, int]],
) -> None:
    one, other, actual = (np.array(side, dtype=np.float64) for side in zip(*rows, strict=True))
    error = bias_error(one, actual)
    assert (error is None) == (actual.sum() == 0)
    assert error is None or error >= 0
    gap = gini_gap_error(one, other, actual)
    assert (gap is None) == (np.ptp(actual) == 0)
    assert gap is None or gap >= 0
    # A prediction is no nearer to and no further from itself, and neither is one that ranks alike.
    if gap is not None:
        assert gini_gap_error(one, one * 3 + 1, actual) == pytest.approx(0.0, abs=1e-12)
