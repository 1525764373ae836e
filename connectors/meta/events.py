"""Conversions sent to a Meta dataset through the Conversions API.

One invalid event refuses its whole request, so rows are judged here first; what Meta still refuses is raised
as BatchRefused for the sender to split. A value once sent cannot be restated or taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors import currency as iso_currency
from connectors.errors import FateUnknown, FixConfiguration
from connectors.identity import looks_like_email
from connectors.meta import facts, identity, reading
from connectors.meta.account import MetaAccount
from connectors.meta.client import GraphClient
from connectors.meta.columns import amounts, first_reason, given, json_numbers, rejections
from connectors.meta.errors import scrub
from connectors.types import (
    Action,
    Array,
    Capabilities,
    Finding,
    Kind,
    Reason,
    Receipt,
    Settlement,
    SettlementState,
    Shaped,
    Table,
)

VALUE_FIELDS = ("value", "predicted_ltv", "net_revenue")
"""Where in `custom_data` a row's value may go. In the last two `value` carries the order's own revenue."""

_CONCURRENCY = 4


class MetaEvents:
    """The destination for conversions on one dataset, under one event name.

    `action_source` is where they happened. `default_region` (ISO alpha-2) is where national phone numbers are
    read if a row has no country. `test_event_code` shows events in Events Manager's test view as well; they
    count all the same. `value_field` is one of VALUE_FIELDS. A row without consent to personalised ads is
    sent with `opt_out`, which keeps it out of ads delivery. Raises FixConfiguration.
    """

    kind = Kind.CONVERSIONS

    def __init__(
        self,
        account: MetaAccount,
        dataset_id: str,
        event_name: str = "Purchase",
        *,
        action_source: str = "website",
        default_region: str | None = None,
        test_event_code: str | None = None,
        value_field: str = "value",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._what = f"Meta dataset {dataset_id}"
        _one_of(self._what, "action source", action_source, sorted(facts.ACTION_SOURCES))
        _one_of(self._what, "value field", value_field, VALUE_FIELDS)
        if not (dataset_id.isascii() and dataset_id.isdigit()):
            raise FixConfiguration(
                self._what, "a dataset's id is digits alone", "Copy it from Events Manager."
            )
        if not event_name.strip():
            raise FixConfiguration(self._what, "the event has no name", "Name it, such as Purchase.")
        self.address = f"meta/{dataset_id}/events/{event_name}"
        self._window = (
            facts.PHYSICAL_STORE_WINDOW if action_source == "physical_store" else facts.EVENT_WINDOW
        )
        self.capabilities = Capabilities(
            rows_per_request=facts.EVENTS_PER_REQUEST,
            resend_window=facts.DEDUPLICATION_WINDOW,
            reach=self._window,
            concurrency=_CONCURRENCY,
        )
        self._account = account
        self._dataset_id = dataset_id
        self._event_name = event_name
        self._action_source = action_source
        self._default_region = identity.region_code(self._what, default_region)
        self._test_event_code = test_event_code
        self._value_field = value_field
        self._clock = clock
        self._client = GraphClient(account)

    def prepare(self) -> None:
        """Nothing to make: a dataset is made by a person, in Events Manager."""

    def eligibility(self, rows: Table, now: datetime) -> Array:
        present = {
            wire: given(rows, *(f"has_{column}" for column in columns))
            for wire, columns in identity.SOURCE_COLUMNS.items()
        }
        currencies = pc.utf8_upper(rows["currency"])
        return first_reason(
            rows.num_rows,
            (pc.invert(given(rows, "ad_user_data")), Reason.NO_CONSENT),
            (identity.insufficient(present), Reason.NO_CLICK_OR_IDENTIFIER),
            (
                self._lacks_page(given(rows, "has_page_url"), given(rows, "has_user_agent")),
                Reason.MISSING_KEY,
            ),
            *self._outside_window(rows, now),
            (self._lacks_value(rows), Reason.NO_VALUE),
            (
                pc.invert(pc.is_in(currencies, pa.array(sorted(iso_currency.codes())))),
                Reason.UNKNOWN_CURRENCY,
            ),
        )

    def shape(self, rows: Table, now: datetime) -> Shaped:
        """CONVERSION rows → key, event_id, event_time (seconds), value and order_value (rounded to Meta's
        minor units), currency, customer_segmentation, opt_out, event_source_url, user data by wire name."""
        people = identity.hashed(rows, self._default_region) | identity.browser(rows)
        pages = identity.page_urls(rows["page_url"])
        currencies = pc.utf8_upper(rows["currency"])
        wire = pa.table(
            {
                "key": rows["key"],
                "event_id": rows["event_id"],
                "event_time": rows["event_time"]
                .cast(pa.timestamp("s", tz="UTC"), safe=False)
                .cast(pa.int64()),
                "value": amounts(rows["value"], currencies),
                "order_value": amounts(rows["order_value"], currencies),
                "currency": currencies,
                "customer_segmentation": _segmentation(rows["customer_type"]),
                "opt_out": pc.invert(given(rows, "ad_personalization")),
                "event_source_url": pages,
                **people,
            }
        )
        reasons = first_reason(
            rows.num_rows,
            *self._outside_window(rows, now),
            (
                pc.or_(looks_like_email(rows["key"]), looks_like_email(rows["event_id"])),
                Reason.BAD_IDENTIFIER,
            ),
            (
                identity.insufficient({name: pc.is_valid(column) for name, column in people.items()}),
                Reason.BAD_IDENTIFIER,
            ),
            (
                self._lacks_page(pc.is_valid(pages), pc.is_valid(people["client_user_agent"])),
                Reason.MISSING_KEY,
            ),
        )
        return Shaped(wire.filter(pc.is_null(reasons)), rejections(reasons))

    def send(self, shaped: Table, action: Action) -> Receipt:
        if action is not Action.ADD:
            raise FixConfiguration(
                self._what, f"events cannot be sent to {action.value} others", "Send new events alone."
            )
        params = {"data": self.body(shaped)}
        if self._test_event_code:
            params["test_event_code"] = self._test_event_code
        rows = shaped.num_rows
        answer = self._client.post(self._what, f"{self._dataset_id}/events", params, rows=rows)
        received = answer.get("events_received")
        if not isinstance(received, int):
            raise FateUnknown(
                self._what,
                "the answer does not say how many events were received",
                "They are sent again with the same ids while Meta tells them apart.",
            )
        trace = answer.get("fbtrace_id")
        messages = answer.get("messages")
        return Receipt(
            request_id=scrub(trace) if isinstance(trace, str) else None,
            unplaced=max(0, rows - received),
            words=scrub("; ".join(map(str, messages))) if isinstance(messages, list) else "",
        )

    def body(self, shaped: Table) -> str:
        """Shaped rows as the JSON array of one request."""
        return orjson.dumps(list(self._events(shaped))).decode()

    def settle(self, request_id: str) -> Settlement:  # noqa: ARG002 - nothing is left to ask
        """Every request is settled by its own answer."""
        return Settlement(SettlementState.ACCEPTED)

    def check(self) -> Sequence[Finding]:
        """API version, token and dataset, as Meta tells them now."""
        findings = [
            *reading.version(self._account, self._clock()),
            *reading.token(self._client, self._account, facts.EVENTS_PERMISSIONS, self._clock()),
            *reading.dataset(self._client, self._dataset_id),
            *reading.quotas(self._client, self._account),
        ]
        if self._test_event_code:
            findings.append(reading.test_events(self._what))
        return findings

    def close(self) -> None:
        self._client.close()

    def _outside_window(self, rows: Table, now: datetime) -> tuple[tuple[Array, Reason], ...]:
        times = rows["event_time"]
        return (
            (pc.less(times, pa.scalar(now - self._window, times.type)), Reason.TOO_OLD),
            (pc.greater(times, pa.scalar(now + facts.CLOCK_TOLERANCE, times.type)), Reason.IN_FUTURE),
        )

    def _lacks_page(self, has_page: Array, has_user_agent: Array) -> Array:
        if self._action_source != "website":
            return pa.array([False] * len(has_page), pa.bool_())
        return pc.invert(pc.and_(has_page, has_user_agent))

    def _lacks_value(self, rows: Table) -> Array:
        if self._value_field == "value":
            return pc.less(rows["value"], 0).fill_null(True)
        # A predicted value must be positive (guides/predicted-lifetime-value); `value` is required beside it.
        least = pc.less_equal if self._value_field == "predicted_ltv" else pc.less
        return pc.or_(
            least(rows["value"], 0).fill_null(True), pc.less(rows["order_value"], 0).fill_null(True)
        )

    def _events(self, shaped: Table) -> Iterator[dict[str, Any]]:
        """The rows as Meta's events."""
        named = {"event_name": self._event_name, "action_source": self._action_source}
        columns = (
            *(shaped[name].to_pylist() for name in ("event_id", "event_time", "event_source_url", "opt_out")),
            self._custom_data(shaped),
            _user_data(shaped),
        )
        for event_id, seconds, page, opt_out, custom_data, user_data in zip(*columns, strict=True):
            event = {**named, "event_id": event_id, "event_time": seconds}
            if page is not None:
                event["event_source_url"] = page
            if opt_out:
                event["opt_out"] = True
            event["user_data"] = user_data
            event["custom_data"] = custom_data
            yield event

    def _custom_data(self, shaped: Table) -> Iterator[dict[str, Any]]:
        values, order_values = json_numbers(shaped["value"]), json_numbers(shaped["order_value"])
        if self._value_field == "value":
            # A property of our own: Meta has no field for revenue beside the value that is bid on.
            numbers = {"value": values, "order_value": order_values}
        else:
            numbers = {"value": order_values, self._value_field: values}
        texts = {
            "currency": shaped["currency"].to_pylist(),
            "order_id": shaped["event_id"].to_pylist(),
            "customer_segmentation": shaped["customer_segmentation"].to_pylist(),
        }
        return _documents(numbers | texts)


def _user_data(shaped: Table) -> Iterator[dict[str, Any]]:
    return _documents({name: shaped[name].to_pylist() for name in (*identity.HASHED, *identity.BROWSER)})


def _documents(columns: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Columns → one dictionary a row, without what is null."""
    names = tuple(columns)
    for row in zip(*columns.values(), strict=True):
        yield {name: value for name, value in zip(names, row, strict=True) if value is not None}


def _segmentation(customer_types: Array) -> Array:
    known = facts.CUSTOMER_SEGMENTATION
    places = pc.index_in(customer_types, pa.array(list(known)))
    return pa.array(list(known.values())).take(places)


def _one_of(what: str, thing: str, given_name: str, allowed: Sequence[str]) -> None:
    if given_name not in allowed:
        raise FixConfiguration(what, f"{given_name!r} is no {thing}", f"Use one of {', '.join(allowed)}.")
