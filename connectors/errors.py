"""What can go wrong on the way to a platform or a source, grouped by what to do next.

    ConnectorError
    ├── RetryLater            nothing was accepted: the same request may be sent again after `delay`
    │   └── FateUnknown       the answer was lost: it may have been accepted
    ├── FixRow                rows that the platform will never take as they are
    │   └── BatchRefused      a whole request refused for one or more bad rows: split it
    ├── FixConfiguration      a person has to change the configuration or a setting at the platform
    └── StopAndCall           nothing may be sent until a person has acted
        ├── CredentialsRefused
        └── AccountBlocked

A message names the thing, says what is wrong and what to do, and never carries a person's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.types import Rejection


class ConnectorError(Exception):
    """Base of every error a connector raises.

    `what` names the thing ("Google Ads account 123-456-7890"), `problem` says what is wrong,
    `remedy` what to do about it, `code` is the platform's own code where there is one.
    """

    def __init__(self, what: str, problem: str, remedy: str, *, code: str | None = None) -> None:
        self.what = what
        self.problem = problem
        self.remedy = remedy
        self.code = code
        super().__init__(what, problem, remedy)

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"{self.what}: {self.problem}{code}. {self.remedy}"


class RetryLater(ConnectorError):
    """The platform or the source cannot answer now and has accepted nothing.

    `delay` is the wait it asked for, or None where it named none.
    """

    def __init__(
        self, what: str, problem: str, remedy: str, *, code: str | None = None, delay: timedelta | None = None
    ) -> None:
        super().__init__(what, problem, remedy, code=code)
        self.delay = delay


class FateUnknown(RetryLater):
    """The request left and its answer was lost. Only the same ids may be sent again, and only as long
    as the destination's `resend_window` allows."""


class FixRow(ConnectorError):
    """Rows that will never be taken as they are. `rejections` places each by its index in the request."""

    def __init__(
        self,
        what: str,
        problem: str,
        remedy: str,
        *,
        code: str | None = None,
        rejections: Sequence[Rejection] = (),
    ) -> None:
        super().__init__(what, problem, remedy, code=code)
        self.rejections = tuple(rejections)


class BatchRefused(FixRow):
    """The whole request was refused because of one or more rows, and nothing of it was accepted.

    Where the platform named the bad rows, `rejections` holds them; otherwise the sender splits the batch
    until the bad row is alone. `reason` is what a single row refused this way is rejected for.
    """

    def __init__(
        self,
        what: str,
        problem: str,
        remedy: str,
        *,
        reason: str,
        code: str | None = None,
        rejections: Sequence[Rejection] = (),
    ) -> None:
        super().__init__(what, problem, remedy, code=code, rejections=rejections)
        self.reason = reason


class FixConfiguration(ConnectorError):
    """A setting, here or at the platform, is wrong: every row would fail the same way."""


class StopAndCall(ConnectorError):
    """Nothing may be sent to this account until a person has acted."""


class CredentialsRefused(StopAndCall):
    """The platform or the source does not accept who we say we are, or does not let us do this."""


class AccountBlocked(StopAndCall):
    """The platform has blocked the account, the app or the project."""
