"""What the stand-in Meta holds: tokens, ad accounts, datasets with their events, audiences with members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

EventKey: TypeAlias = tuple[Any, ...]
IdentifierKey: TypeAlias = tuple[str, str]
"""A member's schema key and its value, such as ("EMAIL", "<hash>")."""

ALL_PERMISSIONS = frozenset({"ads_management", "ads_read", "business_management"})


@dataclass(slots=True)
class AccessToken:
    """A system user's token. `expires_at` None: never."""

    user_id: str
    permissions: frozenset[str] = ALL_PERMISSIONS
    expires_at: datetime | None = None


@dataclass(slots=True)
class KeptEvent:
    """An event as it was sent, and when it came."""

    content: dict[str, Any]
    received_at: datetime
    test_event_code: str | None = None


@dataclass(slots=True)
class AppendedValues:
    """AppendValue events by what became of them: joined to the conversion they name, naming none that was
    sent, too late after it was sent, or computed before it happened."""

    matched: list[KeptEvent] = field(default_factory=list)
    unmatched: list[KeptEvent] = field(default_factory=list)
    too_late: list[KeptEvent] = field(default_factory=list)
    before_conversion: list[KeptEvent] = field(default_factory=list)


@dataclass(slots=True)
class Dataset:
    """A dataset (pixel). `received` counts every event that was taken, `duplicates` those discarded after.

    `seen` holds when a deduplication key was first received; `conversions` finds the conversion event by
    (event_name, "event_id" or "order_id", id).
    """

    id: str
    account_id: str
    name: str = "Sandbox dataset"
    events: list[KeptEvent] = field(default_factory=list)
    appended: AppendedValues = field(default_factory=AppendedValues)
    seen: dict[EventKey, datetime] = field(default_factory=dict)
    conversions: dict[EventKey, KeptEvent] = field(default_factory=dict)
    received: int = 0
    duplicates: int = 0


@dataclass(slots=True)
class Member:
    """One member of a customer-file audience; `identifiers` as sent, `value` its LOOKALIKE_VALUE, `keys` what
    the audience finds it by."""

    identifiers: dict[str, str]
    value: float | None
    added_at: datetime
    updated_at: datetime
    keys: set[IdentifierKey] = field(default_factory=set)


@dataclass(slots=True)
class UploadSession:
    """One upload session of an audience, ended 90 minutes after its first batch if not by its last."""

    id: int
    audience_id: str
    started_at: datetime
    replaces: bool = False
    finished: bool = False
    batches: set[int] = field(default_factory=set)
    received: int = 0
    invalid: int = 0


@dataclass(slots=True)
class Audience:
    """A custom or lookalike audience. `by_identifier` finds a member by one of its strong identifiers."""

    id: str
    account_id: str
    name: str
    subtype: str
    created_at: datetime
    updated_at: datetime
    operation_code: int
    description: str = ""
    customer_file_source: str | None = None
    is_value_based: bool = False
    origin_audience_id: str | None = None
    lookalike_spec: dict[str, Any] | None = None
    audience_labels: list[str] = field(default_factory=list)
    members: dict[int, Member] = field(default_factory=dict)
    by_identifier: dict[IdentifierKey, int] = field(default_factory=dict)
    next_member: int = 0
    added: int = 0
    updated: int = 0
    removed: int = 0


@dataclass(slots=True)
class AdAccount:
    """An ad account; `id` without "act_"."""

    id: str
    name: str = "Sandbox ad account"
    currency: str = "EUR"
    timezone: str = "Europe/Berlin"
    terms_accepted: bool = True
    value_based_terms_accepted: bool = True
    sessions: dict[int, UploadSession] = field(default_factory=dict)


class MetaState:
    """Everything the stand-in Meta holds. Without arguments: ad account 1001 with dataset 2001.

    `app_secret` None: an appsecret_proof is looked at for its shape alone.
    """

    name: ClassVar[str] = "meta"

    def __init__(
        self,
        accounts: Iterable[AdAccount] = (),
        datasets: Iterable[Dataset] = (),
        *,
        app_secret: str | None = None,
    ) -> None:
        kept_accounts = tuple(accounts) or (AdAccount("1001"),)
        kept_datasets = tuple(datasets) or (Dataset("2001", kept_accounts[0].id),)
        self.app_secret = app_secret
        self.tokens = {
            "sandbox-token": AccessToken("3001"),
            "read-only-token": AccessToken("3002", frozenset({"ads_read"})),
            "expired-token": AccessToken("3003", expires_at=datetime(2026, 1, 1, tzinfo=UTC)),
        }
        self.accounts = {account.id: account for account in kept_accounts}
        self.datasets = {dataset.id: dataset for dataset in kept_datasets}
        self.audiences: dict[str, Audience] = {}
        self.calls: Counter[str] = Counter()
        self._last_audience = 4000

    def new_audience_id(self) -> str:
        self._last_audience += 1
        return str(self._last_audience)

    def summary(self) -> dict[str, Any]:
        return {
            "datasets": {dataset.id: _dataset_summary(dataset) for dataset in self.datasets.values()},
            "audiences": {audience.id: _audience_summary(audience) for audience in self.audiences.values()},
        }


def _dataset_summary(dataset: Dataset) -> dict[str, Any]:
    appended = dataset.appended
    return {
        "received": dataset.received,
        "duplicates": dataset.duplicates,
        "events": len(dataset.events),
        "events_by_name": Counter(kept.content["event_name"] for kept in dataset.events),
        "test_events": sum(kept.test_event_code is not None for kept in dataset.events),
        "value": _sums(dataset.events, "value"),
        "appended": {
            "matched": len(appended.matched),
            "unmatched": len(appended.unmatched),
            "too_late": len(appended.too_late),
            "before_conversion": len(appended.before_conversion),
        },
        "predicted_ltv": _sums([*dataset.events, *appended.matched], "predicted_ltv"),
    }


def _sums(events: Iterable[KeptEvent], name: str) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for kept in events:
        custom = kept.content.get("custom_data") or {}
        if custom.get(name) is not None:
            sums[str(custom.get("currency", "")).upper()] += custom[name]
    return {currency: round(total, 4) for currency, total in sums.items()}


def _audience_summary(audience: Audience) -> dict[str, Any]:
    values = [member.value for member in audience.members.values() if member.value is not None]
    return {
        "name": audience.name,
        "subtype": audience.subtype,
        "is_value_based": audience.is_value_based,
        "members": len(audience.members),
        "value": round(sum(values), 4),
        "added": audience.added,
        "updated": audience.updated,
        "removed": audience.removed,
        "origin_audience_id": audience.origin_audience_id,
        "lookalike_spec": audience.lookalike_spec,
    }
