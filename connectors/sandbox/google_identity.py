"""Checks of what identifies a person or an account in Data Manager requests.

Rules: field comments of UserData, AddressInfo, Destination and ErrorReason in google-ads-datamanager 0.9.4;
data-manager/api/devguides/concepts/formatting and .../events/google-ads/offline/upgrade, November 2026.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from connectors.sandbox.google_accounts import Account
from connectors.sandbox.google_facts import MOST_DESTINATIONS, MOST_USER_IDENTIFIERS
from connectors.sandbox.google_state import GoogleState
from connectors.sandbox.google_status import Refused, Violation

HEX, BASE64 = 1, 2
SHA256_BYTES = 32
GOOGLE_ADS, DATA_PARTNER = 1, 4

_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)
_ACCOUNT_ID = re.compile(r"\d{1,19}", re.ASCII)
_HASHED_PARTS = (("given_name", "Given name"), ("family_name", "Family name"))
_KINDS = (("email_address", "Email"), ("phone_number", "Phone number"))


@dataclass(frozen=True, slots=True)
class IdentifierCheck:
    """Judges UserData by a request's `encoding`; `encrypted` hashes cannot be looked into."""

    encoding: int
    encrypted: bool

    def violations(self, data: dict[str, Any], path: str) -> list[Violation]:
        """What is wrong with one UserData; `path` is its record's."""
        field = f"{path}.user_data.user_identifiers"
        identifiers = data.get("user_identifiers") or []
        if not identifiers:
            return [Violation(field, "REQUIRED_FIELD_MISSING", "At least one user identifier is required.")]
        if len(identifiers) > MOST_USER_IDENTIFIERS:
            return [Violation(field, "TOO_MANY_USER_IDENTIFIERS")]
        found: list[Violation] = []
        for identifier in identifiers:
            if "address" in identifier:
                found += self._address(identifier["address"], path, field)
                continue
            for kind, label in _KINDS:
                if identifier.get(kind):
                    found += self._hash(identifier[kind], label, path, field)
                    break
            else:
                found.append(Violation(field, "REQUIRED_FIELD_MISSING", "The user identifier is empty."))
        return found

    def _address(self, address: dict[str, Any], path: str, field: str) -> list[Violation]:
        found = [
            Violation(f"{field}.address.{part}", "REQUIRED_FIELD_MISSING")
            for part in ("given_name", "family_name", "region_code", "postal_code")
            if not address.get(part)
        ]
        for part, label in _HASHED_PARTS:
            if address.get(part):
                found += self._hash(address[part], label, path, field)
        region, postcode = address.get("region_code"), address.get("postal_code")
        if region and region not in _region_codes():
            found.append(Violation(f"{field}.address.region_code", "INVALID_REGION_CODE"))
        if postcode and _SHA256_HEX.fullmatch(postcode):
            found.append(
                Violation(f"{field}.address.postal_code", "INVALID_POSTAL_CODE", "Must not be hashed.")
            )
        return found

    def _hash(self, value: str, label: str, path: str, field: str) -> Sequence[Violation]:
        if self.encoding == HEX:
            # The common case costs one look.
            if _SHA256_HEX.fullmatch(value):
                return ()
            if not _HEX.fullmatch(value):
                return [Violation(field, "INVALID_HEX_ENCODING", f"{label} is not hex encoded.")]
            length = len(value) // 2
        else:
            try:
                length = len(base64.b64decode(value, validate=True))
            except (binascii.Error, ValueError):
                return [Violation(field, "INVALID_BASE64_ENCODING", f"{label} is not base64 encoded.")]
        # Google's own sample places this one at the record, the two above at its identifiers.
        return () if length == SHA256_BYTES or self.encrypted else [Violation(path, "INVALID_SHA256_FORMAT")]


def identifiers_of(data: dict[str, Any], encoding: int) -> list[tuple[str, str]]:
    """(kind, value) of every identifier of a checked UserData, one spelling whatever the encoding."""
    found: list[tuple[str, str]] = []
    for identifier in data.get("user_identifiers", ()):
        address = identifier.get("address")
        if address is not None:
            names = [_digest(address[part], encoding) for part, _ in _HASHED_PARTS]
            found.append(("address", "|".join([*names, address["region_code"], address["postal_code"]])))
            continue
        for kind, _ in _KINDS:
            if identifier.get(kind):
                found.append((kind, _digest(identifier[kind], encoding)))
    return found


def _digest(value: str, encoding: int) -> str:
    return value.lower() if encoding == HEX else base64.b64decode(value).hex()


