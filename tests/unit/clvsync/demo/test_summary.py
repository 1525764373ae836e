"""The closing picture: its figures are right and it fits a terminal."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from clvsync.demo.summary import OUTCOMES, Pass, SentValues, show, spread
from clvsync.plan import Remark, remedy_of
from connectors.types import Reason

WIDTH = 100


def run(
    sync: str, status: str = "done", reasons: dict[str, int] | None = None, **counts: int
) -> dict[str, Any]:
    return {"sync": sync, "status": status, "reasons": reasons or {}, **dict.fromkeys(OUTCOMES, 0), **counts}


def sent(size: int = 2_000) -> SentValues:
    rng = np.random.default_rng(1)
    order_value = np.round(rng.gamma(2.0, 40.0, size) + 5.0, 2)
    return SentValues(
        "google-new-customers", "EUR", np.round(order_value * rng.lognormal(0, 0.8, size), 2), order_value
    )


def printed(passes: list[Pass], values: list[SentValues], steps: list[tuple[str, str]] | None = None) -> str:
    out = io.StringIO()
    show(Console(file=out, width=WIDTH, color_system=None), passes, values, next_steps=steps or [])
    return out.getvalue()


def line_with(text: str, *words: str) -> str:
    return next(line for line in text.splitlines() if all(word in line for word in words))


def test_every_outcome_of_every_run_is_shown_and_nothing_is_cut() -> None:
    counts: dict[str, Any] = {
        name: 1_234_567 if name == "accepted" else 1_000 + place for place, name in enumerate(OUTCOMES)
    }
    text = printed(
        [Pass("First run", [run("google-new-customers", read=7_654_321, **counts)])],
        [],
    )
    line = line_with(text, "7,654,321")
    for number in counts.values():
        assert f"{number:,}" in line
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= WIDTH


def test_a_run_that_is_not_done_says_so() -> None:
    text = printed([Pass("First run", [run("best-customers", "held", read=10, held=10)])], [])
    assert "best-customers held" in text


def test_reasons_come_with_their_count_in_each_pass_and_the_remedy() -> None:
    passes = [
        Pass("First run", [run("meta-purchases", reasons={"no_consent": 41, "too_old": 7})]),
        Pass("Second run", [run("meta-purchases", reasons={"no_consent": 3, "PLATFORM_WORD": 2})]),
    ]
    text = printed(passes, [])
    assert line_with(text, "no consent").split()[3:5] == ["41", "3"]
    assert line_with(text, "too old").split()[2:4] == ["7", "·"]
    assert line_with(text, "PLATFORM_WORD").split()[1:3] == ["·", "2"]
    assert Reason.NO_CONSENT.remedy.split()[0] in line_with(text, "no consent")


@pytest.mark.parametrize("reason", [*Reason, *Remark])
def test_every_reason_of_ours_has_its_remedy(reason: Reason | Remark) -> None:
    assert remedy_of(str(reason)) == reason.remedy


def test_earlier_rows_that_were_settled_have_a_line_of_their_own() -> None:
    text = printed(
        [Pass("Second run", [{**run("one", read=3, unchanged=3), "earlier": {"accepted": 347}}])], []
    )
    assert "347" in line_with(text, "of earlier runs")


def test_no_reasons_no_table() -> None:
    assert "what to do" not in printed([Pass("First run", [run("one", read=1, accepted=1)])], [])


def test_the_spread_is_that_of_the_values() -> None:
    values = SentValues("s", "EUR", np.arange(1.0, 101.0), np.full(100, 50.5))
    found = spread(values)
    assert found is not None
    assert (found.rows, found.distinct, found.lowest, found.highest) == (100, 100, 1.0, 100.0)
    assert found.total == found.revenue == 5_050.0
    assert found.tenths == pytest.approx(np.arange(5.5, 100, 10))
    assert found.top_to_bottom == pytest.approx(95.5 / 5.5)
    assert found.highest_to_lowest == 100.0
    assert found.order_tenths == pytest.approx(np.full(10, 50.5))


def test_value_sent_stands_beside_the_revenue_of_the_same_orders() -> None:
    values = SentValues("s", "EUR", np.array([10.0, 30.0]), np.array([20.0, 30.0]))
    text = printed([], [values])
    assert "value sent 40.00 EUR against 50.00 EUR" in text
    assert "(80%)" in text


def test_bars_grow_with_the_values() -> None:
    text = printed([], [sent()])
    lines = [line for line in text.splitlines() if set(line) & set("█▉▊▋▌▍▎▏")]
    bars = [line.count("█") for line in lines]
    assert len(bars) == 10
    assert bars == sorted(bars)
    assert bars[-1] > 3 * bars[0]


def test_orders_that_look_alike_are_shown_apart() -> None:
    size = 1_000
    values = SentValues("s", "EUR", np.tile([20.0, 140.0], size // 2), np.full(size, 60.0))
    assert "First orders between 60 and 60 EUR look alike" in printed([], [values])
    assert "20 or less and one in ten 140 or more" in " ".join(printed([], [values]).split())


@pytest.mark.parametrize(
    ("value", "order_value", "expected"),
    [
        ([], [], "Nothing was sent."),
        ([np.nan], [10.0], "Nothing was sent."),
        ([5.0], [np.nan], "value sent 5.00 EUR against 0.00 EUR"),
        ([0.0, 5.0], [1.0, 1.0], "lowest is 0"),
        ([0.0, 0.0], [0.0, 0.0], "value sent 0.00 EUR"),
    ],
)
def test_few_or_odd_values_do_not_break_it(
    value: list[float], order_value: list[float], expected: str
) -> None:
    values = SentValues("s", "EUR", np.array(value), np.array(order_value))
    assert expected in printed([], [values])


def test_next_steps_are_shown_as_they_are_typed() -> None:
    text = printed([], [], [("clvsync explain O0000001 -c [demo]/clvsync.yaml", "one order")])
    assert "clvsync explain O0000001 -c [demo]/clvsync.yaml" in text
