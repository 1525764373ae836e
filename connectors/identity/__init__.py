"""People's identifiers over columns: cleaning, one written form, hashing. What no platform decides.

Every function takes an Arrow array (or chunked array) of anything that casts to text and gives an Arrow array
of the same length; null stays null and what cannot be made valid becomes null. Values that are already hashed
(64 hex digits) are passed through lower-cased, but for `countries`, whose result is always an ISO code.
Each is idempotent and safe to call from several threads. A platform's own rules (what it hashes, gmail dots,
first five digits of a ZIP code) live beside that platform.
"""

from connectors.identity.contact import emails, looks_like_email, phones
from connectors.identity.hashing import is_hashed, refuse_mixed, sha256
from connectors.identity.places import cities, countries, postcodes, regions
from connectors.identity.text import clean, lower, names

__all__ = [
    "cities",
    "clean",
    "countries",
    "emails",
    "is_hashed",
    "looks_like_email",
    "lower",
    "names",
    "phones",
    "postcodes",
    "refuse_mixed",
    "regions",
    "sha256",
]
