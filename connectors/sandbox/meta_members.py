"""Who is in a customer-file audience: POST and DELETE /{audience}/users, POST /{audience}/usersreplace.

Rules: marketing-api/audiences/guides/custom-audiences, .../value-based-lookalike-audiences and the
reference of usersreplace, read November 2026.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import orjson

from connectors.sandbox import meta_facts as facts
from connectors.sandbox.endpoint import Answer
from connectors.sandbox.graph import SHA256_HEX, Call, GraphError, refuse
from connectors.sandbox.meta_events import HASH_OF_NOTHING
from connectors.sandbox.meta_state import AdAccount, Audience, IdentifierKey, Member, UploadSession

LARGEST_SESSION_ID = 2**63 - 1

EXTERN_ID = "EXTERN_ID"
# What names one person alone. The rest (names, places) counts only taken together.
STRONG_KEYS = ("EMAIL", "PHONE", "MADID")
FAILING_SHARE = 10
"""Of so many entries one fails under a fault of partial failure."""
_SUFFIX = "_SHA256"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row of a payload: what is known of the person, and the value."""

    identifiers: dict[str, str]
    value: float | None

    def found_by(self) -> list[IdentifierKey]:
        """What this person is found by: the external id alone, else the strong identifiers, else all."""
        if EXTERN_ID in self.identifiers:
            return [(EXTERN_ID, self.identifiers[EXTERN_ID])]
        strong = [(key, self.identifiers[key]) for key in STRONG_KEYS if key in self.identifiers]
        return strong or [("*", orjson.dumps(self.identifiers, option=orjson.OPT_SORT_KEYS).decode())]


def add_users(call: Call, audience: Audience, account: AdAccount, *, partly_fails: bool = False) -> Answer:
    """Add or update members. `partly_fails`: every tenth entry is counted as invalid whatever it holds."""
    _check_writable(audience)
    schema, rows = _payload(call, audience)
    session, batch = _session(call, audience, account, replaces=False)
    if session is None:
        refuse("The parameter session is required")
    entries, samples = _entries(schema, rows, partly_fails)
    repeated = batch in session.batches
    if not _over(session, call.now):
        for entry in entries:
            _put(audience, entry, call.now)
        _count(session, batch, rows, samples, repeated)
        _finish(call, session)
        audience.updated_at = call.now
    return _users_answer(audience, session, len(rows), samples)


def remove_users(call: Call, audience: Audience, account: AdAccount) -> Answer:
    """Remove the members that any strong identifier of an entry finds."""
    _check_writable(audience)
    schema, rows = _payload(call, audience)
    session, batch = _session(call, audience, account, replaces=False)
    entries, samples = _entries(schema, rows)
    if session is None:
        for entry in entries:
            _take_out(audience, entry)
        audience.updated_at = call.now
    elif not _over(session, call.now):
        for entry in entries:
            _take_out(audience, entry)
        _count(session, batch, rows, samples, batch in session.batches)
        _finish(call, session)
        audience.updated_at = call.now
    return _users_answer(audience, session, len(rows), samples)


def remove_everywhere(call: Call, account: AdAccount, audiences: list[Audience]) -> Answer:
    """DELETE /act_X/usersofanyaudience: out of every customer-file audience of the account."""
    schema, rows = _payload(call, None)
    entries, samples = _entries(schema, rows)
    for audience in audiences:
        for entry in entries:
            _take_out(audience, entry)
        audience.updated_at = call.now
    content = {
        "account_id": account.id,
        "num_received": len(rows),
        "num_invalid_entries": len(samples),
        "invalid_entry_samples": _sampled(samples),
    }
    return Answer(200, content, rows=len(rows))