def encoding_violations(request: dict[str, Any], uses_user_data: bool) -> list[Violation]:
    """`encoding` is required as soon as one record carries user data."""
    encoding = request.get("encoding", 0)
    if encoding not in (0, HEX, BASE64):
        return [Violation("encoding", "INVALID_ENUM_VALUE")]
    if uses_user_data and not encoding:
        return [Violation("encoding", "REQUIRED_FIELD_MISSING", "Required for requests with user data.")]
    return []


def consent_violations(consent: dict[str, Any], path: str) -> list[Violation]:
    return [
        Violation(f"{path}.{name}", "INVALID_ENUM_VALUE")
        for name, value in consent.items()
        if value not in (0, 1, 2)
    ]


CheckTarget = Callable[[Account, str, str], list[Violation]]
"""(account, product destination id, the destination's path) → what is wrong with what it writes to."""


def destination_violations(
    request: dict[str, Any], google: GoogleState, check_target: CheckTarget
) -> list[Violation]:
    """What is wrong with a request's destinations. Raises Refused (403) for an account out of reach."""
    destinations = request.get("destinations") or []
    if not destinations:
        return [Violation("destinations", "REQUIRED_FIELD_MISSING")]
    if len(destinations) > MOST_DESTINATIONS:
        return [Violation("destinations.destinations", "TOO_MANY_DESTINATIONS")]
    found: list[Violation] = []
    references: set[str] = set()
    for index, destination in enumerate(destinations):
        path = f"destinations.destinations[{index}]"
        reference = destination.get("reference", "")
        if reference and reference in references:
            found.append(Violation(f"{path}.reference", "DUPLICATE_DESTINATION_REFERENCE"))
        references.add(reference)
        wrong = _account_violations(destination, path)
        if wrong:
            found += wrong
            continue
        account = reachable_account(destination, google)
        if not destination.get("product_destination_id"):
            found.append(Violation(f"{path}.product_destination_id", "REQUIRED_FIELD_MISSING"))
        else:
            found += check_target(account, destination["product_destination_id"], path)
    return found


def _account_violations(destination: dict[str, Any], path: str) -> list[Violation]:
    found: list[Violation] = []
    if "operating_account" not in destination:
        return [Violation(f"{path}.operating_account", "REQUIRED_FIELD_MISSING")]
    for name in ("operating_account", "login_account", "linked_account"):
        account = destination.get(name)
        if account is None:
            continue
        kind, product = account.get("account_type", 0), account.get("product", 0)
        if not account.get("account_id"):
            found.append(Violation(f"{path}.{name}.account_id", "REQUIRED_FIELD_MISSING"))
        elif not _ACCOUNT_ID.fullmatch(account["account_id"]):
            found.append(Violation(f"{path}.{name}.account_id", "INVALID_NUMBER_FORMAT", "Digits only."))
        if not kind and not product:
            found.append(Violation(f"{path}.{name}.account_type", "REQUIRED_FIELD_MISSING"))
        elif name == "operating_account" and (kind or product) != GOOGLE_ADS:
            found.append(Violation(f"{path}.{name}.account_type", "DESTINATION_ACCOUNT_TYPE_MISMATCH"))
        elif kind and product and kind != product:
            found.append(Violation(f"{path}.{name}.product", "INVALID_DESTINATION"))
    login = destination.get("login_account", {})
    if "linked_account" in destination and login.get("account_type") != DATA_PARTNER:
        found.append(
            Violation(f"{path}.linked_account", "LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT")
        )
    return found


def reachable_account(destination: dict[str, Any], google: GoogleState) -> Account:
    """The operating account, where the login account may write to it; otherwise Refused with 403."""
    account = google.accounts.get(destination["operating_account"]["account_id"])
    denied = Refused(403, "The caller does not have permission.")
    if account is None:
        raise denied
    login = destination.get("login_account", {}).get("account_id", account.customer_id)
    by_itself = login == account.customer_id and account.direct_access
    if not by_itself and login != account.manager_id:
        raise denied
    return account


def reference_violations(record: dict[str, Any], known: set[str], path: str) -> list[Violation]:
    return [
        Violation(
            f"{path}.destination_references", "INVALID_DESTINATION", "No destination has this reference."
        )
        for reference in record.get("destination_references", ())
        if reference not in known
    ]


def positions_for(records: list[dict[str, Any]], destination: dict[str, Any]) -> list[int]:
    """Which records are meant for a destination: those that name it, and those that name none."""
    reference = destination.get("reference", "")
    return [
        position
        for position, record in enumerate(records)
        if not record.get("destination_references") or reference in record["destination_references"]
    ]


def whole_days(duration: timedelta) -> bool:
    return duration >= timedelta(0) and duration % timedelta(days=1) == timedelta(0)


def in_future(instant: datetime, now: datetime) -> bool:
    return instant > now


@cache
def _region_codes() -> frozenset[str]:
    import pycountry

    return frozenset(country.alpha_2 for country in pycountry.countries)
