"""What `check` says of Google conversions: sign-in, account, conversion action, both APIs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from connectors.errors import ConnectorError, RetryLater
from connectors.google import events, facts, ingestion, reading
from connectors.google.account import GoogleAccount, hyphenated
from connectors.types import Finding, Severity, Table


class ConversionsDestination(Protocol):
    """What is looked at: the account, the action, and how a request for it is built."""

    account: GoogleAccount
    conversion_action_id: str
    lookback: timedelta

    def request(self, shaped: Table, *, validate_only: bool = False) -> dict[str, Any]: ...


_NOBODY = hashlib.sha256(b"nobody@example.com").hexdigest()


def conversions(destination: ConversionsDestination, now: datetime) -> list[Finding]:
    """One finding a line, good or bad. Later looks are left out where an earlier one makes them pointless."""
    account = destination.account
    findings = [sunset(now)]
    try:
        account.sign_in()
    except ConnectorError as error:
        return [*findings, _bad("Sign-in", error)]
    findings.append(Finding(Severity.OK, "Sign-in", "Google accepts the credentials"))
    try:
        findings += _account(account)
        findings += _conversion_action(destination)
        findings += _declarations(account)
    except ConnectorError as error:
        findings.append(_bad(account.name, error))
    return [*findings, _data_manager(destination, now)]


def sunset(now: datetime) -> Finding:
    """How long the version of the Google Ads API in use will live."""
    day = facts.ADS_API_SUNSETS[facts.ADS_API_VERSION]
    left = day - now.date()
    what = f"Google Ads API {facts.ADS_API_VERSION}"
    if left <= timedelta(0):
        return Finding(Severity.ERROR, what, f"expected to be off since {day}", "Install a newer release.")
    if left <= facts.SUNSET_NOTICE:
        return Finding(Severity.WARNING, what, f"expected to end on {day}", "Install a newer release.")
    return Finding(Severity.OK, what, f"expected to live until {day}")


def _account(account: GoogleAccount) -> Iterator[Finding]:
    customer = reading.customer(account)
    what = account.name
    if customer.manager:
        yield Finding(
            Severity.ERROR,
            what,
            "is a manager account",
            "Set customer_id to the advertiser's account and login_customer_id to this one.",
        )
    elif customer.status != "ENABLED":
        yield Finding(Severity.ERROR, what, f"is {customer.status}", "Reactivate it in Google Ads.")
    else:
        yield Finding(Severity.OK, what, f"{customer.name}, {customer.currency}, {customer.time_zone}")
    if customer.test_account:
        yield Finding(Severity.INFO, what, "is a test account: its ads are never shown")
    if customer.conversion_customer_id not in ("", account.customer_id):
        owner = hyphenated(customer.conversion_customer_id)
        yield Finding(
            Severity.ERROR,
            what,
            f"its conversions are kept by account {owner}",
            f"Set customer_id to {owner}: the Data Manager API takes conversions for that account alone.",
        )
    if customer.accepted_customer_data_terms:
        yield Finding(Severity.OK, "Customer data terms", "accepted")
    else:
        yield Finding(
            Severity.WARNING,
            "Customer data terms",
            "not accepted: conversions with an e-mail, phone or address are refused",
            "Accept them in Google Ads under Goals, Settings, Customer data terms.",
        )


def _conversion_action(destination: ConversionsDestination) -> Iterator[Finding]:
    wanted = destination.conversion_action_id
    what = f"Conversion action {wanted}"
    actions = {
        action.conversion_action_id: action for action in reading.conversion_actions(destination.account)
    }
    action = actions.get(wanted)
    if action is None:
        imports = [
            f"{other.conversion_action_id} ({other.name})"
            for other in actions.values()
            if other.type == facts.OFFLINE_ACTION_TYPE
        ]
        remedy = (
            f"Use one of {', '.join(imports)}." if imports else "Make one of the type Import, from clicks."
        )
        yield Finding(Severity.ERROR, what, "does not exist in this account", remedy)
        return
    what = f"{what} ({action.name})"
    problems = [*_faults(action, destination), *_lookback(action, destination)]
    for severity, found, remedy in problems:
        yield Finding(severity, what, found, remedy)
    if not any(severity is Severity.ERROR for severity, _, _ in problems):
        yield Finding(Severity.OK, what, f"{action.type}, {action.counting_type}, {action.status}")
    if not action.primary_for_goal:
        yield Finding(
            Severity.INFO, what, "is secondary: it is reported but not bid on, unless a custom goal names it"
        )


def _faults(
    action: reading.ConversionAction, destination: ConversionsDestination
) -> Iterator[tuple[Severity, str, str]]:
    if action.status != "ENABLED":
        yield Severity.ERROR, f"is {action.status}", "Enable it in Google Ads."
    if action.owner_customer_id not in ("", destination.account.customer_id):
        owner = hyphenated(action.owner_customer_id)
        yield Severity.ERROR, f"belongs to account {owner}", f"Set customer_id to {owner}."
    if action.type == facts.TAG_ACTION_TYPE:
        found = "is counted by the site's tag: conversions sent here add to or restate those of the tag"
        yield Severity.WARNING, found, "Send the site's own transaction ids, or use an import action."
    elif action.type != facts.OFFLINE_ACTION_TYPE:
        remedy = f"Use one of the type {facts.OFFLINE_ACTION_TYPE}."
        yield Severity.ERROR, f"is of the type {action.type}, which takes no uploads", remedy
    if action.always_use_default_value:
        remedy = "Choose different values for each conversion in its settings."
        yield Severity.ERROR, "always uses its default value: the values sent are ignored", remedy
    if action.counting_type == "ONE_PER_CLICK":
        found = "counts one per click: conversions with a gbraid or wbraid are refused"
        yield Severity.INFO, found, "Count every conversion if iOS clicks matter."


def _lookback(
    action: reading.ConversionAction, destination: ConversionsDestination
) -> Iterator[tuple[Severity, str, str]]:
    there, here = action.click_lookback, destination.lookback
    found = f"its click look-back is {there.days} days, and {here.days} are configured here"
    if there and here > there:
        yield Severity.WARNING, f"{found}: older clicks will fail at Google", f"Configure {there.days} days."
    elif there and here < there:
        yield (
            Severity.INFO,
            f"{found}: clicks that Google would take are held back",
            f"Configure {there.days} days.",
        )


def _declarations(account: GoogleAccount) -> Iterator[Finding]:
    what = "EU political advertising"
    missing = [
        campaign.name for campaign in reading.campaigns(account) if campaign.missing_eu_political_declaration
    ]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        yield Finding(
            Severity.WARNING,
            what,
            f"not declared for {shown}: no target can be changed",
            "Declare for every campaign in Google Ads whether it has EU political advertising.",
        )
    else:
        yield Finding(Severity.OK, what, "declared for every campaign")


def _data_manager(destination: ConversionsDestination, now: datetime) -> Finding:
    """One made-up event, sent to be validated and not kept."""
    event = {
        "key": "check",
        "transaction_id": "check",
        "event_timestamp": now - timedelta(hours=1),
        "last_updated_timestamp": now,
        "value": 1,
        "currency": "EUR",
        "email": _NOBODY,
        "ad_user_data": True,
        "ad_personalization": True,
    }
    request = destination.request(pa.Table.from_pylist([event], schema=events.WIRE), validate_only=True)
    error = ingestion.validate(destination.account, ingestion.EVENTS, request)
    what = "Data Manager API"
    return (
        Finding(Severity.OK, what, "takes events for this conversion action")
        if error is None
        else _bad(what, error)
    )


def _bad(what: str, error: ConnectorError) -> Finding:
    severity = Severity.WARNING if isinstance(error, RetryLater) else Severity.ERROR
    code = f" ({error.code})" if error.code else ""
    return Finding(severity, what, f"{error.problem}{code}", error.remedy)