def replace_users(
    call: Call, audience: Audience, account: AdAccount, *, partly_fails: bool = False
) -> Answer:
    """Replace all members, batch by batch of one session; the first batch deletes those there were."""
    _check_writable(audience)
    schema, rows = _payload(call, audience)
    if len(audience.members) >= facts.REPLACEABLE_MEMBERS:
        _refuse_update(facts.REPLACE_TOO_LARGE, "The audience is too large to be replaced")
    session, batch = _session(call, audience, account, replaces=True)
    if session is None:
        refuse("The parameter session is required")
    if _over(session, call.now):
        subcode = facts.SESSION_FINISHED if session.finished else facts.REPLACE_TIMED_OUT
        _refuse_update(subcode, "The replace session is over")
    entries, samples = _entries(schema, rows, partly_fails)
    if not session.batches:
        audience.members.clear()
        audience.by_identifier.clear()
        audience.operation_code = facts.OPERATION_UPDATING
    for entry in entries:
        _put(audience, entry, call.now)
    _count(session, batch, rows, samples, batch in session.batches)
    _finish(call, session)
    if session.finished:
        audience.operation_code = facts.OPERATION_NORMAL
    audience.updated_at = call.now
    return _users_answer(audience, session, len(rows), samples)


def _check_writable(audience: Audience) -> None:
    if audience.subtype != "CUSTOM":
        refuse("Users can be changed in customer-file audiences alone")
    if audience.operation_code == facts.OPERATION_FLAGGED:
        refuse(
            "The name of this audience suggests information that is not allowed; rename it",
            subcode=facts.AUDIENCE_NAME_FLAGGED,
            title="Audience Flagged",
        )


def _payload(call: Call, audience: Audience | None) -> tuple[list[str], list[Any]]:
    payload = call.json("payload")
    if not isinstance(payload, dict):
        refuse("The parameter payload is required")
    schema, rows = payload.get("schema"), payload.get("data")
    if isinstance(schema, str):
        schema = [schema]
        rows = [[row] if isinstance(row, str) else row for row in rows] if isinstance(rows, list) else rows
    if not isinstance(schema, list) or not schema or not isinstance(rows, list) or not rows:
        refuse("Data is missing or does not match schema")
    keys = [str(key).removesuffix(_SUFFIX) for key in schema]
    unknown = sorted(set(keys) - facts.MEMBER_KEYS)
    if unknown:
        refuse(f"Invalid schema keys: {', '.join(unknown)}")
    if len(rows) > facts.USERS_PER_REQUEST:
        refuse(f"At most {facts.USERS_PER_REQUEST} users can be changed in one request")
    if any(not isinstance(row, list) or len(row) != len(keys) for row in rows):
        refuse("Data is missing or does not match schema")
    if audience is not None and facts.LOOKALIKE_VALUE in keys and not audience.is_value_based:
        refuse("LOOKALIKE_VALUE needs an audience that is value-based")
    return keys, rows


def _session(
    call: Call, audience: Audience, account: AdAccount, *, replaces: bool
) -> tuple[UploadSession | None, int]:
    """The upload session that a request belongs to, begun where it is new, and the number of its batch."""
    described = call.json("session")
    if described is None:
        return None, 0
    if not isinstance(described, dict):
        refuse("Param session must be an object")
    number = _whole(described, "session_id", LARGEST_SESSION_ID)
    batch = _whole(described, "batch_seq", LARGEST_SESSION_ID)
    if not isinstance(described.get("last_batch_flag", False), bool):
        refuse("last_batch_flag must be a boolean")
    session = account.sessions.get(number)
    if session is None:
        if replaces:
            _check_may_replace(call, audience, account, batch)
        session = account.sessions[number] = UploadSession(number, audience.id, call.now, replaces)
    elif session.audience_id != audience.id or session.replaces != replaces:
        refuse("session_id must be unique within the ad account")
    if session.finished and batch not in session.batches:
        _refuse_update(facts.SESSION_FINISHED, "This session has had its last batch")
    return session, batch


def _check_may_replace(call: Call, audience: Audience, account: AdAccount, batch: int) -> None:
    for other in account.sessions.values():
        if other.audience_id == audience.id and other.replaces and not _over(other, call.now):
            _refuse_update(facts.REPLACE_IN_PROGRESS, "Another replace of this audience is in progress")
    if batch != 1:
        _refuse_update(facts.REPLACE_WITHOUT_FIRST_BATCH, "A replace begins with the batch of batch_seq 1")


def _refuse_update(subcode: int, message: str) -> NoReturn:
    raise GraphError(
        facts.AUDIENCE_UPDATE, f"(#2650) Failed to update the custom audience: {message}", subcode=subcode
    )


def _whole(described: dict[str, Any], name: str, largest: int) -> int:
    value = described.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
        refuse(f"{name} must be an integer from 1 to {largest}")
    return value


