"""E-mail addresses and phone numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connectors.identity.hashing import keep_hashed
from connectors.identity.places import countries
from connectors.identity.text import clean, each_distinct, lower, strings
from connectors.types import Array

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

# One @, a host of at least two labels, nothing that only a quoted local part or a list of addresses has.
# Dots may repeat in the local part: some operators have issued such addresses.
_EMAIL = (
    r'^[^\s\p{Z}@"(),:;<>\[\\\]]+'
    r"@(?:[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?\.)+[\p{L}\p{M}][\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}]$"
)
_LONGEST_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
_SOMEWHERE_AN_EMAIL = r"[^\s@]+@[^\s@]+\.[^\s@]+"

_SEPARATOR = "\x1f"


def emails(column: Array) -> Array:
    """Plausible e-mail addresses, trimmed and in lower case; anything else → null. No provider's rule."""
    addresses = lower(column)
    plausible = pc.and_(
        pc.match_substring_regex(addresses, _EMAIL),
        pc.less_equal(pc.binary_length(addresses), _LONGEST_EMAIL),
    )
    valid = pc.if_else(plausible, addresses, pa.scalar(None, pa.string()))
    return keep_hashed(column, valid)


def looks_like_email(column: Array) -> Array:
    """True where an e-mail address stands anywhere in the value: such a value must not be a key."""
    return pc.match_substring_regex(strings(column), _SOMEWHERE_AN_EMAIL).fill_null(False)


def phones(column: Array, country_column: Array | None = None, default_region: str | None = None) -> Array:
    """Phone numbers as E.164 with "+"; a number that is not valid in its country → null, never guessed.

    A national number is read in the row's country (anything that `countries` understands) or, where the row
    has none, in `default_region`; without either only international numbers ("+…" or "00…") are read.
    A country that is not understood is not replaced by the default, and a number that could be read in two
    ways is not read at all.
    """
    numbers = clean(column)
    default = countries(pa.array([default_region], pa.string()))[0]
    if country_column is None:
        regions = pa.repeat(default, len(numbers))
    else:
        given = clean(country_column)
        regions = pc.if_else(pc.is_null(given), default, countries(given))
    keyed = pc.binary_join_element_wise(regions.fill_null(""), numbers, _SEPARATOR)
    return keep_hashed(column, each_distinct(keyed, _e164))


def _e164(keyed: str) -> str | None:
    import phonenumbers

    region, _, text = keyed.partition(_SEPARATOR)
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number) or _may_be_international(text, number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _may_be_international(text: str, national: PhoneNumber) -> bool:
    """True where a number without "+" is valid as national and, as another number, with its country's code
    read from its first digits ("491771234567" in Germany)."""
    import phonenumbers

    digits = phonenumbers.normalize_digits_only(text)
    if text.startswith("+") or not digits.startswith(str(national.country_code)):
        return False
    try:
        other = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(other) and other.national_number != national.national_number
