"""What Google's stand-in holds: accounts, clicks, conversions, user lists, and the requests it took."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from connectors.sandbox.google_accounts import Account, default_accounts
from connectors.sandbox.google_facts import REQUESTS_PER_MINUTE

ConversionKey = tuple[str, str, str]
"""(customer id, conversion action id, transaction id)."""

EVENT_SOURCE_WEB = 1


@dataclass
class GoogleSettings:
    """How the stand-in behaves where Google's behaviour varies or is not written down.

    `settle_after_seconds`: how long a request stays PROCESSING. `known_clicks_only`: a gclid that was not
    registered is CLICK_NOT_FOUND. `consent_required`: a row without ad_user_data consent is UNKNOWN_CONSENT.
    `quota`: more than `requests_per_minute` are refused. `violations_shown`: how many field violations a
    refusal names (None: all). `partial_failure_reason`: what PARTIAL_FAILURE rows fail for.
    """

    settle_after_seconds: float = 0.0
    known_clicks_only: bool = False
    consent_required: bool = False
    quota: bool = False
    requests_per_minute: int = REQUESTS_PER_MINUTE
    violations_shown: int | None = 100
    partial_failure_reason: str = "PROCESSING_ERROR_REASON_INTERNAL_ERROR"


@dataclass(frozen=True, slots=True)
class Click:
    """A click on an ad of one account."""

    gclid: str
    customer_id: str
    clicked_at: datetime
    campaign_id: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """One telling of a conversion: what a request said of it. `stale`: an older value than the one it
    overwrote. `ignored`: told after the conversion was restated to 0, which Google never adjusts again."""

    request_id: str
    value: float | None
    currency: str
    last_updated: datetime | None
    received_at: datetime
    stale: bool = False
    ignored: bool = False


@dataclass(slots=True)
class Conversion:
    """One conversion, counted once however often it is restated. `identifiers` are (kind, shape) pairs such
    as ("email_address", "hex"); the values themselves are in `user_identifiers` (kind, digest or text)."""

    customer_id: str
    action_id: str
    transaction_id: str | None
    event_at: datetime
    event_source: int
    value: float | None
    currency: str
    last_updated: datetime | None
    click_ids: dict[str, str]
    user_identifiers: frozenset[tuple[str, str]]
    identifiers: tuple[tuple[str, str], ...]
    customer_type: int
    history: list[Told] = field(default_factory=list)


class Membership:
    """Who is on a user list. People are told apart by their identifiers: two members that share one are the
    same person."""

    def __init__(self) -> None:
        self._people: dict[int, tuple[set[str], datetime]] = {}
        self._by_identifier: dict[str, int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._people)

    def identifiers(self) -> list[frozenset[str]]:
        return [frozenset(identifiers) for identifiers, _ in self._people.values()]

    def add(self, identifiers: Iterable[str], when: datetime) -> None:
        together = set(identifiers)
        for person in {self._by_identifier[one] for one in together if one in self._by_identifier}:
            together |= self._people.pop(person)[0]
        self._next += 1
        self._people[self._next] = (together, when)
        self._by_identifier.update(dict.fromkeys(together, self._next))

    def remove(self, identifiers: Iterable[str]) -> bool:
        """Remove whoever has one of these; False where nobody has."""
        people = {self._by_identifier[one] for one in identifiers if one in self._by_identifier}
        for person in people:
            self._drop(person)
        return bool(people)

    def remove_added_before(self, when: datetime) -> int:
        """Remove everyone last added before `when`; how many that were."""
        gone = [person for person, (_, added) in self._people.items() if added < when]
        for person in gone:
            self._drop(person)
        return len(gone)

    def _drop(self, person: int) -> None:
        for identifier in self._people.pop(person)[0]:
            del self._by_identifier[identifier]


@dataclass
class UserList:
    """A Customer Match list. `resource` is the Data Manager UserList message."""

    customer_id: str
    resource: Any
    members: Membership = field(default_factory=Membership)

    @property
    def list_id(self) -> str:
        return str(self.resource.id)


@dataclass
class DestinationOutcome:
    """What became of a request at one destination: rows that arrived, failures by ProcessingErrorReason."""

    destination: dict[str, Any]
    positions: list[int] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    identifier_count: int = 0


@dataclass
class TakenRequest:
    """A request that was accepted. `content` is dropped when it is settled. `failing_rows` fail whatever
    they hold (the PARTIAL_FAILURE fault)."""

    request_id: str
    kind: str
    received_at: datetime
    outcomes: list[DestinationOutcome]
    rows: int
    content: dict[str, Any] | None
    failing_rows: frozenset[int] = frozenset()
    settled_at: datetime | None = None


class GoogleState:
    """Google's part of the sandbox's state; take the state's lock around its use."""

    name: ClassVar[str] = "google"

    def __init__(self) -> None:
        self.settings = GoogleSettings()
        self.accounts: dict[str, Account] = default_accounts()
        self.clicks: dict[str, Click] = {}
        self.conversions: dict[ConversionKey, Conversion] = {}
        self.clicks_converted: dict[tuple[str, str, str, datetime], ConversionKey] = {}
        """(customer id, action id, click id, event time) → the conversion that has them."""
        self.user_lists: dict[str, UserList] = {}
        self.requests: dict[str, TakenRequest] = {}
        self.unsettled: deque[str] = deque()
        self.arrivals: dict[str, deque[datetime]] = {}
        """Per service the instants of the last minute's requests."""
        self._next_id = 8_000_000_000

    def next_id(self) -> int:
        """A new resource id, unlike any before."""
        self._next_id += 1
        return self._next_id

    def register_click(
        self, gclid: str, clicked_at: datetime, *, customer_id: str, campaign_id: str = ""
    ) -> None:
        """Make a click known, so that events are judged against its time and account."""
        self.clicks[gclid] = Click(gclid, customer_id, clicked_at, campaign_id)

    def record_tag_conversion(
        self,
        transaction_id: str,
        event_at: datetime,
        *,
        customer_id: str,
        action_id: str,
        value: float | None = None,
        currency: str = "",
    ) -> None:
        """Keep a conversion as a website's tag records it, which events may then restate."""
        told = Told(request_id="tag", value=value, currency=currency, last_updated=None, received_at=event_at)
        self.conversions[(customer_id, action_id, transaction_id)] = Conversion(
            customer_id=customer_id,
            action_id=action_id,
            transaction_id=transaction_id,
            event_at=event_at,
            event_source=EVENT_SOURCE_WEB,
            value=value,
            currency=currency,
            last_updated=None,
            click_ids={},
            user_identifiers=frozenset(),
            identifiers=(),
            customer_type=0,
            history=[told],
        )

    def summary(self) -> dict[str, Any]:
        conversions: Counter[str] = Counter()
        values: defaultdict[tuple[str, str], float] = defaultdict(float)
        for (customer_id, action_id, _), one in self.conversions.items():
            action = f"{customer_id}/{action_id}"
            conversions[action] += 1
            if one.value is not None:
                values[(action, one.currency)] += one.value
        return {
            "conversions": dict(conversions),
            "values": {
                f"{action} {currency}": round(total, 2) for (action, currency), total in values.items()
            },
            "user_lists": {
                f"{one.customer_id}/{key}": len(one.members) for key, one in self.user_lists.items()
            },
            "requests": len(self.requests),
            "unsettled": len(self.unsettled),
        }
