"""Members of one Meta custom audience, with a value each where it is value-based.

Members are added, refreshed and taken out through `/users`: `/usersreplace` uploads everybody again within 90
minutes and does not document LOOKALIKE_VALUE. The price is that changes to an audience used in active ad sets
reset their learning, so a sync should not run more often than it needs.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import ConnectorError, FateUnknown, FixConfiguration
from connectors.identity import looks_like_email
from connectors.meta import facts, identity, reading
from connectors.meta.account import MetaAccount
from connectors.meta.client import GraphClient
from connectors.meta.columns import amounts, first_reason, given, json_numbers, rejections
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
    Severity,
    Shaped,
    Table,
)

# Meta's schema key → the wire name in connectors.meta.identity.
_SCHEMA: Mapping[str, str] = {
    "EMAIL": "em",
    "PHONE": "ph",
    "FN": "fn",
    "LN": "ln",
    "CT": "ct",
    "ST": "st",
    "ZIP": "zp",
    "COUNTRY": "country",
}
_VALUE = "LOOKALIKE_VALUE"
_FIELDS = "id,name,subtype,is_value_based,operation_status"
_PAGE = 100
_RENAME = "Use a name and a description that say nothing of health or money, such as a tier's letter."


def name_problem(name: str) -> str | None:
    """Why Meta would flag an audience of this name, or None. It restricts what suggests health or money."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    flagged = sorted(set(words) & facts.SENSITIVE_WORDS)
    return f"{', '.join(map(repr, flagged))} suggests health or financial status" if flagged else None


