"""Meta's rules for people's identifiers: what is hashed, in which written form, and what is enough.

Rules: conversions-api/parameters/customer-information-parameters and audiences/guides/custom-audiences, read
in November 2026. Where Meta's own code departs from them (its SDK keeps punctuation in names and hashes
national phone numbers; its audience helper drops every letter outside a–z) the written rule holds. Values
that arrive hashed (64 hex digits) are sent as they are, in lower case. The SDK normalises nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from connectors.errors import FixConfiguration
from connectors.identity import (
    cities,
    clean,
    countries,
    emails,
    is_hashed,
    names,
    phones,
    postcodes,
    regions,
    sha256,
)
from connectors.identity.text import each_distinct
from connectors.meta import facts
from connectors.types import Array, Table

HASHED = ("em", "ph", "fn", "ln", "ct", "st", "zp", "country", "external_id")
"""Wire names of what is hashed, in the order they are sent."""

BROWSER = ("fbc", "fbp", "client_ip_address", "client_user_agent")
"""Wire names of what is sent as it is."""

SOURCE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "em": ("email",),
    "ph": ("phone",),
    "fn": ("first_name",),
    "ln": ("last_name",),
    "ct": ("city",),
    "st": ("region",),
    "zp": ("postcode",),
    "country": ("country",),
    "external_id": ("external_id",),
    "fbc": ("fbc", "fbclid"),
    "fbp": ("fbp",),
    "client_ip_address": ("client_ip",),
    "client_user_agent": ("user_agent",),
}
"""Wire name → the columns of CONVERSION it is made from."""

# parameters/fbp-and-fbc: the time is in milliseconds; Meta's parameter builder appends a short mark.
_CLICK_ID = r"^fb\.\d\.\d{13}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?$"
_BROWSER_ID = r"^fb\.\d\.\d{13}\.\d+(?:\.[A-Za-z0-9_-]+)?$"
_NOTHING = pa.scalar(None, pa.string())


def region_code(what: str, default_region: str | None) -> str | None:
    """ISO alpha-2 of a configured default region. Raises FixConfiguration where it is no country."""
    if default_region is None:
        return None
    code: str | None = countries(pa.array([default_region], pa.string()))[0].as_py()
    if code is None:
        raise FixConfiguration(
            what, f"the default region {default_region!r} is not a country", "Write two letters, such as DE."
        )
    return code


def normalise(rows: Table, default_region: str | None = None) -> dict[str, Array]:
    """IDENTITY_COLUMNS → Meta's written form by wire name, not yet hashed.

    A phone number, state or postcode is read in the row's country, or in `default_region` where the row has
    none; that default is never sent as the person's country.
    """
    given = clean(rows["country"])
    read_in = pc.if_else(pc.is_null(given), pa.scalar(default_region, pa.string()), countries(given))
    country = pc.if_else(is_hashed(given), pc.ascii_lower(given), pc.ascii_lower(countries(given)))
    return {
        "em": emails(rows["email"]),
        "ph": pc.utf8_ltrim(phones(rows["phone"], rows["country"], default_region), "+"),
        "fn": names(rows["first_name"]),
        "ln": names(rows["last_name"]),
        "ct": _without_spaces(cities(rows["city"])),
        "st": _without_spaces(regions(rows["region"], read_in)),
        "zp": _postcodes(rows["postcode"], read_in),
        "country": country,
        # The same on every channel: a site's own tag hashes the id as it stands.
        "external_id": clean(rows["external_id"]),
    }


def hashed(rows: Table, default_region: str | None = None) -> dict[str, Array]:
    """IDENTITY_COLUMNS → lower-case hex SHA-256 by wire name; null where there is nothing to send."""
    return {name: _sha256(column) for name, column in normalise(rows, default_region).items()}


def _sha256(column: Array) -> Array:
    """Each distinct value is hashed once: places and first names repeat."""
    encoded = column.dictionary_encode()
    return sha256(encoded.dictionary).take(encoded.indices)


def browser(rows: Table) -> dict[str, Array]:
    """CLICK_COLUMNS → what ties an event to a click or a browser, by wire name, unhashed."""
    return {
        "fbc": _click_ids(rows),
        "fbp": _matching(clean(rows["fbp"]), _BROWSER_ID),
        "client_ip_address": each_distinct(clean(rows["client_ip"]), _address),
        "client_user_agent": clean(rows["user_agent"]),
    }


def insufficient(present: Mapping[str, Array]) -> Array:
    """True where what is present is too little to find a person by (facts.INSUFFICIENT_IDENTIFIERS).

    `present` maps wire names to booleans without nulls.
    """
    verdicts = [
        pc.invert(reduce(pc.or_, (there for name, there in present.items() if name not in too_little)))
        for too_little in facts.INSUFFICIENT_IDENTIFIERS
    ]
    return reduce(pc.or_, verdicts)


def names_a_person(present: Mapping[str, Array]) -> Array:
    """True where an audience member can be found: an e-mail, a phone, or a full name and a place.

    Meta writes no rule for audiences; a name alone or a place alone is many people. `present` as for
    `insufficient`.
    """
    place = reduce(pc.or_, (present[name] for name in ("ct", "st", "zp")))
    full_name = pc.and_(present["fn"], present["ln"])
    return reduce(pc.or_, (present["em"], present["ph"], pc.and_(full_name, place)))


def _without_spaces(column: Array) -> Array:
    return pc.replace_substring(column, " ", "")


def _postcodes(column: Array, country: Array) -> Array:
    codes = pc.replace_substring(postcodes(column), "-", "")
    american = pc.and_(pc.equal(country, "US").fill_null(False), pc.invert(is_hashed(codes)))
    return pc.if_else(american, pc.utf8_slice_codeunits(codes, 0, 5), codes)


def _click_ids(rows: Table) -> Array:
    """The browser's own fbc, else one built from the fbclid and the time of the click (unknown: the event's,
    which is when the id was first seen; parameters/fbp-and-fbc)."""
    clicked = pc.coalesce(rows["click_time"], rows["event_time"])
    if isinstance(clicked, pa.ChunkedArray):
        clicked = clicked.combine_chunks()
    milliseconds = clicked.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()).cast(pa.string())
    built = pc.binary_join_element_wise(facts.CLICK_ID_PREFIX, milliseconds, clean(rows["fbclid"]), ".")
    return pc.coalesce(_matching(clean(rows["fbc"]), _CLICK_ID), _matching(built, _CLICK_ID))


def _matching(column: Array, pattern: str) -> Array:
    return pc.if_else(pc.match_substring_regex(column, pattern), column, _NOTHING)


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def page_urls(column: Array) -> Array:
    """Web addresses without query and fragment, which often hold personal data; anything else → null."""
    pages = pc.replace_substring_regex(clean(column), r"[?#].*$", "")
    return _matching(pages, r"^[hH][tT][tT][pP][sS]?://[^\s/@]+(?:/\S*)?$")
