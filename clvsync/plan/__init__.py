"""What a run is to do: the difference between its rows and the ledger, and the brakes on it."""

from clvsync.plan.brakes import Judgement, Limits, judge
from clvsync.plan.counts import OUTCOMES, Counts, Miscounted
from clvsync.plan.difference import ACTIONS, Plan, Remark, Rules, Tolerance, Verdict, difference, remedy_of

__all__ = [
    "ACTIONS",
    "OUTCOMES",
    "Counts",
    "Judgement",
    "Limits",
    "Miscounted",
    "Plan",
    "Remark",
    "Rules",
    "Tolerance",
    "Verdict",
    "difference",
    "judge",
    "remedy_of",
]
