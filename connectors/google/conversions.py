"""Offline conversions into one conversion action of Google Ads, through the Data Manager API.

The same transaction_id on the same action restates: value and currency are overwritten and nothing is counted
twice (developers.google.com/data-manager/api/devguides/events/google-ads/conversion-adjustments, November
2026). Rows that fail after a request was taken are told only as counts for each reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import identity
from connectors.errors import BatchRefused, FixConfiguration
from connectors.google import checking, eligibility, events, facts, ingestion
from connectors.google.account import CONNECTIONS, GoogleAccount
from connectors.types import (
    Action,
    Array,
    Capabilities,
    Finding,
    Kind,
    Reason,
    Receipt,
    Rejection,
    Settlement,
    Shaped,
    Table,
)


def _system_clock() -> datetime:
    return datetime.now(UTC)


class GoogleConversions:
    """A Destination: conversions on one conversion action.

    `lookback` is the action's click-through look-back window; `default_region` the country (ISO 3166-1) in
    which phone numbers and addresses without one are read; `first_poll` how long to wait before asking what
    became of a request; `sent_by_site`: the site's tag records the conversions, which are then only restated,
    and only those that it can have recorded (see eligibility). A conversion restated to 0 can never be
    restated again (support.google.com/google-ads/answer/7686447), so that is refused unless
    `allow_zero_restatement`. Raises FixConfiguration where one of them cannot be right.
    """

    kind = Kind.CONVERSIONS

    def __init__(
        self,
        account: GoogleAccount,
        conversion_action_id: str,
        *,
        event_source: str = "WEB",
        default_region: str | None = None,
        lookback: timedelta = facts.LONGEST_CLICK_LOOKBACK,
        first_poll: timedelta = facts.FIRST_STATUS_POLL,
        allow_zero_restatement: bool = False,
        sent_by_site: bool = False,
        clock: Callable[[], datetime] = _system_clock,
    ) -> None:
        self.account = account
        self.conversion_action_id = conversion_action_id
        self.lookback = lookback
        self.event_source = event_source
        self.default_region = default_region
        self.name = f"{account.name}, conversion action {conversion_action_id}"
        self.address = f"google/{account.customer_id}/conversions/{conversion_action_id}"
        self.capabilities = Capabilities(
            rows_per_request=facts.EVENTS_PER_REQUEST,
            restates=True,
            settles_later=True,
            first_poll=first_poll,
            resend_window=None,
            concurrency=CONNECTIONS,
            reach=facts.UPLOAD_WINDOW,
        )
        self._allow_zero_restatement = allow_zero_restatement
        self._sent_by_site = sent_by_site
        self._clock = clock
        self._refuse_wrong_settings()

    def prepare(self) -> None:
        """Nothing to make: a conversion action is made by a person."""

    def eligibility(self, rows: Table, now: datetime) -> Array:
        """See connectors.google.eligibility."""
        return eligibility.conversions(
            rows,
            now,
            lookback=self.lookback,
            default_region=self.default_region,
            sent_by_site=self._sent_by_site,
        )

    def shape(self, rows: Table, now: datetime) -> Shaped:  # noqa: ARG002 - no rule here depends on the time
        """CONVERSION rows → events.WIRE rows."""
        return events.shape(rows, self.default_region)

    def send(self, shaped: Table, action: Action) -> Receipt:
        """Send WIRE rows in one request. The receipt is unsettled."""
        if action is Action.REMOVE:
            raise FixConfiguration(
                self.name, "conversions cannot be taken back", "Restate their value instead."
            )
        if action is Action.RESTATE and not self._allow_zero_restatement:
            self._refuse_zeros(shaped)
        return ingestion.ingest(self.account, ingestion.EVENTS, self.request(shaped))

    def request(self, shaped: Table, *, validate_only: bool = False) -> dict[str, Any]:
        """The IngestEventsRequest for WIRE rows, in the API's JSON."""
        return {
            "destinations": [ingestion.destination(self.account, self.conversion_action_id)],
            "encoding": "HEX",
            "validateOnly": validate_only,
            "events": list(events.events(shaped, self.event_source)),
        }

    def settle(self, request_id: str) -> Settlement:
        """What became of a request. The rows of a partial one are in doubt: Google names none."""
        return ingestion.settle(self.account, request_id)

    def check(self) -> Sequence[Finding]:
        """Sign-in, account, conversion action and both APIs, one after the other."""
        return checking.conversions(self, self._clock())

    def close(self) -> None:
        self.account.close()

    def _refuse_wrong_settings(self) -> None:
        if not self.conversion_action_id.isdecimal():
            raise FixConfiguration(
                self.name, "is not an id", "Write the number after ctId= in its web address."
            )
        if self.event_source not in facts.EVENT_SOURCES:
            known = ", ".join(facts.EVENT_SOURCES)
            raise FixConfiguration(
                self.name, f"event_source {self.event_source!r} is unknown", f"Use one of {known}."
            )
        if not facts.SHORTEST_CLICK_LOOKBACK <= self.lookback <= facts.LONGEST_CLICK_LOOKBACK:
            raise FixConfiguration(
                self.name,
                f"a look-back of {self.lookback} is not possible",
                "Use what Google Ads shows: 1 to 90 days.",
            )
        region = pa.array([self.default_region], pa.string())
        if self.default_region is not None and identity.countries(region)[0].as_py() is None:
            raise FixConfiguration(
                self.name,
                f"default_region {self.default_region!r} is unknown",
                "Use a country's code, as in DE.",
            )

    def _refuse_zeros(self, shaped: Table) -> None:
        zeros = pc.indices_nonzero(pc.equal(shaped["value"], pa.scalar(0))).to_pylist()
        if not zeros:
            return
        raise BatchRefused(
            self.name,
            f"{len(zeros)} rows restate to 0, after which a conversion takes no new value",
            "Set a floor in the value policy, or allow restating to 0.",
            reason=Reason.NO_VALUE,
            rejections=tuple(Rejection(index, Reason.NO_VALUE, "restates to 0") for index in zeros),
        )
