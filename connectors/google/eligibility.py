"""Which conversions Google takes, judged by plain columns: the first rule that a row breaks is its reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from connectors import currency
from connectors.google import facts
from connectors.types import INSTANT, Array, Reason, Table

CLICK_IDS = ("gclid", "gbraid", "wbraid")
_ADDRESS = ("first_name", "last_name", "postcode", "country")  # package: AddressInfo needs all four
_DURATION = pa.duration("us")


def conversions(
    rows: Table,
    now: datetime,
    *,
    lookback: timedelta,
    default_region: str | None = None,
    sent_by_site: bool = False,
) -> Array:
    """For each row a Reason why Google would not take it, or null.

    `rows` is as Destination.eligibility has it (has_<column> booleans for the personal columns); `lookback`
    the conversion action's click-through look-back window. A click of unknown time is taken to be as late
    as the event. One that is known to be younger than facts.TOO_RECENT_WAIT is waited for: Google would take
    the row and fail it later, among others of its request and without naming it.

    Consent: ad_user_data false → nothing goes, for without it Google may use neither the click nor the
    person. True goes as granted and null without a statement; the business has resolved what null means.
    ad_personalization false goes as denied: it keeps the person out of remarketing, not of measuring.

    `sent_by_site`: the site's tag has sent the conversion, and what Google does not know under its id would
    be counted a second time. So only what the tag can have recorded goes: with a click of Google's, and
    after facts.TAG_CONVERSION_WAIT.
    """
    event, click = rows["event_time"], rows["click_time"]
    instant = pa.scalar(now, INSTANT)
    oldest = pa.scalar(now - facts.UPLOAD_WINDOW, INSTANT)
    ripe = pa.scalar(now - facts.TAG_CONVERSION_WAIT, INSTANT)
    ripe_click = pa.scalar(now - facts.TOO_RECENT_WAIT, INSTANT)
    clicks = count_true(rows[f"has_{name}"] for name in CLICK_IDS)
    needed = [name for name in _ADDRESS if name != "country" or default_region is None]
    address = pc.equal(count_true(rows[f"has_{name}"] for name in needed), len(needed))
    contacts = count_true([rows["has_email"], rows["has_phone"], address])
    return first_reason(
        [
            (_blank(rows["key"]), Reason.MISSING_KEY),
            (_blank(rows["event_id"]), Reason.MISSING_KEY),
            (pc.is_null(event), Reason.MISSING_KEY),
            (pc.equal(rows["ad_user_data"], pa.scalar(False)), Reason.NO_CONSENT),
            (pc.equal(pc.add(clicks, contacts), 0), Reason.NO_CLICK_OR_IDENTIFIER),
            (pc.and_(pc.equal(clicks, 0), pa.scalar(sent_by_site)), Reason.NO_CLICK_OR_IDENTIFIER),
            (pc.greater(clicks, 1), Reason.SEVERAL_CLICK_IDS),
            (pc.is_null(rows["value"]), Reason.NO_VALUE),
            (pc.less(rows["value"], pa.scalar(0)), Reason.NO_VALUE),
            (_unknown_currency(rows["currency"]), Reason.UNKNOWN_CURRENCY),
            (pc.greater(event, instant), Reason.IN_FUTURE),
            (pc.less(event, click), Reason.BEFORE_CLICK),
            (pc.greater(pc.subtract(event, click), pa.scalar(lookback, _DURATION)), Reason.CLICK_TOO_OLD),
            (pc.less(pc.coalesce(click, event), oldest), Reason.TOO_OLD),
            (pc.and_(pc.greater(event, ripe), pa.scalar(sent_by_site)), Reason.TOO_RECENT),
            (pc.and_(pc.greater(clicks, 0), pc.greater(click, ripe_click)), Reason.TOO_RECENT),
        ]
    )


def first_reason(rules: Sequence[tuple[Array, Reason]]) -> Array:
    """For each row the reason of the first rule whose condition holds, or null. A null condition does not."""
    conditions = [_whole(condition).fill_null(False) for condition, _ in rules]
    broken = pa.StructArray.from_arrays(conditions, [str(position) for position in range(len(rules))])
    return pc.case_when(broken, *(pa.scalar(reason.value) for _, reason in rules))


def count_true(columns: Iterable[Array]) -> Array:
    """For each row how many of the columns are true. Null counts as false."""
    return reduce(pc.add, [_whole(column).fill_null(False).cast(pa.int8()) for column in columns])


def _blank(column: Array) -> Array:
    return pc.or_kleene(pc.is_null(column), pc.equal(pc.utf8_trim_whitespace(column), ""))


def _unknown_currency(column: Array) -> Array:
    return pc.invert(pc.is_in(column, pa.array(sorted(currency.codes()))))


def _whole(column: Array) -> Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
