"""Google's rules for people's identifiers, over columns: hashed ones as lower-case hex SHA-256.

The written rule is developers.google.com/data-manager/api/devguides/concepts/formatting (November 2026).
Google's own published samples disagree with it (one strips dots of Gmail addresses but keeps "+…", another
strips both for every domain); this follows the page. Values that are already hashed are passed through.
What cannot be made valid becomes null, and nothing here raises on account of a value.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from connectors import identity
from connectors.types import Array

_GMAIL = r"@(?:gmail|googlemail)\.com$"


def emails(column: Array) -> Array:
    """White space out, lower case; for gmail.com and googlemail.com alone dots and "+…" out; hashed."""
    return identity.sha256(plain_emails(column))


def plain_emails(column: Array) -> Array:
    """What `emails` hashes."""
    together = pc.replace_substring_regex(identity.clean(column), r"[\s\p{Z}]+", "")
    addresses = identity.emails(together)
    gmail = pc.match_substring_regex(addresses, _GMAIL)
    local = pc.replace_substring_regex(addresses, r"(?:\+.*)?@.*$", "")
    local = pc.replace_substring(local, ".", "")
    domain = pc.replace_substring_regex(addresses, r"^.*@", "")
    # Nothing left before the @ is nobody's address.
    known = pc.if_else(pc.equal(local, ""), pa.scalar(None, pa.string()), local)
    return pc.if_else(gmail, pc.binary_join_element_wise(known, domain, "@"), addresses)


def phones(column: Array, country: Array | None = None, default_region: str | None = None) -> Array:
    """E.164 with "+", read in the row's country or else in `default_region`; hashed."""
    return identity.sha256(identity.phones(column, country, default_region))


def names(column: Array) -> Array:
    """First or last names: lower case, trimmed, no punctuation, no "Mrs." or "Jr."; hashed."""
    return identity.sha256(identity.names(column, without_honorifics=True))


def region_codes(country: Array, default_region: str | None = None) -> Array:
    """ISO 3166-1 alpha-2, in clear; `default_region` where the row names no country."""
    codes = identity.countries(country)
    if default_region is None:
        return codes
    default = identity.countries(pa.array([default_region], pa.string()))[0]
    return pc.if_else(pc.is_null(identity.clean(country)), default, codes)


def postal_codes(column: Array) -> Array:
    """In clear, trimmed. Google compares them plain, so a hashed one is of no use: null."""
    return pc.if_else(identity.is_hashed(column), pa.scalar(None, pa.string()), identity.clean(column))
