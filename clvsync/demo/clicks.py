"""What a shop keeps of the visit that led to an order: click ids, URL parameters, browser and address.

Ids look like the platforms' own but are random. Addresses are from the ranges kept for documentation
(RFC 5737: 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24; RFC 3849: 2001:db8::/32).
"""

from __future__ import annotations

import numpy as np

from clvsync.demo import market
from clvsync.demo.market import (
    AD_GROUPS_PER_CAMPAIGN,
    ADS_PER_AD_GROUP,
    CATEGORIES,
    DEVICES,
    ORIGINS,
    Booleans,
    Columns,
    Instants,
    Integers,
    Strings,
)
from clvsync.demo.purchasing import days
from clvsync.demo.tables import text

SHOP = "https://shop.example.com"

CLICK_ID_KEPT = 0.95
"""Share of paid visits whose click id reached the order; blockers and redirects lose the rest."""
GBRAID_ON_IOS = 0.30
WBRAID_ON_IOS = 0.12
FBP_KEPT = {"meta": 0.85, "other": 0.55}
BROWSER_KEPT = 0.98
"""Share of orders with an address, a user agent and a page; the others came by phone."""
BUYS_AT_ONCE = 0.65
"""Share who order within hours of the click; the others think about it for days, at most LONGEST_LAG."""
LONGEST_LAG_DAYS = 60.0

_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype="S1")
_DIGITS = np.frombuffer(b"0123456789", dtype="S1")
_NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.")


def visits(
    rng: np.random.Generator, origin: Integers, device: Integers, category: Integers, ordered_at: Instants
) -> Columns:
    """One visit a row: campaign_id, ad_group_id, ad_id, click_time, the click ids, fbp, client_ip,
    user_agent, page_url."""
    size = len(origin)
    kind = market.words(ORIGINS, "clicks")[origin]
    google, meta = kind == "google", kind == "meta"
    clicked_at = ordered_at - days(_lag_days(rng, size))
    columns: Columns = _campaigns(rng, origin)
    columns["click_time"] = np.where(google | meta, clicked_at, np.datetime64("NaT", "us"))
    columns |= _google_ids(rng, google & (rng.random(size) < CLICK_ID_KEPT), device)
    fbclid = meta & (rng.random(size) < CLICK_ID_KEPT)
    columns["fbclid"] = _where(fbclid, "IwY2xjaw" + random_text(rng, size, 52))
    columns["fbp"] = _where(
        rng.random(size) < np.where(meta, FBP_KEPT["meta"], FBP_KEPT["other"]), _browser_ids(rng, clicked_at)
    )
    online = rng.random(size) < BROWSER_KEPT
    columns["client_ip"] = _where(online, _addresses(rng, size))
    columns["user_agent"] = _where(online, market.words(DEVICES, "user_agent")[device])
    columns["page_url"] = _where(online, _pages(origin, category, columns))
    return columns


def random_text(rng: np.random.Generator, size: int, length: int, alphabet: Strings = _ALPHABET) -> Strings:
    """Random strings of `length` letters of the alphabet (an array of single bytes)."""
    if not size:
        return np.array([], dtype=object)
    letters = np.ascontiguousarray(alphabet[rng.integers(0, len(alphabet), (size, length))])
    return letters.view(f"S{length}").ravel().astype(f"U{length}").astype(object)


def _lag_days(rng: np.random.Generator, size: int) -> market.Floats:
    at_once = rng.random(size) < BUYS_AT_ONCE
    lag = np.where(at_once, rng.exponential(2.0 / 24.0, size), rng.exponential(6.0, size))
    return np.asarray(np.clip(lag, 1.0 / 1440.0, LONGEST_LAG_DAYS))


def _campaigns(rng: np.random.Generator, origin: Integers) -> Columns:
    """Ids from the URL's own parameters; ad group and ad where the platform has them."""
    size = len(origin)
    campaign = market.words(ORIGINS, "campaign_id")[origin]
    platform = market.words(ORIGINS, "clicks")[origin] != np.array(None)
    group = rng.integers(1, AD_GROUPS_PER_CAMPAIGN + 1, size)
    ad = rng.integers(1, ADS_PER_AD_GROUP + 1, size)
    base = np.where(platform, campaign, "")
    ad_group_id = base + text(group)
    return {
        "campaign_id": campaign,
        "ad_group_id": _where(platform, ad_group_id),
        "ad_id": _where(platform, ad_group_id + text(ad)),
    }


def _google_ids(rng: np.random.Generator, kept: Booleans, device: Integers) -> Columns:
    """One of gclid, gbraid and wbraid for each kept click: braids come from iOS alone."""
    size = len(kept)
    ios = np.array([part.ios for part in DEVICES])[device]
    draw = rng.random(size)
    gbraid = kept & ios & (draw < GBRAID_ON_IOS)
    wbraid = kept & ios & ~gbraid & (draw < GBRAID_ON_IOS + WBRAID_ON_IOS)
    return {
        "gclid": _where(kept & ~gbraid & ~wbraid, "Cj0KCQ" + random_text(rng, size, 68)),
        "gbraid": _where(gbraid, "0AAAAA" + random_text(rng, size, 26)),
        "wbraid": _where(wbraid, "Cj8KCQ" + random_text(rng, size, 40)),
    }


def _browser_ids(rng: np.random.Generator, at: Instants) -> Strings:
    """Meta's _fbp cookie: fb, subdomain index, creation time in milliseconds, random number."""
    created = at - days(rng.exponential(20.0, len(at)))
    milliseconds = created.astype("datetime64[ms]").astype(np.int64)
    return "fb.1." + text(milliseconds) + "." + random_text(rng, len(at), 10, _DIGITS)


def _addresses(rng: np.random.Generator, size: int) -> Strings:
    network = np.array(_NETWORKS, dtype=object)[rng.integers(0, len(_NETWORKS), size)]
    version_4 = network + text(rng.integers(1, 255, size))
    hexadecimal = np.frombuffer(b"123456789abcdef", dtype="S1")
    version_6 = "2001:db8::" + random_text(rng, size, 4, hexadecimal)
    return np.asarray(np.where(rng.random(size) < 0.15, version_6, version_4), dtype=object)


def _pages(origin: Integers, category: Integers, campaign: Columns) -> Strings:
    """The landing page with its URL parameters, the only place where campaign ids can be had from."""
    page = f"{SHOP}/" + market.words(CATEGORIES, "landing_page")[category]
    kind = market.words(ORIGINS, "clicks")[origin] != np.array(None)
    parameters = (
        "?utm_source=" + market.words(ORIGINS, "channel")[origin]
        + "&campaignid=" + _or_empty(campaign["campaign_id"])
        + "&adgroupid=" + _or_empty(campaign["ad_group_id"])
        + "&adid=" + _or_empty(campaign["ad_id"])
    )  # fmt: skip
    return np.asarray(np.where(kind, page + parameters, page), dtype=object)


def _or_empty(values: Strings) -> Strings:
    return np.where(values == np.array(None), "", values)


def _where(kept: Booleans, values: Strings) -> Strings:
    return np.where(kept, values, np.array(None))
