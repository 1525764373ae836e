"""Meta's versions, limits, windows and codes as the sandbox enforces them.

Source, unless named otherwise: developers.facebook.com/documentation/ads-commerce/ as of November 2026; the
page stands beside each figure. "unconfirmed" marks what no page states and the sandbox had to choose.
"""

from __future__ import annotations

from datetime import timedelta

# docs/graph-api/changelog; marketing-api/marketing-api-changelog/versions: v24 ended on 2026-10-06.
NEWEST_VERSION = (26, 0)
OLDEST_VERSION = (25, 0)

# conversions-api/using-the-api
EVENTS_PER_REQUEST = 1_000
EVENT_WINDOW = timedelta(days=7)
OFFLINE_EVENT_WINDOW = timedelta(days=62)
# Unconfirmed: how far ahead of Meta's clock an event may lie.
FUTURE_TOLERANCE = timedelta(minutes=1)
# conversions-api/deduplicate-pixel-and-server-events; that two server events count is implied there.
DEDUPLICATION_WINDOW = timedelta(hours=48)
# conversions-api/offline-events
OFFLINE_DEDUPLICATION_WINDOW = timedelta(days=7)

# conversions-api/parameters/server-event
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
# conversions-api/parameters/customer-information-parameters
HASHED_USER_KEYS = frozenset(
    {
        "em",
        "ph",
        "ge",
        "db",
        "ln",
        "fn",
        "ct",
        "st",
        "zp",
        "country",
        "f5first",
        "f5last",
        "fi",
        "dobd",
        "dobm",
        "doby",
    }
)
PLAIN_USER_KEYS = frozenset(
    {
        "external_id",
        "client_ip_address",
        "client_user_agent",
        "fbc",
        "fbp",
        "subscription_id",
        "fb_login_id",
        "lead_id",
        "madid",
        "anon_id",
        "ctwa_clid",
        "page_id",
        "page_scoped_user_id",
        "ig_account_id",
        "ig_sid",
    }
)
# conversions-api/best-practices: these alone, or any part of one of them, cannot be matched.
INSUFFICIENT_IDENTIFIERS = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
# marketing-api/data-processing-options; conversions-api/parameters/server-event
LIMITED_DATA_USE = "LDU"
LIMITED_DATA_USE_COUNTRIES = frozenset({0, 1})
LIMITED_DATA_USE_STATES = frozenset({0, *range(1000, 1014)})

# conversions-api/guides/predicted-lifetime-value, July 2026
APPEND_VALUE = "AppendValue"
APPEND_VALUE_WINDOW = timedelta(days=7)

# marketing-api/audiences/guides/custom-audiences
USERS_PER_REQUEST = 10_000
SESSION_LIFETIME = timedelta(minutes=90)
INVALID_SAMPLES = 100
CUSTOMER_FILE_AUDIENCES = 500
LOOKALIKE_AUDIENCES = 500
CUSTOMER_FILE_SOURCES = frozenset(
    {"USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"}
)
HASHED_MEMBER_KEYS = frozenset(
    {"EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "COUNTRY"}
)
PLAIN_MEMBER_KEYS = frozenset({"EXTERN_ID", "MADID"})
MEMBER_OPTION_KEYS = frozenset(
    {"DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE"}
)
LOOKALIKE_VALUE = "LOOKALIKE_VALUE"
MEMBER_KEYS = HASHED_MEMBER_KEYS | PLAIN_MEMBER_KEYS | MEMBER_OPTION_KEYS | {LOOKALIKE_VALUE}
# marketing-api/audiences/guides/value-based-lookalike-audiences
LOOKALIKE_SEED_MEMBERS = 100
LOOKALIKE_RATIO_STEP = 0.01
LOOKALIKE_LARGEST_RATIO = 0.20
# Words of the kind that the audience review flags (health, finances); the list itself is not public.
SENSITIVE_NAME_WORDS = frozenset(
    {
        "income",
        "debt",
        "bankrupt",
        "bankruptcy",
        "loan",
        "diabetes",
        "cancer",
        "pregnant",
        "disease",
        "medical",
    }
)
OPERATION_NORMAL = 200
OPERATION_UPDATING = 300
OPERATION_FLAGGED = 471
REPLACEABLE_MEMBERS = 100_000_000

# marketing-api/overview/rate-limiting: calls in an hour for the full access tier.
CALLS_AN_HOUR = {"custom_audience": 190_000, "ads_management": 100_000}

# docs/graph-api/guides/error-handling and the pages above
INVALID_PARAMETER = 100
UNKNOWN_OBJECT = 33
EVENT_TOO_OLD = 2_804_003
TOO_LITTLE_USER_DATA = 2_804_050
AUDIENCE_NAME_FLAGGED = 1_713_230
SEED_NAME_FLAGGED = 1_713_232
PERMISSION = 200
TERMS_NOT_ACCEPTED = 1_870_090
VALUE_BASED_TERMS_NOT_ACCEPTED = 1_870_034
DEPRECATED_VERSION = 2635
UNKNOWN_PATH = 2500
TOKEN_MISSING = 104
TOKEN_INVALID = 190
TOKEN_EXPIRED = 463
AUDIENCE_UPDATE = 2650
REPLACE_IN_PROGRESS = 1_870_145
REPLACE_TIMED_OUT = 1_870_158
REPLACE_WITHOUT_FIRST_BATCH = 1_870_147
SESSION_FINISHED = 1_870_159
REPLACE_TOO_LARGE = 1_870_144
AUDIENCE_CREATION = 2654
