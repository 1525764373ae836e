"""The Conversions API: POST /{dataset}/events, all of a request or nothing of it.

Rules: conversions-api/using-the-api, conversions-api/parameters, conversions-api/best-practices,
conversions-api/guides/predicted-lifetime-value, read November 2026. Subcodes other than those for too old
events and too little user data are unconfirmed and left out.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import pycountry

from connectors.sandbox import meta_facts as facts
from connectors.sandbox.endpoint import Answer
from connectors.sandbox.graph import SHA256_HEX, Call, refuse, trace_id
from connectors.sandbox.meta_state import Dataset, EventKey, KeptEvent

HASH_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
CURRENCIES = frozenset(currency.alpha_3 for currency in pycountry.currencies)

# conversions-api/parameters/fbp-and-fbc; a last part of two to eight letters is what Meta's own
# parameter builder appends.
_FBC = re.compile(r"fb\.\d\.\d{13}\.[A-Za-z0-9_-]{4,}(\.[A-Za-z0-9_-]{2,8})?")
_FBP = re.compile(r"fb\.\d\.\d{13}\.\d+(\.[A-Za-z0-9_-]{2,8})?")
_LEAD_ID = re.compile(r"\d{15,17}")
_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_PARTNER_AGENT = re.compile(r"(?=(?:[^A-Za-z]*[A-Za-z]){2}).{1,22}")


def receive(call: Call, dataset: Dataset) -> Answer:
    """Check every event of a request, then keep them all. Raises GraphError, having kept nothing."""
    events = _events(call)
    test_event_code = call.text("test_event_code")
    agent = call.text("partner_agent")
    if agent is not None and not _PARTNER_AGENT.fullmatch(agent):
        refuse("partner_agent must have fewer than 23 characters, at least two of them letters")
    for event in events:
        _check(event, call.now)
    for event in events:
        _keep(dataset, KeptEvent(event, call.now, test_event_code))
    content = {"events_received": len(events), "messages": [], "fbtrace_id": trace_id()}
    return Answer(200, content, rows=len(events))


def _events(call: Call) -> list[dict[str, Any]]:
    data = call.json("data")
    if data is None:
        refuse("The parameter data is required")
    if not isinstance(data, list) or not data:
        refuse("Param data must be a non-empty array")
    if len(data) > facts.EVENTS_PER_REQUEST:
        refuse(f"Param data must have at most {facts.EVENTS_PER_REQUEST} events")
    try:
        events = [orjson.loads(event) if isinstance(event, str) else event for event in data]
    except orjson.JSONDecodeError:
        refuse("Every event of data must be valid JSON")
    if not all(isinstance(event, dict) for event in events):
        refuse("Every event of data must be an object")
    return events


def _check(event: dict[str, Any], now: datetime) -> None:
    name = event.get("event_name")
    if not isinstance(name, str) or not name:
        refuse("The parameter event_name is required", title="Missing Event Name")
    source = event.get("action_source")
    if not isinstance(source, str) or source not in facts.ACTION_SOURCES:
        refuse("action_source must be one of the documented sources", title="Invalid Action Source")
    _check_time(event.get("event_time"), source, now)
    for key in ("event_id", "event_source_url", "referrer_url"):
        if event.get(key) is not None and not isinstance(event[key], str):
            refuse(f"{key} must be a string", title="Invalid Parameter")
    user = event.get("user_data")
    if not isinstance(user, dict):
        refuse("The parameter user_data is required", title="Missing User Data")
    _check_user(user)
    _check_options(event)
    for key in ("custom_data", "original_event_data"):
        if event.get(key) is not None and not isinstance(event[key], dict):
            refuse(f"{key} must be an object", title="Invalid Parameter")
    custom = event.get("custom_data")
    _check_custom(name, custom or {})
    if name == facts.APPEND_VALUE:
        # Its guide lists what it needs; the page and the browser are not among that.
        _check_append_value(event, custom or {})
    elif source == "website":
        _check_website(event, user)


def _check_time(event_time: Any, source: str, now: datetime) -> None:
    if not isinstance(event_time, int) or isinstance(event_time, bool) or event_time <= 0:
        refuse("event_time must be a Unix timestamp in seconds", title="Invalid Event Timestamp")
    age = now.timestamp() - event_time
    window = facts.OFFLINE_EVENT_WINDOW if source == "physical_store" else facts.EVENT_WINDOW
    if age > window.total_seconds():
        refuse(
            "The timestamp for this event is too far in the past. Events need to be sent within "
            f"{window.days} days of when they occurred.",
            subcode=facts.EVENT_TOO_OLD,
            title="Event Timestamp Too Old",
        )
    if age < -facts.FUTURE_TOLERANCE.total_seconds():
        refuse("The timestamp for this event is in the future", title="Event Timestamp In The Future")


def _check_user(user: dict[str, Any]) -> None:
    present = set()
    for key, value in user.items():
        if value is None:
            continue
        if key in facts.HASHED_USER_KEYS:
            _check_hashes(key, value)
        elif (check := _PLAIN_CHECKS.get(key)) is not None and not check(value):
            refuse(f"user_data {key} has the wrong format", title="Invalid User Data")
        if value != [] and (key in facts.HASHED_USER_KEYS or key in facts.PLAIN_USER_KEYS):
            present.add(key)
    if any(present <= insufficient for insufficient in facts.INSUFFICIENT_IDENTIFIERS):
        refuse(
            "This event has too little customer information to be matched; add more parameters to user_data",
            subcode=facts.TOO_LITTLE_USER_DATA,
            title="Not Enough Customer Information",
        )


def _check_hashes(key: str, value: Any) -> None:
    for one in value if isinstance(value, list) else (value,):
        if not isinstance(one, str) or len(one) != 64 or SHA256_HEX.fullmatch(one) is None:
            refuse(f"user_data {key} must be a lower-case hexadecimal SHA-256", title="Unhashed User Data")
        if one == HASH_OF_NOTHING:
            refuse(f"user_data {key} is the hash of an empty string", title="Empty User Data")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_text_or_texts(value: Any) -> bool:
    return all(_is_text(one) for one in value) if isinstance(value, list) else _is_text(value)


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


_PLAIN_CHECKS: dict[str, Callable[[Any], bool]] = {
    "external_id": _is_text_or_texts,
    "client_ip_address": _is_address,
    "client_user_agent": _is_text,
    "fbc": lambda value: isinstance(value, str) and _FBC.fullmatch(value) is not None,
    "fbp": lambda value: isinstance(value, str) and _FBP.fullmatch(value) is not None,
    "lead_id": lambda value: not isinstance(value, bool) and _LEAD_ID.fullmatch(str(value)) is not None,
    "subscription_id": _is_text,
    "madid": _is_text,
    "ctwa_clid": _is_text,
}


def _check_website(event: dict[str, Any], user: dict[str, Any]) -> None:
    if not _URL.fullmatch(event.get("event_source_url") or ""):
        refuse("event_source_url is required for website events", title="Missing Event Source URL")
    if not user.get("client_user_agent"):
        refuse("client_user_agent is required for website events", title="Missing User Agent")


def _check_options(event: dict[str, Any]) -> None:
    options = event.get("data_processing_options")
    if options is None:
        return
    if options not in ([], [facts.LIMITED_DATA_USE]):
        refuse("data_processing_options must be [] or [LDU]", title="Invalid Data Processing Options")
    country = event.get("data_processing_options_country", 0)
    state = event.get("data_processing_options_state", 0)
    whole = isinstance(country, int) and isinstance(state, int)
    if (
        not whole
        or country not in facts.LIMITED_DATA_USE_COUNTRIES
        or state not in facts.LIMITED_DATA_USE_STATES
    ):
        refuse("The country or state is unknown", title="Invalid Data Processing Options")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_custom(name: str, custom: dict[str, Any]) -> None:
    for key in ("value", "predicted_ltv", "net_revenue"):
        amount = custom.get(key)
        # A margin may be a loss; a price may not.
        if amount is not None and not (_is_number(amount) and (amount >= 0 or key == "net_revenue")):
            refuse(f"custom_data {key} must be a number of currency units", title="Invalid Value Parameter")
    currency = custom.get("currency")
    if currency is not None and (not isinstance(currency, str) or currency.upper() not in CURRENCIES):
        refuse("custom_data currency must be an ISO 4217 code", title="Invalid Currency Code")
    if name == "Purchase":
        if custom.get("value") is None:
            refuse("custom_data value is required for Purchase", title="Missing Value For Purchase Event")
        if currency is None:
            refuse(
                "custom_data currency is required for Purchase", title="Missing Currency For Purchase Event"
            )


def _check_append_value(event: dict[str, Any], custom: dict[str, Any]) -> None:
    original = event.get("original_event_data")
    if not isinstance(original, dict) or not _is_text(original.get("event_name")):
        refuse("original_event_data event_name is required", title="Missing Original Event")
    if not _is_text(original.get("event_id")) and not _is_text(original.get("order_id")):
        refuse("original_event_data needs event_id or order_id", title="Missing Original Event")
    if event["action_source"] != "website":
        refuse("action_source must be website for AppendValue", title="Invalid Action Source")
    if not custom.get("predicted_ltv"):
        refuse(
            "custom_data predicted_ltv must be a positive number", title="Missing Predicted Lifetime Value"
        )
    if custom.get("currency") is None:
        refuse("custom_data currency is required for AppendValue", title="Missing Currency")


def _keep(dataset: Dataset, kept: KeptEvent) -> None:
    dataset.received += 1
    key, window = _deduplication_key(kept.content)
    if key is not None:
        first = dataset.seen.get(key)
        if first is not None and kept.received_at - first <= window:
            dataset.duplicates += 1
            return
        dataset.seen[key] = kept.received_at
    if kept.content["event_name"] == facts.APPEND_VALUE:
        _append(dataset, kept)
        return
    dataset.events.append(kept)
    for conversion_key in _conversion_keys(kept.content):
        dataset.conversions.setdefault(conversion_key, kept)


def _deduplication_key(event: dict[str, Any]) -> tuple[EventKey | None, Any]:
    if event["action_source"] == "physical_store":
        custom = event.get("custom_data") or {}
        user = event["user_data"]
        who = str(custom.get("order_id") or orjson.dumps(user, option=orjson.OPT_SORT_KEYS))
        key = ("offline", event["event_name"], event["event_time"], str(custom.get("item_number")), who)
        return key, facts.OFFLINE_DEDUPLICATION_WINDOW
    if event.get("event_id"):
        return (event["event_name"], event["event_id"]), facts.DEDUPLICATION_WINDOW
    return None, None


def _conversion_keys(event: dict[str, Any]) -> list[EventKey]:
    """What an AppendValue event can name this event by. An event that names an original one itself is no
    conversion event, and cannot be named."""
    original = event.get("original_event_data") or {}
    if original.get("event_id") or original.get("order_id"):
        return []
    ids = {"event_id": event.get("event_id"), "order_id": (event.get("custom_data") or {}).get("order_id")}
    return [(event["event_name"], name, value) for name, value in ids.items() if _is_text(value)]


def _append(dataset: Dataset, kept: KeptEvent) -> None:
    original = kept.content["original_event_data"]
    conversions = [
        dataset.conversions.get((original["event_name"], name, original[name]))
        for name in ("event_id", "order_id")
        if _is_text(original.get(name))
    ]
    first = conversions[0]
    appended = dataset.appended
    # Both ids, where both are given, have to be those of one event.
    if first is None or any(other is not first for other in conversions):
        appended.unmatched.append(kept)
    elif kept.received_at - first.received_at > facts.APPEND_VALUE_WINDOW:
        appended.too_late.append(kept)
    elif kept.content["event_time"] <= first.content["event_time"]:
        appended.before_conversion.append(kept)
    else:
        appended.matched.append(kept)
