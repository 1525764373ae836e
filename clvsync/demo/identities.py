"""Invented people: names, addresses at reserved domains, phone numbers, places and consent.

E-mail domains are those that RFC 2606 reserves (example.com, .org, .net) and names below them. An e-mail
carries the customer's number, and each number of a phone block is given once, so two people never share one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import numpy as np

from clvsync.demo import market
from clvsync.demo.market import Columns, Integers, Strings
from clvsync.demo.places import COUNTRIES, FOREIGN_NAMES, Country, PhoneBlock
from clvsync.demo.tables import text

IDENTITY = (
    "email",
    "phone",
    "first_name",
    "last_name",
    "city",
    "region",
    "postcode",
    "country",
    "consent_ad_user_data",
)
DOMAINS = (
    "example.com",
    "example.org",
    "example.net",
    "mail.example.com",
    "post.example.org",
    "me.example.net",
)

FOREIGN_SHARE = 0.012
WITHOUT_EMAIL = 0.06
WITHOUT_PHONE = 0.42
WITHOUT_PERSONALIZATION = 0.08
"""Share of those who granted the use of their data but not its use for personalised ads."""

_UNFOLDABLE = str.maketrans(
    {"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "æ": "ae", "ı": "i", "Þ": "Th", "ð": "d", "ä": "ae", "ö": "oe",
     "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)  # fmt: skip


def identities(
    rng: np.random.Generator, country: Integers, numbers: Integers, taken: Mapping[str, int]
) -> Columns:
    """One person a row, as the shop keeps them; `country` indexes COUNTRIES, `numbers` are unique.

    `taken` says for each country code how many people were made before, so that phones stay unique.
    """
    size = len(country)
    columns: Columns = {name: np.full(size, None, dtype=object) for name in IDENTITY}
    for index, place in enumerate(COUNTRIES):
        rows = np.flatnonzero(country == index)
        if rows.size:
            people = _people(rng, place, numbers[rows], taken.get(place.code, 0))
            for name, values in people.items():
                columns[name][rows] = values
    granted = columns["consent_ad_user_data"]
    personalization = granted.copy()
    personalization[(granted == True) & (rng.random(size) < WITHOUT_PERSONALIZATION)] = False  # noqa: E712
    columns["consent_ad_personalization"] = personalization
    return columns


def _people(rng: np.random.Generator, country: Country, numbers: Integers, taken: int) -> Columns:
    """People of one country."""
    size = len(numbers)
    first = _pick(rng, country.first_names, size)
    last = _pick(rng, country.last_names, size)
    foreign = np.flatnonzero(rng.random(size) < FOREIGN_SHARE)
    chosen = rng.integers(0, len(FOREIGN_NAMES), foreign.size)
    first[foreign] = np.array([name for name, _ in FOREIGN_NAMES], dtype=object)[chosen]
    last[foreign] = np.array([name for _, name in FOREIGN_NAMES], dtype=object)[chosen]

    email = emails(rng, first, last, numbers)
    email[rng.random(size) < WITHOUT_EMAIL] = None
    phone = phones(rng, country, taken + np.arange(size))
    phone[rng.random(size) < WITHOUT_PHONE] = None

    where = rng.integers(0, len(country.places), size)
    postcode = np.full(size, None, dtype=object)
    for index, place in enumerate(country.places):
        living = np.flatnonzero(where == index)
        postcode[living] = _from_pattern(rng, place.postcode, living.size)

    asked = rng.random(size)
    consent = np.full(size, None, dtype=object)
    consent[asked < country.consent.granted] = True
    consent[asked >= 1.0 - country.consent.denied] = False
    return {
        "email": email,
        "phone": phone,
        "first_name": first,
        "last_name": last,
        "city": market.words(country.places, "city")[where],
        "region": market.words(country.places, "region")[where],
        "postcode": postcode,
        "country": np.full(size, country.code, dtype=object),
        "consent_ad_user_data": consent,
    }


def emails(rng: np.random.Generator, first: Strings, last: Strings, numbers: Integers) -> Strings:
    """Addresses from names and unique numbers, in the usual few styles."""
    given, family = _folded(first), _folded(last)
    number = text(numbers)
    domain = _pick(rng, DOMAINS, len(first))
    style = rng.choice(4, size=len(first), p=[0.55, 0.25, 0.15, 0.05])
    initial = np.array([name[:1] for name in given], dtype=object)
    local = np.where(style == 0, given + "." + family + number, initial + family + number)
    local = np.where(style == 2, family + "_" + number, local)
    local = np.where(style == 3, given + number + "+shop", local)
    return np.asarray(local + "@" + domain, dtype=object)


def phone_capacity(country: Country) -> int:
    """How many different numbers the country's blocks hold."""
    return sum(10**block.digits for block in country.phones)


def phones(rng: np.random.Generator, country: Country, sequence: Integers) -> Strings:
    """One number for each place in the country's sequence, None beyond what its blocks hold."""
    sizes = np.array([10**block.digits for block in country.phones])
    starts = np.cumsum(sizes) - sizes
    capacity = phone_capacity(country)
    # A stride without a common divisor walks every number once before it comes round.
    stride = next(step for step in range(int(capacity * 0.618), capacity) if np.gcd(step, capacity) == 1)
    position = (sequence * stride) % capacity
    block = np.searchsorted(starts, position, side="right") - 1
    style = rng.choice(5, size=len(sequence), p=[0.30, 0.20, 0.28, 0.12, 0.10])
    out = np.full(len(sequence), None, dtype=object)
    for index, part in enumerate(country.phones):
        rows = np.flatnonzero(block == index)
        if rows.size:
            out[rows] = _written(country, part, position[rows] - starts[index], style[rows])
    out[sequence >= capacity] = None
    return out


def _written(country: Country, block: PhoneBlock, subscriber: Integers, style: Integers) -> Strings:
    """Numbers as people write them: spaced, plain, +49 …, 0049…, and with a slash or brackets."""
    rest = text(subscriber, block.digits)
    code, area, start = country.calling_code, block.area, block.start
    abroad = area.removeprefix(country.trunk)
    if country.code == "US":
        exchange, line = start[:3], start[3:]
        fronts = (
            f"{area}-{exchange}-{line}",
            f"{area}{start}",
            f"+1 {area} {exchange} {line}",
            f"1-{area}-{exchange}-{line}",
            f"({area}) {exchange}-{line}",
        )
    else:
        fronts = (
            f"{area} {start}",
            f"{area}{start}",
            f"+{code} {abroad} {start}",
            f"00{code}{abroad}{start}",
            f"{area}/{start}",
        )
    return np.array(fronts, dtype=object)[style] + rest


def _folded(names: Strings) -> Strings:
    """Names as people write them in an address: a-z alone; "guest" where nothing is left."""
    kept = {name: _fold(name) for name in set(names)}
    return np.array([kept[name] for name in names], dtype=object)


def _fold(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.translate(_UNFOLDABLE)).lower()
    return "".join(letter for letter in plain if "a" <= letter <= "z") or "guest"


def _pick(rng: np.random.Generator, choices: tuple[str, ...], size: int) -> Strings:
    return np.array(choices, dtype=object)[rng.integers(0, len(choices), size)]


def _from_pattern(rng: np.random.Generator, pattern: str, size: int) -> Strings:
    out = np.full(size, "", dtype=object)
    for sign in pattern:
        if sign == "#":
            out = out + text(rng.integers(0, 10, size), 1)
        elif sign == "@":
            out = out + _pick(rng, tuple("ABDEFGHJLNPQRSTUWXYZ"), size)
        else:
            out = out + sign
    return out
