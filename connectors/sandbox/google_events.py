"""Events of the Data Manager API: what IngestEvents refuses, and what becomes of what it took.

Rules: field comments, ErrorReason and ProcessingErrorReason in google-ads-datamanager 0.9.4;
data-manager/api/devguides/events/google-ads (offline conversions, conversion adjustments), November 2026.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_facts import CLICK_RIPENS_AFTER, MOST_EVENTS
from connectors.sandbox.google_identity import (
    HEX,
    IdentifierCheck,
    consent_violations,
    destination_violations,
    encoding_violations,
    identifiers_of,
    in_future,
    reference_violations,
)
from connectors.sandbox.google_state import (
    Conversion,
    GoogleState,
    TakenRequest,
    Told,
)
from connectors.sandbox.google_status import Violation

CLICK_IDS = ("gclid", "gbraid", "wbraid")
EVENT_SOURCES = frozenset({1, 2, 3, 4, 5, 6})
CUSTOMER_TYPES = frozenset({0, 1, 2, 3})
CONSENT_DENIED = 2
ADJUSTABLE_TYPES = ("UPLOAD_CLICKS", "WEBPAGE")
"""Conversion action types that take events; offline conversions and additional data for tags."""

_CLICK_ID = re.compile(r"[0-9A-Za-z_-]+", re.ASCII)
_DIGITS = re.compile(r"\d+", re.ASCII)
_REASON = "PROCESSING_ERROR_REASON_"
_INVALID_CLICK_ID = {name: f"{_REASON}INVALID_{name.upper()}" for name in CLICK_IDS}


def violations(request: dict[str, Any], google: GoogleState, now: datetime) -> list[Violation]:
    """Why IngestEvents refuses this decoded request whole; empty where it is taken."""
    events = request.get("events") or []
    if not events:
        return [Violation("events", "REQUIRED_FIELD_MISSING")]
    if len(events) > MOST_EVENTS:
        return [Violation("events.events", "TOO_MANY_EVENTS")]
    found = destination_violations(
        request, google, lambda account, action_id, path: _action_violations(account, action_id, path, now)
    )
    if found:
        return found
    found += encoding_violations(request, any("user_data" in event for event in events))
    found += consent_violations(request.get("consent", {}), "consent")
    references = {each.get("reference", "") for each in request["destinations"]}
    checker = _EventChecker(
        identifiers=IdentifierCheck(request.get("encoding") or HEX, "encryption_info" in request),
        references=references,
        signed=all(_terms_signed(google, each) for each in request["destinations"]),
        to_tag=any(_to_tag(google, each) for each in request["destinations"]),
        now=now,
    )
    for index, event in enumerate(events):
        found += checker.check(event, f"events.events[{index}]")
    return found


def _terms_signed(google: GoogleState, destination: dict[str, Any]) -> bool:
    customer = google.accounts[destination["operating_account"]["account_id"]].customer
    return bool(customer.conversion_tracking_setting.accepted_customer_data_terms)


def _to_tag(google: GoogleState, destination: dict[str, Any]) -> bool:
    account = google.accounts[destination["operating_account"]["account_id"]]
    action = account.conversion_actions[destination["product_destination_id"]]
    return _enum_name(action, "type_") == "WEBPAGE"


def _action_violations(account: Account, action_id: str, path: str, now: datetime) -> list[Violation]:
    field = f"{path}.product_destination_id"
    if account.conversion_customer_id != account.customer_id:
        # Neither a parent's nor a child's action may be written through this account.
        return [Violation(f"{path}.operating_account", "INVALID_DESTINATION", "Not the conversion customer.")]
    action = account.conversion_actions.get(action_id)
    if action is None or _enum_name(action, "status") != "ENABLED":
        return [Violation(field, "INVALID_CONVERSION_ACTION_ID")]
    if _enum_name(action, "type_") not in ADJUSTABLE_TYPES:
        return [Violation(field, "INVALID_CONVERSION_ACTION_TYPE")]
    if now - account.action_created[action_id] < CLICK_RIPENS_AFTER:
        return [Violation(field, "CONVERSION_ACTION_TOO_RECENTLY_CREATED")]
    return []


def _enum_name(message: Any, field: str) -> str:
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    return str(descriptor.enum_type.values_by_number[getattr(message, field)].name)


class _EventChecker:
    def __init__(
        self, *, identifiers: IdentifierCheck, references: set[str], signed: bool, to_tag: bool, now: datetime
    ) -> None:
        self._identifiers = identifiers
        self._references = references
        self._signed = signed
        self._to_tag = to_tag
        self._now = now

    def check(self, event: dict[str, Any], path: str) -> list[Violation]:
        found = self._time_and_source(event, path)
        found += self._value(event, path)
        found += self._who(event, path)
        if "consent" in event:
            found += consent_violations(event["consent"], f"{path}.consent")
        if "destination_references" in event:
            found += reference_violations(event, self._references, path)
        if "third_party_user_data" in event:
            found.append(Violation(f"{path}.third_party_user_data", "THIRD_PARTY_USER_DATA_NOT_ALLOWED"))
        if self._to_tag and not event.get("transaction_id"):
            # Event.transaction_id: required for events sent as an additional data source for a tag's.
            found.append(Violation(f"{path}.transaction_id", "REQUIRED_FIELD_MISSING"))
        if event.get("user_properties", {}).get("customer_type", 0) not in CUSTOMER_TYPES:
            found.append(Violation(f"{path}.user_properties.customer_type", "INVALID_ENUM_VALUE"))
        return found

    def _time_and_source(self, event: dict[str, Any], path: str) -> list[Violation]:
        found: list[Violation] = []
        happened = event.get("event_timestamp")
        if happened is None:
            found.append(Violation(f"{path}.event_timestamp", "REQUIRED_FIELD_MISSING"))
        elif in_future(happened, self._now):
            found.append(Violation(f"{path}.event_timestamp", "EVENT_TIME_INVALID", "In the future."))
        source = event.get("event_source", 0)
        if not source:
            found.append(Violation(f"{path}.event_source", "REQUIRED_FIELD_MISSING"))
        elif source not in EVENT_SOURCES:
            found.append(Violation(f"{path}.event_source", "INVALID_ENUM_VALUE"))
        return found

    @staticmethod
    def _value(event: dict[str, Any], path: str) -> list[Violation]:
        found: list[Violation] = []
        value, currency = event.get("conversion_value"), event.get("currency")
        if value is not None and not (math.isfinite(value) and value >= 0):
            found.append(Violation(f"{path}.conversion_value", "INVALID_NUMBER_FORMAT", "Must be 0 or more."))
        if value is not None and not currency:
            found.append(Violation(f"{path}.currency", "REQUIRED_FIELD_MISSING"))
        if currency and currency not in _currency_codes():
            found.append(Violation(f"{path}.currency", "INVALID_CURRENCY_CODE"))
        return found

    def _who(self, event: dict[str, Any], path: str) -> list[Violation]:
        ad_identifiers = event.get("ad_identifiers", {})
        clicks = sum(1 for name in CLICK_IDS if ad_identifiers.get(name))
        found: list[Violation] = []
        if clicks > 1:
            found.append(
                Violation(f"{path}.ad_identifiers", "INVALID_EVENT", "Only one of gclid, gbraid, wbraid.")
            )
        data = event.get("user_data")
        if data is None:
            if not clicks:
                found.append(Violation(path, "NO_IDENTIFIERS_PROVIDED"))
            return found
        if not self._signed:
            found.append(
                Violation(f"{path}.user_data", "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED")
            )
        found += self._identifiers.violations(data, path)
        return found


def warnings(request: dict[str, Any]) -> list[dict[str, str]]:
    """Field warnings: what is wrong with optional fields, which Google then leaves out."""
    return [
        {"reason": f"WARNING_REASON_{reason}", "field": field, "description": description}
        for index, event in enumerate(request["events"])
        if "custom_variables" in event or "cart_data" in event
        for reason, field, description in _event_warnings(event, f"events.events[{index}]")
    ]


def _event_warnings(event: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for index, _ in enumerate(event.get("custom_variables", ())):
        # The sandbox's accounts have no custom variables.
        field = f"{path}.custom_variables[{index}].variable"
        yield "CUSTOM_VARIABLE_NOT_ENABLED", field, "The custom variable is not enabled."
    cart = event.get("cart_data")
    if cart is None:
        return
    field = f"{path}.cart_data"
    if any(event.get("ad_identifiers", {}).get(name) for name in ("gbraid", "wbraid")):
        yield "CART_DATA_NOT_SUPPORTED_WITH_GBRAID_OR_WBRAID", field, "Cart data is left out."
    if cart.get("merchant_id") and not _DIGITS.fullmatch(cart["merchant_id"]):
        yield "INVALID_MERCHANT_ID", f"{field}.merchant_id", "The merchant id is not valid."
    for index, item in enumerate(cart.get("items", ())):
        if not item.get("merchant_product_id"):
            path_of_item = f"{field}.items[{index}].merchant_product_id"
            yield "CART_DATA_ITEM_MERCHANT_PRODUCT_ID_MISSING", path_of_item, "The product id is missing."
        if "unit_price" not in item:
            path_of_item = f"{field}.items[{index}].unit_price"
            yield "CART_DATA_ITEM_UNIT_PRICE_MISSING", path_of_item, "The unit price is missing."


def process(request: TakenRequest, google: GoogleState) -> None:
    """Turn a taken request into conversions, restatements and counted failures."""
    events = (request.content or {}).get("events", [])
    for outcome in request.outcomes:
        account = google.accounts[outcome.destination["operating_account"]["account_id"]]
        action = account.conversion_actions[outcome.destination["product_destination_id"]]
        processor = _Processor(google, account, action, request)
        for position in outcome.positions:
            event = events[position]
            if position in request.failing_rows:
                outcome.failures[google.settings.partial_failure_reason] += 1
                continue
            reason = processor.process(event, position)
            if reason is not None:
                outcome.failures[reason] += 1


class _Processor:
    """Works through the events of one request for one conversion action."""

    def __init__(
        self,
        google: GoogleState,
        account: Account,
        action: Any,
        request: TakenRequest,
    ) -> None:
        content = request.content or {}
        self._google = google
        self._customer_id = account.customer_id
        self._action_id = str(action.id)
        self._request = request
        self._encoding = content.get("encoding") or HEX
        self._consent = content.get("consent", {}).get("ad_user_data", 0)
        self._lookback = timedelta(days=action.click_through_lookback_window_days)
        self._one_per_click = _enum_name(action, "counting_type") == "ONE_PER_CLICK"
        self._seen: set[str] = set()

    def process(self, event: dict[str, Any], position: int) -> str | None:
        """Keep one event; the ProcessingErrorReason's name where it fails."""
        consent = event.get("consent", {}).get("ad_user_data", 0) or self._consent
        if consent == CONSENT_DENIED:
            return f"{_REASON}DENIED_CONSENT"
        if not consent and self._google.settings.consent_required:
            return f"{_REASON}UNKNOWN_CONSENT"
        transaction_id = event.get("transaction_id", "")
        if transaction_id in self._seen:
            return f"{_REASON}DUPLICATE_TRANSACTION_ID"
        click = self._click_id(event)
        reason = self._click_failure(event, *click) if click else None
        if reason is not None:
            return reason
        key = (
            self._customer_id,
            self._action_id,
            transaction_id or f"#{self._request.request_id}/{position}",
        )
        kept = self._google.conversions.get(key)
        if kept is not None:
            self._restate(kept, event)
        else:
            # How old an adjustment may be is not written down; a first telling is held to the look-back.
            if self._request.received_at - event["event_timestamp"] > self._lookback:
                return f"{_REASON}EVENT_TOO_OLD"
            told = (self._customer_id, self._action_id, click[1] if click else "", event["event_timestamp"])
            if click and told in self._google.clicks_converted:
                return f"{_REASON}DUPLICATE_GCLID"
            self._google.conversions[key] = self._conversion(event, click)
            if click:
                self._google.clicks_converted[told] = key
        if transaction_id:
            self._seen.add(transaction_id)
        return None

    @staticmethod
    def _click_id(event: dict[str, Any]) -> tuple[str, str] | None:
        ad_identifiers = event.get("ad_identifiers", {})
        for name in CLICK_IDS:
            if ad_identifiers.get(name):
                return name, ad_identifiers[name]
        return None

    def _click_failure(self, event: dict[str, Any], name: str, click_id: str) -> str | None:
        if not _CLICK_ID.fullmatch(click_id):
            return _INVALID_CLICK_ID[name]
        if name != "gclid":
            braid_refused = f"{_REASON}ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID"
            return braid_refused if self._one_per_click else None
        click = self._google.clicks.get(click_id)
        if click is None:
            return f"{_REASON}CLICK_NOT_FOUND" if self._google.settings.known_clicks_only else None
        happened = event["event_timestamp"]
        if click.customer_id != self._customer_id:
            return f"{_REASON}INVALID_OPERATING_ACCOUNT_FOR_CLICK"
        if happened < click.clicked_at:
            return f"{_REASON}CONVERSION_PRECEDES_CLICK"
        if happened - click.clicked_at > self._lookback:
            return f"{_REASON}EVENT_TOO_OLD"
        if self._request.received_at - click.clicked_at < CLICK_RIPENS_AFTER:
            return f"{_REASON}TOO_RECENT_CLICK"
        return None

    def _conversion(self, event: dict[str, Any], click: tuple[str, str] | None) -> Conversion:
        people = identifiers_of(event.get("user_data", {}), self._encoding)
        shape = "hex" if self._encoding == HEX else "base64"
        conversion = Conversion(
            customer_id=self._customer_id,
            action_id=self._action_id,
            transaction_id=event.get("transaction_id") or None,
            event_at=event["event_timestamp"],
            event_source=event["event_source"],
            value=event.get("conversion_value"),
            currency=event.get("currency", ""),
            last_updated=event.get("last_updated_timestamp"),
            click_ids=dict([click]) if click else {},
            user_identifiers=frozenset(people),
            identifiers=(
                *([(click[0], "click id")] if click else []),
                *((kind, shape) for kind, _ in people),
            ),
            customer_type=event.get("user_properties", {}).get("customer_type", 0),
        )
        conversion.history.append(self._told(event))
        return conversion

    def _told(self, event: dict[str, Any], *, stale: bool = False, ignored: bool = False) -> Told:
        return Told(
            request_id=self._request.request_id,
            value=event.get("conversion_value"),
            currency=event.get("currency", ""),
            last_updated=event.get("last_updated_timestamp"),
            received_at=self._request.received_at,
            stale=stale,
            ignored=ignored,
        )

    def _restate(self, kept: Conversion, event: dict[str, Any]) -> None:
        """Value and currency are overwritten, whichever is newer; user data is added only where there was
        none; everything else stays. What was once restated to 0 is never adjusted again
        (support.google.com/google-ads/answer/7686447)."""
        if kept.value == 0 and len(kept.history) > 1:
            kept.history.append(self._told(event, ignored=True))
            return
        updated = event.get("last_updated_timestamp")
        stale = updated is not None and kept.last_updated is not None and updated < kept.last_updated
        kept.history.append(self._told(event, stale=stale))
        if "conversion_value" in event:
            kept.value, kept.currency = event["conversion_value"], event["currency"]
        kept.last_updated = updated or kept.last_updated
        if not kept.user_identifiers:
            people = identifiers_of(event.get("user_data", {}), self._encoding)
            shape = "hex" if self._encoding == HEX else "base64"
            kept.user_identifiers = frozenset(people)
            kept.identifiers += tuple((kind, shape) for kind, _ in people)


@cache
def _currency_codes() -> frozenset[str]:
    import pycountry

    return frozenset(currency.alpha_3 for currency in pycountry.currencies)
