"""What Meta accepts, refuses and limits: the one place for its versions, numbers and codes.

Each fact names its page under developers.facebook.com/documentation/ads-commerce/ as read in November 2026,
unless it says otherwise. What no page states is marked as our own choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from connectors.types import Reason

GRAPH_URL = "https://graph.facebook.com"

API_VERSION = "v26.0"

# marketing-api/marketing-api-changelog/versions, November 2026. None: no end announced.
MARKETING_API_SUNSETS: Mapping[str, date | None] = {
    "v23.0": date(2026, 6, 9),
    "v24.0": date(2026, 10, 6),
    "v25.0": None,
    "v26.0": None,
}

SUNSET_WARNING = timedelta(days=60)
"""Our own choice: how long before a version ends `check` begins to warn."""

VERSION_WARNING_HEADER = "X-Ad-Api-Version-Warning"
"""marketing-api/overview/versioning: a call was moved to a newer version because its own had ended."""

# --- Conversions API: conversions-api/using-the-api, conversions-api/parameters/* ---------------------------

EVENTS_PER_REQUEST = 1_000
EVENT_WINDOW = timedelta(days=7)
PHYSICAL_STORE_WINDOW = timedelta(days=62)
CLOCK_TOLERANCE = timedelta(minutes=1)
"""Our own choice: Meta states no tolerance for events in the future; clocks differ by less than this."""

DEDUPLICATION_WINDOW = timedelta(hours=48)
"""conversions-api/deduplicate-pixel-and-server-events: the same event_id and event_name within 48 hours."""

ACTION_SOURCES = frozenset(
    {
        "email",
        "website",
        "app",
        "phone_call",
        "chat",
        "physical_store",
        "system_generated",
        "business_messaging",
        "other",
    }
)

# conversions-api/best-practices: any one of these sets, or a part of it, is too little to find a person by.
INSUFFICIENT_IDENTIFIERS = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)

# conversions-api/parameters/custom-data: customer_segmentation.
CUSTOMER_SEGMENTATION: Mapping[str, str] = {
    "new": "new_customer_to_business",
    "returning": "existing_customer_to_business",
}

# conversions-api/parameters/fbp-and-fbc: version and index of a click id that a server builds.
CLICK_ID_PREFIX = "fb.1"

# --- Custom audiences: marketing-api/audiences/guides/custom-audiences, reference/custom-audience/users -----

MEMBERS_PER_REQUEST = 10_000
SESSION_ID_BITS = 63
EXTERNAL_ID_KEPT = timedelta(days=90)
"""How long Meta can take a member out again by EXTERN_ID alone."""

FLAGGED_OPERATION_STATUS = 471
"""The audience's name, description or content suggests health or financial status."""

# marketing-api/reference/custom-audience; the same list in facebook-business 26.0.3 (AudienceLabels).
AUDIENCE_LABELS = frozenset(
    {
        "APP_USERS",
        "AT_RISK",
        "CART_ABANDONERS",
        "DISENGAGED",
        "DISQUALIFIED_LEADS",
        "ENGAGED_USERS",
        "GENERAL_CUSTOMERS",
        "HIGH_VALUE_CUSTOMERS",
        "LOW_VALUE_CUSTOMERS",
        "OTHER_1",
        "OTHER_2",
        "OTHER_3",
        "QUALIFIED_LEADS",
        "RECENT_PURCHASERS",
        "TRIAL_USERS",
    }
)

# Meta names "arthritis", "diabetes", "credit score" and "high income" as examples (guides/custom-audiences,
# September 2025) and publishes no list; the rest is our own reading of "health conditions or financial
# status".
SENSITIVE_WORDS = frozenset(
    """
    addiction allergy anxiety arthritis asthma autism bankrupt bankruptcy cancer chronic credit debt dementia
    depressed depression diabetes diabetic diagnosis disability disabled disease disorder earner earners
    epilepsy fertility financial hiv hospital illness income indebted infertility insolvent loan loans
    medical medication mental millionaire millionaires mortgage obese obesity patient patients poor
    pregnancy pregnant prescription rich salary sick surgery symptom symptoms therapy treatment wages wealth
    wealthy
    """.split()
)