class MetaAudience:
    """The destination for one custom audience of an ad account, found by its name or made.

    `value_based` members carry their value. `labels` are of facts.AUDIENCE_LABELS. `audience_id` takes an
    audience that is there already. A member's EXTERN_ID is its ledger key, which is not personal, unhashed
    as Meta asks. Raises FixConfiguration.
    """

    kind = Kind.AUDIENCE
    capabilities = Capabilities(rows_per_request=facts.MEMBERS_PER_REQUEST, updates=True, removes=True)

    def __init__(
        self,
        account: MetaAccount,
        name: str,
        *,
        value_based: bool,
        description: str = "",
        labels: Sequence[str] = (),
        default_region: str | None = None,
        audience_id: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._what = f"Meta audience {name!r}"
        if account.ad_account is None:
            raise FixConfiguration(self._what, "no ad account is set", "Set accounts.meta.ad_account.")
        if not name.strip():
            raise FixConfiguration(self._what, "the audience has no name", "Name it.")
        unknown = sorted(set(labels) - facts.AUDIENCE_LABELS)
        if unknown:
            raise FixConfiguration(
                self._what,
                f"{', '.join(unknown)} is no audience label",
                f"Use some of {', '.join(sorted(facts.AUDIENCE_LABELS))}.",
            )
        self._ad_account = account.ad_account
        self.address = f"meta/{account.ad_account}/audience/{name}"
        self._account = account
        self._name = name
        self._value_based = value_based
        self._description = description
        self._labels = tuple(labels)
        self._default_region = identity.region_code(self._what, default_region)
        self._audience_id = audience_id
        self._clock = clock
        self._prepared: str | None = None
        self._preparing = threading.Lock()
        self._client = GraphClient(account)

    def prepare(self) -> None:
        """Find the audience, or make it. Raises FixConfiguration where it cannot be used."""
        with self._preparing:
            if self._prepared is not None:
                return
            self._refuse_sensitive_words()
            audience = self._find()
            if audience is None:
                self._prepared = self._make()
            else:
                self._refuse_unusable(audience)
                self._prepared = str(audience["id"])

    def eligibility(self, rows: Table, now: datetime) -> Array:  # noqa: ARG002 - members do not age
        present = {
            wire: given(rows, *(f"has_{column}" for column in identity.SOURCE_COLUMNS[wire]))
            for wire in identity.HASHED
        }
        no_value = pc.less(rows["value"], 0).fill_null(True)
        return first_reason(
            rows.num_rows,
            (pc.invert(_agreed(rows)), Reason.NO_CONSENT),
            (pc.invert(identity.names_a_person(present)), Reason.NO_IDENTIFIER),
            *([(no_value, Reason.NO_VALUE)] if self._value_based else []),
        )

    def shape(self, rows: Table, now: datetime) -> Shaped:  # noqa: ARG002 - members do not age
        """MEMBER rows → key and Meta's schema keys, hashed; with LOOKALIKE_VALUE where value-based.

        Without consent, as when the source no longer has the person, a row can only be there to be taken
        out, for which its key is enough. Raises FixConfiguration where values are in several currencies:
        Meta compares them as they are.
        """
        people = identity.hashed(rows, self._default_region)
        columns = {"key": rows["key"]} | {key: people[wire] for key, wire in _SCHEMA.items()}
        if self._value_based:
            currencies = pc.utf8_upper(rows["currency"])
            self._refuse_several_currencies(currencies)
            columns[_VALUE] = amounts(rows["value"], currencies)
        found = identity.names_a_person({name: pc.is_valid(column) for name, column in people.items()})
        unfindable = pc.and_(_agreed(rows), pc.invert(found))
        bad = pc.or_(looks_like_email(rows["key"]), unfindable)
        reasons = first_reason(rows.num_rows, (bad, Reason.BAD_IDENTIFIER))
        return Shaped(pa.table(columns).filter(pc.is_null(reasons)), rejections(reasons))

    def send(self, shaped: Table, action: Action) -> Receipt:
        """Add, refresh or take out members. To take out, the column `key` alone is enough for as long as
        Meta keeps it (facts.EXTERNAL_ID_KEPT); after that identifiers are needed beside it."""
        if action is Action.RESTATE:
            raise FixConfiguration(self._what, "members are not restated", "Add them again instead.")
        if self._prepared is None:
            raise FixConfiguration(
                self._what, "the audience was not prepared", "Call prepare() before send()."
            )
        removes = action is Action.REMOVE
        names = [
            key for key in _SCHEMA if key in shaped.column_names and shaped[key].null_count < len(shaped)
        ]
        cells: list[Sequence[Any]] = [shaped[name].to_pylist() for name in ("key", *names)]
        if self._value_based and not removes:
            names.append(_VALUE)
            cells.append(json_numbers(shaped[_VALUE]))
        # What is not known of a member is an empty cell.
        known = [["" if cell is None else cell for cell in column] for column in cells]
        members = list(zip(*known, strict=True))
        payload = orjson.dumps({"schema": ["EXTERN_ID", *names], "data": members}).decode()
        # One session a request: what a request is told then counts its own rows alone, and no session is
        # left open for Meta to end after 90 minutes.
        session_id = secrets.randbits(facts.SESSION_ID_BITS)
        session = {
            "session_id": session_id,
            "batch_seq": 1,
            "last_batch_flag": True,
            "estimated_num_total": len(members),
        }
        params: dict[str, Any] = {"payload": payload, "session": session}
        if removes:
            # The documented way to keep the payload out of the address.
            params["method"] = "DELETE"
        answer = self._client.post(self._what, f"{self._prepared}/users", params, rows=len(members))
        return self._receipt(answer, str(session_id), len(members))

    def settle(self, request_id: str) -> Settlement:  # noqa: ARG002 - nothing is left to ask
        """Every request is settled by its own answer; matching takes Meta up to a day and is not reported
        by member."""
        return Settlement(SettlementState.ACCEPTED)

    def check(self) -> Sequence[Finding]:
        """API version, token, ad account, terms and the audience itself, as Meta tells them now."""
        now = self._clock()
        problem = name_problem(f"{self._name} {self._description}")
        return [
            *([Finding(Severity.ERROR, self._what, problem, _RENAME)] if problem else []),
            *reading.version(self._account, now),
            *reading.token(self._client, self._account, facts.AUDIENCE_PERMISSIONS, now),
            *reading.account(self._client, self._ad_account),
            *reading.audience_terms(self._client, self._ad_account, value_based=self._value_based),
            self._look(),
            *reading.quotas(self._client, self._account),
        ]

    def close(self) -> None:
        self._client.close()

    def _look(self) -> Finding:
        try:
            audience = self._find()
            if audience is None:
                return Finding(Severity.INFO, self._what, "it is not there yet", "The first run makes it.")
            self._refuse_unusable(audience)
        except ConnectorError as error:
            return reading.failed(error)
        return Finding(Severity.OK, self._what, f"found, id {audience['id']}")

    def _refuse_sensitive_words(self) -> None:
        problem = name_problem(f"{self._name} {self._description}")
        if problem:
            raise FixConfiguration(self._what, problem, _RENAME)

    def _find(self) -> dict[str, Any] | None:
        if self._audience_id is not None:
            return self._client.get(self._what, self._audience_id, {"fields": _FIELDS})
        listing = self._client.listing(
            self._what, f"{self._ad_account}/customaudiences", {"fields": _FIELDS, "limit": _PAGE}
        )
        found = [entry for entry in listing if entry.get("name") == self._name and entry.get("id")]
        if len(found) > 1:
            raise FixConfiguration(
                self._what,
                f"{len(found)} audiences have this name ({', '.join(str(entry['id']) for entry in found)})",
                "Rename or delete all but one, or give audience_id.",
            )
        return found[0] if found else None

    def _make(self) -> str:
        params: dict[str, Any] = {
            "name": self._name,
            "subtype": "CUSTOM",
            "customer_file_source": "USER_PROVIDED_ONLY",
            "description": self._description,
            "is_value_based": int(self._value_based),
        }
        if self._labels:
            params["audience_labels"] = list(self._labels)
        answer = self._client.post(self._what, f"{self._ad_account}/customaudiences", params)
        if not answer.get("id"):
            raise FateUnknown(
                self._what, "the answer does not name the new audience", "It is looked for again."
            )
        return str(answer["id"])

    def _refuse_unusable(self, audience: Mapping[str, Any]) -> None:
        if str(audience.get("subtype", "CUSTOM")) != "CUSTOM":
            raise FixConfiguration(
                self._what, "it is not a customer list", "Use another name, or the id of a customer list."
            )
        is_value_based = audience.get("is_value_based")
        if is_value_based is not None and bool(is_value_based) != self._value_based:
            raise FixConfiguration(
                self._what,
                f"at Meta it {'has' if is_value_based else 'has no'} values, which cannot be changed",
                f"Set value_based to {str(bool(is_value_based)).lower()}, or use another name.",
            )
        status = audience.get("operation_status")
        if isinstance(status, dict) and status.get("code") == facts.FLAGGED_OPERATION_STATUS:
            raise FixConfiguration(
                self._what, "Meta has flagged it", "Appeal in Audience Manager, or use another name."
            )

    def _refuse_several_currencies(self, currencies: Array) -> None:
        found = sorted(code for code in pc.unique(currencies).to_pylist() if code)
        if len(found) > 1:
            raise FixConfiguration(
                self._what,
                f"its values are in {', '.join(found)}, which Meta compares as they are",
                "Give the values in one currency.",
            )

    def _receipt(self, answer: Mapping[str, Any], session_id: str, rows: int) -> Receipt:
        """Counts alone: the samples of invalid entries that Meta gives back are not kept."""
        received, invalid = answer.get("num_received"), answer.get("num_invalid_entries")
        if not isinstance(received, int):
            raise FateUnknown(
                self._what, "the answer does not say how many members were received", "They are sent again."
            )
        refused = invalid if isinstance(invalid, int) else 0
        return Receipt(
            request_id=session_id,
            unplaced=max(0, refused, rows - received),
            words=f"{received} received, {refused} invalid",
        )


def _agreed(rows: Table) -> Array:
    return pc.and_(given(rows, "ad_user_data"), given(rows, "ad_personalization"))
