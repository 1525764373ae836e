"""A conversion as the Data Manager API's Event: the columns it takes and the JSON made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import identity
from connectors.google import facts
from connectors.google import identity as google_identity
from connectors.google.eligibility import CLICK_IDS, count_true, first_reason
from connectors.types import INSTANT, MONEY, Array, Reason, Rejection, Shaped, Table

WIRE = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("transaction_id", pa.string(), nullable=False),
        pa.field("event_timestamp", INSTANT, nullable=False),
        pa.field("last_updated_timestamp", INSTANT, nullable=False),
        pa.field("value", MONEY, nullable=False),
        pa.field("currency", pa.string(), nullable=False),
        pa.field("click_id_kind", pa.string()),
        pa.field("click_id", pa.string()),
        pa.field("email", pa.string()),
        pa.field("phone", pa.string()),
        pa.field("given_name", pa.string()),
        pa.field("family_name", pa.string()),
        pa.field("region_code", pa.string()),
        pa.field("postal_code", pa.string()),
        pa.field("ad_user_data", pa.bool_()),
        pa.field("ad_personalization", pa.bool_()),
        pa.field("customer_type", pa.string()),
    ]
)
"""One event a row. email, phone and the two names are hex SHA-256; the names, region code and postal code are
all there or all null; `click_id_kind` is gclid, gbraid or wbraid; a null consent is not stated."""

_TIMESTAMP = "%Y-%m-%dT%H:%M:%SZ"
_NOTHING = pa.scalar(None, pa.string())


def shape(rows: Table, default_region: str | None = None) -> Shaped:
    """CONVERSION rows → WIRE rows, normalised and hashed by Google's rules; the rest as rejections.

    An identifier that cannot be made valid is left out, and the row goes without it as long as another is
    there. Raises FixConfiguration where a column mixes hashed and plain values.
    """
    for name in ("email", "phone", "first_name", "last_name"):
        identity.refuse_mixed(rows[name], name)
    country = identity.clean(rows["country"])
    clicks = {name: identity.clean(rows[name]) for name in CLICK_IDS}
    kinds = [pc.if_else(pc.is_valid(ids), pa.scalar(name), _NOTHING) for name, ids in clicks.items()]
    wire = pa.table(
        {
            "key": rows["key"],
            "transaction_id": rows["event_id"],
            "event_timestamp": rows["event_time"],
            "last_updated_timestamp": rows["updated_at"],
            "value": rows["value"],
            "currency": rows["currency"],
            "click_id_kind": pc.coalesce(*kinds),
            "click_id": pc.coalesce(*clicks.values()),
            "email": google_identity.emails(rows["email"]),
            "phone": google_identity.phones(rows["phone"], country, default_region),
            **_address(rows, country, default_region),
            "ad_user_data": rows["ad_user_data"],
            "ad_personalization": rows["ad_personalization"],
            "customer_type": _customer_types(rows["customer_type"]),
        },
        schema=WIRE,
    )
    unfit = _unfit(rows, wire, kinds)
    rejections = tuple(
        Rejection(index, reason) for index, reason in enumerate(unfit.to_pylist()) if reason is not None
    )
    return Shaped(wire.filter(pc.is_null(unfit)) if rejections else wire, rejections)


def events(wire: Table, event_source: str) -> Iterator[dict[str, Any]]:
    """WIRE rows → Events in the API's JSON (data-manager/api/reference/rest/v1/events), one dict each."""
    columns = [_written(wire[name]).to_pylist() for name in WIRE.names[1:]]
    for (
        transaction_id,
        happened,
        updated,
        value,
        currency,
        click_id_kind,
        click_id,
        email,
        phone,
        given_name,
        family_name,
        region_code,
        postal_code,
        ad_user_data,
        ad_personalization,
        customer_type,
    ) in zip(*columns, strict=True):
        event: dict[str, Any] = {
            "transactionId": transaction_id,
            "eventTimestamp": happened,
            "lastUpdatedTimestamp": updated,
            "eventSource": event_source,
            "conversionValue": float(value),
            "currency": currency,
        }
        if click_id is not None:
            event["adIdentifiers"] = {click_id_kind: click_id}
        identifiers: list[dict[str, Any]] = []
        if email is not None:
            identifiers.append({"emailAddress": email})
        if phone is not None:
            identifiers.append({"phoneNumber": phone})
        if given_name is not None:
            address = {
                "givenName": given_name,
                "familyName": family_name,
                "regionCode": region_code,
                "postalCode": postal_code,
            }
            identifiers.append({"address": address})
        if identifiers:
            event["userData"] = {"userIdentifiers": identifiers}
        consent = {}
        if ad_user_data is not None:
            consent["adUserData"] = "CONSENT_GRANTED" if ad_user_data else "CONSENT_DENIED"
        if ad_personalization is not None:
            consent["adPersonalization"] = "CONSENT_GRANTED" if ad_personalization else "CONSENT_DENIED"
        if consent:
            event["consent"] = consent
        if customer_type is not None:
            event["userProperties"] = {"customerType": customer_type}
        yield event


def _written(column: Array) -> Array:
    return pc.strftime(column, format=_TIMESTAMP) if pa.types.is_timestamp(column.type) else column


def _unfit(rows: Table, wire: Table, kinds: list[Array]) -> Array:
    """For each row a Reason why it cannot be sent, or null, told from the identifiers themselves."""
    usable = count_true(pc.is_valid(wire[name]) for name in ("click_id", "email", "phone", "given_name"))
    given = count_true(
        pc.is_valid(identity.clean(rows[name])) for name in (*CLICK_IDS, "email", "phone", "first_name")
    )
    nobody = pc.equal(usable, 0)
    return first_reason(
        [
            (pc.equal(rows["ad_user_data"], pa.scalar(False)), Reason.NO_CONSENT),
            (pc.greater(count_true(pc.is_valid(kind) for kind in kinds), 1), Reason.SEVERAL_CLICK_IDS),
            (pc.and_(nobody, pc.greater(given, 0)), Reason.BAD_IDENTIFIER),
            (nobody, Reason.NO_CLICK_OR_IDENTIFIER),
            # An id is kept for ever, here and at Google, and must not be a person's address.
            (identity.looks_like_email(rows["event_id"]), Reason.BAD_IDENTIFIER),
        ]
    )


def _address(rows: Table, country: Array, default_region: str | None) -> dict[str, Array]:
    """The four columns of an address where all four are there; else null: Google refuses a part of one."""
    columns = {
        "given_name": google_identity.names(rows["first_name"]),
        "family_name": google_identity.names(rows["last_name"]),
        "region_code": google_identity.region_codes(country, default_region),
        "postal_code": google_identity.postal_codes(rows["postcode"]),
    }
    whole = pc.equal(count_true(pc.is_valid(column) for column in columns.values()), len(columns))
    return {name: pc.if_else(whole, column, _NOTHING) for name, column in columns.items()}


def _customer_types(column: Array) -> Array:
    """NEW, RETURNING or REENGAGED; anything else is not stated."""
    types = identity.lower(column)
    known = pc.is_in(types, pa.array(facts.CUSTOMER_TYPES))
    return pc.if_else(known, pc.ascii_upper(types), _NOTHING)
