"""Countries, regions, cities and postcodes."""

from __future__ import annotations

import unicodedata
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from connectors.identity.text import clean, each_distinct, lower, without_punctuation
from connectors.types import Array

# Names in common use that ISO 3166 does not list, by `_fold`. "el" is the European Union's code for Greece.
_ALIASES = {
    "uk": "GB",
    "greatbritain": "GB",
    "britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northernireland": "GB",
    "us": "US",
    "america": "US",
    "unitedstatesofamerica": "US",
    "uae": "AE",
    "emirates": "AE",
    "el": "GR",
    "holland": "NL",
    "thenetherlands": "NL",
    "deutschland": "DE",
    "osterreich": "AT",
    "schweiz": "CH",
    "suisse": "CH",
    "espana": "ES",
    "italia": "IT",
    "brasil": "BR",
    "southkorea": "KR",
    "northkorea": "KP",
    "russia": "RU",
    "turkey": "TR",
    "czechrepublic": "CZ",
    "ivorycoast": "CI",
    "capeverde": "CV",
    "swaziland": "SZ",
    "macedonia": "MK",
    "burma": "MM",
    "brunei": "BN",
    "laos": "LA",
    "syria": "SY",
    "vatican": "VA",
    "macau": "MO",
    "palestine": "PS",
    "micronesia": "FM",
    "easttimor": "TL",
    "falklandislands": "FK",
    "britishvirginislands": "VG",
    "usvirginislands": "VI",
    "saintmartin": "MF",
    "reunion": "RE",
    "drc": "CD",
    "congokinshasa": "CD",
    "congobrazzaville": "CG",
}


def countries(column: Array) -> Array:
    """ISO 3166-1 alpha-2, upper case, from alpha-2, alpha-3, English names, common aliases; else null."""
    known = _countries()
    return each_distinct(clean(column), lambda value: known.get(_fold(value)))


def regions(column: Array, country: Array | str | None = None) -> Array:
    """States and provinces: lower case, no punctuation, single spaces.

    Where the country is the United States, names become their two letters ("California" → "ca").
    """
    words = without_punctuation(column)
    if country is None:
        return words
    if isinstance(country, str):
        country = pa.repeat(country, len(words))
    american = pc.equal(countries(country), "US")
    states = _states()
    letters = each_distinct(clean(column), lambda value: states.get(_fold(value)))
    return pc.if_else(american.fill_null(False), pc.coalesce(letters, words), words)


def cities(column: Array) -> Array:
    """Lower case, no punctuation, single spaces; letters of any script are kept."""
    return without_punctuation(column)


def postcodes(column: Array) -> Array:
    """Lower-case letters and digits without spaces; hyphens inside are kept."""
    codes = pc.replace_substring_regex(lower(column), r"\p{Pd}+", "-")
    codes = pc.replace_substring_regex(codes, r"[^\p{L}\p{M}\p{N}-]+", "")
    return clean(pc.utf8_trim(codes, "-"))


def _fold(name: str) -> str:
    """Letters and digits alone, without case and accents, "&" as "and": what names are compared by."""
    apart = unicodedata.normalize("NFKD", name.casefold().replace("&", "and"))
    return "".join(character for character in apart if character.isalnum())


@cache
def _countries() -> dict[str, str]:
    import pycountry

    known = dict(_ALIASES)
    for country in pycountry.countries:
        for attribute in ("name", "official_name", "common_name", "alpha_3", "alpha_2"):
            written = getattr(country, attribute, None)
            if written:
                known[_fold(written)] = country.alpha_2
    return known


@cache
def _states() -> dict[str, str]:
    """Every way a state of the United States is written → two lower-case letters."""
    import pycountry

    known = {"washingtondc": "dc"}
    for state in pycountry.subdivisions:
        if state.country_code != "US":
            continue
        letters = state.code.removeprefix("US-").lower()
        known |= {_fold(state.name): letters, _fold(state.code): letters, letters: letters}
    return known