AUDIENCE_TERMS_URL = "https://business.facebook.com/ads/manage/customaudiences/tos/"
VALUE_AUDIENCE_TERMS_URL = "https://www.facebook.com/customaudiences/value_based/tos.php"

# --- Access: marketing-api/get-started/authorization ----------------------------------------------------

EVENTS_PERMISSIONS = frozenset({"ads_management"})
AUDIENCE_PERMISSIONS = frozenset({"ads_management"})
TOKEN_EXPIRY_WARNING = timedelta(days=14)
"""Our own choice: how long before a token ends `check` begins to warn."""

ACTIVE_ACCOUNT_STATUS = 1

# marketing-api/reference/ad-account: account_status.
ACCOUNT_STATUSES: Mapping[int, str] = {
    1: "active",
    2: "disabled",
    3: "unsettled",
    7: "pending risk review",
    8: "pending settlement",
    9: "in grace period",
    100: "pending closure",
    101: "closed",
    201: "any active",
    202: "any closed",
}

# --- Money: marketing-api/currencies --------------------------------------------------------------------

DEFAULT_CURRENCY_OFFSET = 100
CURRENCY_OFFSETS: Mapping[str, int] = dict.fromkeys(
    ("CLP", "COP", "CRC", "HUF", "ISK", "IDR", "JPY", "KRW", "PYG", "TWD", "VND"), 1
)
"""Minor units in a major one where they are not 100: Meta's own table, which is not ISO 4217."""

# --- Errors: graph-api/guides/error-handling, marketing-api/error-reference, .../overview/rate-limiting ----