def _over(session: UploadSession, now: datetime) -> bool:
    """True once a session has had its last batch or its time: what comes after is discarded."""
    return session.finished or now - session.started_at > facts.SESSION_LIFETIME


def _count(
    session: UploadSession, batch: int, rows: list[Any], samples: dict[str, str], repeated: bool
) -> None:
    session.batches.add(batch)
    if not repeated:
        session.received += len(rows)
        session.invalid += len(samples)


def _finish(call: Call, session: UploadSession) -> None:
    if call.json("session").get("last_batch_flag", False):
        session.finished = True


def _entries(
    schema: list[str], rows: list[list[Any]], partly_fails: bool = False
) -> tuple[list[_Entry], dict[str, str]]:
    """The valid entries, and for each invalid one (by its place) what is wrong."""
    entries: list[_Entry] = []
    wrong: dict[str, str] = {}
    columns = [(key, _CELL_CHECKS[key]) for key in schema]
    for place, row in enumerate(rows):
        if partly_fails and place % FAILING_SHARE == 0:
            wrong[str(place)] = "failed on request"
            continue
        identifiers: dict[str, str] = {}
        value: float | None = None
        for (key, is_valid), cell in zip(columns, row, strict=True):
            if cell == "" or cell is None or key in facts.MEMBER_OPTION_KEYS:
                continue
            if not is_valid(cell):
                wrong[str(place)] = key
                break
            if key == facts.LOOKALIKE_VALUE:
                value = float(cell)
            else:
                identifiers.setdefault(key, cell)
        else:
            if identifiers:
                entries.append(_Entry(identifiers, value))
            else:
                wrong[str(place)] = "no identifier"
    return entries, wrong


def _is_hash(cell: Any) -> bool:
    return isinstance(cell, str) and SHA256_HEX.fullmatch(cell) is not None and cell != HASH_OF_NOTHING


def _is_plain(cell: Any) -> bool:
    return isinstance(cell, str) and bool(cell.strip())


def _is_value(cell: Any) -> bool:
    is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return is_number and math.isfinite(cell) and cell >= 0


_CELL_CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(facts.HASHED_MEMBER_KEYS, _is_hash),
    **dict.fromkeys(facts.PLAIN_MEMBER_KEYS, _is_plain),
    **dict.fromkeys(facts.MEMBER_OPTION_KEYS, lambda _: True),
    facts.LOOKALIKE_VALUE: _is_value,
}


def _put(audience: Audience, entry: _Entry, now: datetime) -> None:
    keys = entry.found_by()
    number = next((audience.by_identifier[key] for key in keys if key in audience.by_identifier), None)
    if number is None:
        number = audience.next_member
        audience.next_member += 1
        audience.members[number] = Member(entry.identifiers, entry.value, now, now)
        audience.added += 1
    else:
        member = audience.members[number]
        member.identifiers.update(entry.identifiers)
        member.value = entry.value if entry.value is not None else member.value
        member.updated_at = now
        audience.updated += 1
    # An entry with an external id is still found by its other identifiers when it is removed.
    strong = [(name, entry.identifiers[name]) for name in STRONG_KEYS if name in entry.identifiers]
    for key in (*keys, *strong):
        if audience.by_identifier.setdefault(key, number) == number:
            audience.members[number].keys.add(key)


def _take_out(audience: Audience, entry: _Entry) -> None:
    for key in entry.found_by():
        number = audience.by_identifier.get(key)
        if number is None:
            continue
        for kept in audience.members.pop(number).keys:
            del audience.by_identifier[kept]
        audience.removed += 1


def _sampled(samples: dict[str, str]) -> dict[str, str] | list[str]:
    # Graph writes an empty map as an empty list.
    return dict(list(samples.items())[: facts.INVALID_SAMPLES]) or []


def _users_answer(
    audience: Audience, session: UploadSession | None, rows: int, samples: dict[str, str]
) -> Answer:
    content = {
        "audience_id": audience.id,
        "session_id": str(session.id) if session else "",
        "num_received": session.received if session else rows,
        "num_invalid_entries": session.invalid if session else len(samples),
        "invalid_entry_samples": _sampled(samples),
    }
    return Answer(200, content, rows=rows)
