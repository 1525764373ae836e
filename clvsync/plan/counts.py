"""What became of every row of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

OUTCOMES = (
    "accepted",
    "pending",
    "in_doubt",
    "unchanged",
    "held",
    "rejected",
    "skipped",
    "removed",
)
"""Each row ends in exactly one of these."""


class Miscounted(RuntimeError):
    """Rows went missing or were counted twice: a fault of clvsync itself."""


@dataclass(slots=True)
class Counts:
    """Rows of one run by what became of them.

    `read` are the rows of the source; `absent` are members that only the ledger knows, whose removal the run
    sees to. `restated` is the part of accepted and pending that replaced a value. `reasons` are rows by
    reason; `value_sent` is what accepted and pending rows carried, by currency.
    """

    read: int = 0
    absent: int = 0
    accepted: int = 0
    restated: int = 0
    pending: int = 0
    in_doubt: int = 0
    unchanged: int = 0
    held: int = 0
    rejected: int = 0
    skipped: int = 0
    removed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    value_sent: dict[str, Decimal] = field(default_factory=dict)

    def count(self, outcome: str, rows: int, reason: str | None = None) -> None:
        """Add `rows` that ended in `outcome`, one of OUTCOMES."""
        if outcome not in OUTCOMES:
            raise ValueError(f"{outcome!r} is no outcome of a row")
        setattr(self, outcome, getattr(self, outcome) + rows)
        if reason and rows:
            self.reasons[reason] += rows

    def sent(self, value: Mapping[str, Decimal]) -> None:
        for currency, amount in value.items():
            self.value_sent[currency] = self.value_sent.get(currency, Decimal(0)) + amount

    def add(self, other: Counts) -> None:
        """Take in the outcomes of `other`, whose rows this one has read already."""
        for outcome in OUTCOMES:
            self.count(outcome, getattr(other, outcome))
        self.restated += other.restated
        self.reasons.update(other.reasons)
        self.sent(other.value_sent)

    @property
    def outcomes(self) -> int:
        """Rows whose outcome is known."""
        return sum(getattr(self, outcome) for outcome in OUTCOMES)

    def check(self) -> None:
        """Raises Miscounted unless every row has exactly one outcome."""
        each = [getattr(self, outcome) for outcome in OUTCOMES]
        whole = sum(each) == self.read + self.absent and min(each) >= 0
        if not whole or not 0 <= self.restated <= self.accepted + self.pending:
            raise Miscounted(
                f"{self.read} rows read and {self.absent} absent, but {self.outcomes} accounted for "
                f"({', '.join(f'{name} {getattr(self, name)}' for name in (*OUTCOMES, 'restated'))})"
            )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: amounts as text, nothing left out."""
        rows = {
            name: getattr(self, name)
            for name in (
                "read",
                "absent",
                "accepted",
                "restated",
                *(outcome for outcome in OUTCOMES if outcome != "accepted"),
            )
        }
        return {
            **rows,
            "value_sent": {currency: str(value) for currency, value in sorted(self.value_sent.items())},
            "reasons": dict(sorted(self.reasons.items())),
        }
