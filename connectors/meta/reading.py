"""What `check` reads from Meta: token, account, dataset and audience terms, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.errors import ConnectorError, FixConfiguration
from connectors.meta import facts
from connectors.meta.account import MetaAccount
from connectors.meta.client import GraphClient
from connectors.types import Finding, Severity

_RENEW = "Make a system-user token in Business settings, which does not expire, and use that."


def version(account: MetaAccount, now: datetime) -> Iterator[Finding]:
    """Whether the API version lives, and for how long."""
    what, name = "Meta API version", account.api_version
    if name not in facts.MARKETING_API_SUNSETS:
        yield Finding(
            Severity.WARNING, what, f"{name} is not known here", f"Use {facts.API_VERSION}, which is tested."
        )
        return
    sunset = facts.MARKETING_API_SUNSETS[name]
    remedy = f"Set api_version to {facts.API_VERSION}, or install a newer clvsync."
    if sunset is None:
        yield Finding(Severity.OK, what, f"{name}, no end announced")
    elif sunset <= now.date():
        yield Finding(Severity.ERROR, what, f"{name} ended on {sunset}", remedy)
    elif sunset - now.date() <= facts.SUNSET_WARNING:
        yield Finding(Severity.WARNING, what, f"{name} ends on {sunset}", remedy)
    else:
        yield Finding(Severity.OK, what, f"{name}, until {sunset}")


def token(
    client: GraphClient, account: MetaAccount, permissions: Collection[str], now: datetime
) -> Iterator[Finding]:
    """Whose token it is, what it may do and until when."""
    what = "Meta access token"
    asked = {"input_token": account.access_token.get_secret_value()}
    try:
        # By POST: the token to look at must not stand in an address.
        answer = client.read_by_post(what, "debug_token", asked)
    except FixConfiguration:
        yield from _permissions(client, what, permissions)
        return
    except ConnectorError as error:
        yield failed(error)
        return
    told = answer.get("data")
    told = told if isinstance(told, dict) else {}
    if told.get("is_valid") is False:
        yield Finding(Severity.ERROR, what, "Meta says that it is not valid", _RENEW)
        return
    scopes = {str(scope) for scope in told.get("scopes") or ()}
    yield _granted(what, permissions, scopes)
    kind = str(told.get("type") or "unknown")
    if kind != "SYSTEM_USER":
        yield Finding(Severity.WARNING, what, f"it is a token of kind {kind}", _RENEW)
    yield _expiry(what, told, now)


def account(client: GraphClient, ad_account: str) -> Iterator[Finding]:
    """Whether the ad account is active, its currency and time zone."""
    what = f"Meta ad account {ad_account}"
    fields = "id,name,account_status,currency,timezone_name"
    told, failure = _read(lambda: client.get(what, ad_account, {"fields": fields}))
    if failure:
        yield failure
        return
    status = told.get("account_status")
    if status == facts.ACTIVE_ACCOUNT_STATUS:
        found = f"active, {told.get('currency', 'no currency')}, {told.get('timezone_name', 'no time zone')}"
        yield Finding(Severity.OK, what, found)
    else:
        name = (
            facts.ACCOUNT_STATUSES.get(status, f"status {status}") if isinstance(status, int) else "unknown"
        )
        yield Finding(
            Severity.ERROR, what, f"it is {name}", "See Account Quality and billing in Ads Manager."
        )


def dataset(client: GraphClient, dataset_id: str) -> Iterator[Finding]:
    """Whether the dataset can be reached and has received events."""
    what = f"Meta dataset {dataset_id}"
    fields = "id,name,is_unavailable,last_fired_time"
    told, failure = _read(lambda: client.get(what, dataset_id, {"fields": fields}))
    if failure:
        yield failure
    elif told.get("is_unavailable") is True:
        yield Finding(Severity.ERROR, what, "it is unavailable", "See the dataset in Events Manager.")
    elif told.get("last_fired_time"):
        yield Finding(Severity.OK, what, f"last event at {told['last_fired_time']}")
    else:
        yield Finding(
            Severity.INFO, what, "it has not received an event yet", "Nothing to do before a first run."
        )


def audience_terms(client: GraphClient, ad_account: str, *, value_based: bool) -> Iterator[Finding]:
    """Whether the ad account has accepted the terms that uploads need."""
    what = f"Meta ad account {ad_account}, audience terms"
    told, failure = _read(lambda: client.get(what, ad_account, {"fields": "tos_accepted"}))
    if failure:
        yield failure
        return
    accepted = told.get("tos_accepted")
    wanted = {"custom_audience_tos": facts.AUDIENCE_TERMS_URL}
    if value_based:
        wanted["value_based_custom_audience_tos"] = facts.VALUE_AUDIENCE_TERMS_URL
    if not isinstance(accepted, dict):
        addresses = " and ".join(wanted.values())
        yield Finding(Severity.INFO, what, "Meta does not say", f"If uploads are refused, see {addresses}.")
        return
    missing = [address for name, address in wanted.items() if not accepted.get(name)]
    if missing:
        found = f"{len(missing)} not accepted"
        yield Finding(Severity.ERROR, what, found, f"Accept them at {' and '.join(missing)}.")
    else:
        yield Finding(Severity.OK, what, "accepted")


def quotas(client: GraphClient, meta_account: MetaAccount) -> Iterator[Finding]:
    """How full the quotas were, and whether calls were moved to a newer version."""
    usage = client.usage
    if usage is not None:
        full = usage.percent >= 100
        yield Finding(
            Severity.WARNING if full else Severity.OK,
            "Meta quotas",
            f"{usage.percent:.0f} percent used",
            "Wait, or ask for full access to the Marketing API." if full else "",
        )
    if client.version_warning:
        yield Finding(
            Severity.WARNING,
            "Meta API version",
            f"Meta moves calls from {meta_account.api_version} to a newer version",
            f"Set api_version to {facts.API_VERSION}, or install a newer clvsync.",
        )


def test_events(what: str) -> Finding:
    """A reminder while a test code is set."""
    return Finding(
        Severity.WARNING,
        what,
        "a test event code is set; test events count in measurement and targeting",
        "Take test_event_code out once the events have been seen in Events Manager.",
    )


def _permissions(client: GraphClient, what: str, permissions: Collection[str]) -> Iterator[Finding]:
    """Permissions alone, for servers that do not tell more of a token."""
    told, failure = _read(lambda: client.get(what, "me/permissions"))
    if failure:
        yield failure
        return
    entries = [entry for entry in told.get("data") or () if isinstance(entry, dict)]
    granted = {str(entry.get("permission")) for entry in entries if entry.get("status") == "granted"}
    yield _granted(what, permissions, granted)
    yield Finding(Severity.INFO, what, "when it expires is not known", _RENEW)


def _granted(what: str, permissions: Collection[str], scopes: Collection[str]) -> Finding:
    missing = sorted(set(permissions) - set(scopes))
    if missing:
        found = f"it lacks {', '.join(missing)}"
        return Finding(Severity.ERROR, what, found, "Make the token again with these permissions ticked.")
    return Finding(Severity.OK, what, f"it may {', '.join(sorted(permissions))}")


def _expiry(what: str, told: dict[str, Any], now: datetime) -> Finding:
    expires = told.get("expires_at")
    if not isinstance(expires, int):
        return Finding(Severity.INFO, what, "when it expires is not known", _RENEW)
    if expires == 0:
        return Finding(Severity.OK, what, "it does not expire")
    end = datetime.fromtimestamp(min(max(expires, 0), 253_402_300_799), UTC)
    left = end - now
    if left <= timedelta(0):
        return Finding(Severity.ERROR, what, f"it expired on {end:%Y-%m-%d}", _RENEW)
    near = left <= facts.TOKEN_EXPIRY_WARNING
    severity = Severity.WARNING if near else Severity.OK
    return Finding(severity, what, f"it expires on {end:%Y-%m-%d}", _RENEW if near else "")


def _read(ask: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], Finding | None]:
    try:
        return ask(), None
    except ConnectorError as error:
        return {}, failed(error)


def failed(error: ConnectorError) -> Finding:
    """A refusal as a line of `check`."""
    code = f" ({error.code})" if error.code else ""
    return Finding(Severity.ERROR, error.what, error.problem + code, error.remedy)
