"""Text in one written form: Unicode, white space, case, punctuation."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from connectors.types import Array

# Tab, line feed and their like stand for a space. U+2028 and U+2029 are line and paragraph separators.
_SPACING = r"[\x09-\x0d\x1c-\x1f\x{85}\x{2028}\x{2029}]"
# Invisible: controls, soft hyphen, zero-width space, directional marks, word joiner, byte order mark. The
# zero-width joiners U+200C and U+200D stay: they are part of the spelling in Persian and Indic scripts.
_INVISIBLE = r"[\p{Cc}\x{ad}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}\x{2066}-\x{2069}\x{feff}]+"
_PUNCTUATION = r"[\p{P}\p{S}]+"
_SPACES = r"[\s\p{Z}]+"

_PREFIXES = "mr|mrs|ms|mx|miss|dr|prof|professor|sir|madam|herr|frau|mme|mlle|monsieur|madame|sig|sra|srta"
_SUFFIXES = "jr|sr|ii|iii|iv|md|phd|dds|esq|cpa|dphil|mba"


def strings(column: Array) -> Array:
    """The column as one pyarrow.StringArray, whatever type or chunks it came in."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string())


def each_distinct(column: Array, function: Callable[[str], str | None]) -> Array:
    """`function` of each value, called once per distinct value; null stays null."""
    encoded = column.dictionary_encode()
    results = pa.array([function(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return results.take(encoded.indices)


def blank_to_null(column: Array) -> Array:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def clean(column: Array) -> Array:
    """NFC, no control or invisible characters, no white space at the ends; empty → null.

    Tabs and line breaks inside become a space.
    """
    column = strings(column)
    unwanted = pc.match_substring_regex(column, f"{_SPACING}|{_INVISIBLE}")
    if pc.any(unwanted).as_py():
        column = pc.replace_substring_regex(column, _SPACING, " ")
        column = pc.replace_substring_regex(column, _INVISIBLE, "")
    # Last, since taking a character out can bring a letter and its accent together.
    return blank_to_null(pc.utf8_trim_whitespace(pc.utf8_normalize(column, form="NFC")))


def lower(column: Array) -> Array:
    """Cleaned and in lower case, by Unicode's full mapping (as Python, Java and JavaScript have it)."""
    column = clean(column)
    lowered = pc.utf8_lower(column)
    # Arrow maps letter by letter, which is wrong for these two: one becomes two, the other depends on its
    # place in the word.
    special = pc.match_substring_regex(column, "[İΣ]").fill_null(False)
    if pc.any(special).as_py():
        by_hand = pa.array([value.lower() for value in column.filter(special).to_pylist()], pa.string())
        lowered = pc.replace_with_mask(lowered, special, by_hand)
    # A capital without a composed form can have a composed small letter (T and a diaeresis).
    return pc.utf8_normalize(lowered, form="NFC")


def without_punctuation(column: Array) -> Array:
    """Lower case, no punctuation or symbols, single spaces; letters of any script are kept."""
    column = pc.replace_substring_regex(lower(column), _PUNCTUATION, "")
    return clean(pc.replace_substring_regex(column, _SPACES, " "))


def names(column: Array, *, without_honorifics: bool = False) -> Array:
    """First or last names: lower case, no punctuation, single spaces; letters of any script are kept.

    `without_honorifics` also takes off titles before ("Dr.") and suffixes after ("Jr.") a name, as long as
    something of the name is left.
    """
    if not without_honorifics:
        return without_punctuation(column)
    apart = pc.replace_substring_regex(lower(column), rf"\b({_PREFIXES})\.", r"\1 ")
    words = without_punctuation(apart)
    words = pc.replace_substring_regex(words, rf"^(?:(?:{_PREFIXES}) )+(\S.*)$", r"\1")
    return pc.replace_substring_regex(words, rf"^(.*?\S)(?: (?:{_SUFFIXES}))+$", r"\1")