class Meaning(StrEnum):
    """What an error code means for who called."""

    THROTTLED = "throttled"
    TRANSIENT = "transient"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    BLOCKED = "blocked"
    SETTING = "setting"
    BAD_ROW = "bad_row"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One documented code. `wait` is how long to hold off where the answer itself names no time."""

    meaning: Meaning
    remedy: str
    wait: timedelta | None = None
    reason: Reason = Reason.REFUSED_BY_PLATFORM


_HOUR = timedelta(hours=1)
_WAIT = "Wait; it is sent again by itself. Fewer, larger requests help."
_RENEW = "Make a new system-user token in Business settings and put it where the old one stood."
_ASSIGN = "Assign the system user to the ad account and the dataset in Business settings, with full control."
_REPORT = "The request is not what this API version takes; report it as a defect, with this code."

ERROR_CODES: Mapping[tuple[int, int | None], ErrorCode] = {
    # Downtime.
    (1, None): ErrorCode(Meaning.TRANSIENT, "Wait; if it lasts, see metastatus.com."),
    (2, None): ErrorCode(Meaning.TRANSIENT, "Wait; if it lasts, see metastatus.com."),
    # Throttling.
    (4, None): ErrorCode(Meaning.THROTTLED, _WAIT),
    (17, None): ErrorCode(Meaning.THROTTLED, _WAIT),
    (32, None): ErrorCode(Meaning.THROTTLED, _WAIT),
    (341, None): ErrorCode(Meaning.THROTTLED, _WAIT),
    (613, 1487742): ErrorCode(Meaning.THROTTLED, _WAIT, wait=timedelta(seconds=300)),
    (613, 5044001): ErrorCode(Meaning.THROTTLED, _WAIT, wait=timedelta(seconds=1)),
    # Without a subcode 613 is the limit on abuse, which further calls make last longer (our own wait).
    (613, None): ErrorCode(Meaning.THROTTLED, _WAIT, wait=_HOUR),
    # Limits on how often a setting may change: nothing but time helps.
    (613, 1487632): ErrorCode(
        Meaning.THROTTLED, "An ad set's budget may change four times an hour; wait.", wait=_HOUR
    ),
    (613, 1487225): ErrorCode(Meaning.THROTTLED, "Too many changes for now; wait.", wait=_HOUR),
    (17, 1885172): ErrorCode(
        Meaning.THROTTLED,
        "The account's spending limit may change ten times a day; wait.",
        wait=timedelta(days=1),
    ),
    # Who we are.
    (102, None): ErrorCode(Meaning.CREDENTIALS, _RENEW),
    (104, None): ErrorCode(
        Meaning.CREDENTIALS, "Check that app_secret belongs to the app that the token was made for."
    ),
    (190, None): ErrorCode(Meaning.CREDENTIALS, _RENEW),
    (190, 458): ErrorCode(Meaning.CREDENTIALS, "The app was removed from the user. " + _RENEW),
    (190, 459): ErrorCode(
        Meaning.CREDENTIALS, "The user has to log in at facebook.com and pass a check first."
    ),
    (190, 460): ErrorCode(Meaning.CREDENTIALS, "The user's password was changed. " + _RENEW),
    (190, 463): ErrorCode(Meaning.CREDENTIALS, "The token has expired. " + _RENEW),
    (190, 464): ErrorCode(Meaning.CREDENTIALS, "The user is not confirmed. " + _RENEW),
    (190, 467): ErrorCode(Meaning.CREDENTIALS, "The token was withdrawn. " + _RENEW),
    # What we may do.
    (3, None): ErrorCode(Meaning.PERMISSION, "Ask Meta for this capability in the app's dashboard."),
    (10, None): ErrorCode(Meaning.PERMISSION, _ASSIGN),
    (294, None): ErrorCode(Meaning.PERMISSION, "Make a token with the permission ads_management."),
    (2654, 1713092): ErrorCode(Meaning.PERMISSION, _ASSIGN),
    (368, None): ErrorCode(
        Meaning.BLOCKED, "Meta has blocked this for policy reasons; see Account Quality, then appeal."
    ),
    # Settings at Meta.
    (200, 1870034): ErrorCode(
        Meaning.SETTING, f"Accept the custom audience terms at {AUDIENCE_TERMS_URL} for this ad account."
    ),
    (200, 1870090): ErrorCode(
        Meaning.SETTING, f"Accept the custom audience terms at {AUDIENCE_TERMS_URL} for this ad account."
    ),
    (200, 1870047): ErrorCode(
        Meaning.SETTING, "The audience would become too small; widen its condition or delete it."
    ),
    (100, 1713230): ErrorCode(
        Meaning.SETTING, "Meta has flagged the audience; appeal in Audience Manager or use a neutral name."
    ),
    (100, 1713232): ErrorCode(
        Meaning.SETTING, "Meta has flagged the seed audience; appeal in Audience Manager or use another."
    ),
    (100, 33): ErrorCode(Meaning.SETTING, "Check the id. " + _ASSIGN),
    (100, 1487534): ErrorCode(Meaning.SETTING, "Too much data for one report: ask for fewer days at once."),
    (2650, 1870145): ErrorCode(Meaning.TRANSIENT, "Another upload to this audience is under way; wait."),
    (2650, None): ErrorCode(
        Meaning.SETTING, "See the audience in Audience Manager, then start a new upload."
    ),
    (2635, None): ErrorCode(Meaning.SETTING, "This API version has ended: set api_version to a newer one."),
    (2500, None): ErrorCode(Meaning.SETTING, "Check the ids in the configuration."),
    (105, None): ErrorCode(Meaning.SETTING, _REPORT),
    (194, None): ErrorCode(Meaning.SETTING, _REPORT),
    (100, None): ErrorCode(Meaning.SETTING, _REPORT),
    # One bad event refuses its whole batch. Only these subcodes have been seen; no page lists them.
    (100, 2804003): ErrorCode(Meaning.BAD_ROW, Reason.TOO_OLD.remedy, reason=Reason.TOO_OLD),
    (100, 2804050): ErrorCode(Meaning.BAD_ROW, Reason.NO_IDENTIFIER.remedy, reason=Reason.NO_IDENTIFIER),
    (100, 2804016): ErrorCode(Meaning.BAD_ROW, Reason.BAD_IDENTIFIER.remedy, reason=Reason.BAD_IDENTIFIER),
}

BAD_EVENT_SUBCODES = range(2_804_000, 2_805_000)
PERMISSION_CODES = range(200, 300)
QUOTA_CODES = range(80_000, 80_015)
"""Hourly quotas of one kind of call on one ad account (80003: custom audiences)."""
