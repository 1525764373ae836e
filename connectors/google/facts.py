"""What Google's two APIs accept, refuse and limit, with where it is written and when it was read.

Pages are on developers.google.com unless named otherwise; "package" is google-ads 34.0.0 or
google-ads-datamanager 0.9.4, whose own descriptions are the last word. Everything was read in November 2026.
"""

from __future__ import annotations

from datetime import date, timedelta

ADS_API_VERSION = "v26"  # package google-ads 34.0.0: its newest

ADS_API_SUNSETS = {
    # ads-developers blog, "More frequent releases coming for the Google Ads API": the month alone, tentative.
    "v23": date(2027, 2, 1),
    "v24": date(2027, 5, 1),
    "v25": date(2027, 8, 1),
    # Not announced; a version has lived for about twelve months since its release (October 2026).
    "v26": date(2027, 10, 1),
}
SUNSET_NOTICE = timedelta(days=60)

ADS_ENDPOINT = "googleads.googleapis.com:443"  # package
DATA_MANAGER_URL = "https://datamanager.googleapis.com"  # package
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - identity/protocols/oauth2, an address

# google-ads/api/docs/oauth; data-manager/api/devguides/quickstart/set-up-access
SCOPES = (
    "https://www.googleapis.com/auth/adwords",
    "https://www.googleapis.com/auth/datamanager",
)

# data-manager/api/devguides/limits
EVENTS_PER_REQUEST = 2_000
MEMBERS_PER_REQUEST = 10_000
REQUESTS_PER_MINUTE = 300
REQUESTS_PER_DAY = 100_000

FIRST_STATUS_POLL = timedelta(minutes=30)  # data-manager/api/devguides/diagnostics
STATUS_KEPT = timedelta(days=50)  # package: ErrorReason.REQUEST_TOO_OLD

# support.google.com/google-ads/answer/3123169: a click look-back of 1 to 90 days
SHORTEST_CLICK_LOOKBACK = timedelta(days=1)
LONGEST_CLICK_LOOKBACK = timedelta(days=90)
# support.google.com/google-ads/answer/7012522, as quoted by third parties: nothing is imported later than
# this after the click. No page says how long the Data Manager API takes adjustments.
UPLOAD_WINDOW = timedelta(days=90)
# package: CONVERSION_ACTION_TOO_RECENTLY_CREATED, TOO_RECENT_CLICK; six hours in google-ads' TOO_RECENT_*
TOO_RECENT_WAIT = timedelta(hours=6)
# google-ads/api/docs/best-practices/quotas: a day's limit is a rolling window, so some of it frees each hour
DAY_LIMIT_WAIT = timedelta(hours=1)

# package: ConversionAdjustmentUploadError.TOO_RECENT_CONVERSION, "at least 24 hours ago". The Data Manager
# API states no wait, but makes a new conversion of an id that it does not know yet.
TAG_CONVERSION_WAIT = timedelta(hours=24)

EVENT_SOURCES = ("WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER")  # package: EventSource
CUSTOMER_TYPES = ("new", "returning", "reengaged")  # package: CustomerType

# package: the conversion action types that the Data Manager API records into or adjusts
OFFLINE_ACTION_TYPE = "UPLOAD_CLICKS"
TAG_ACTION_TYPE = "WEBPAGE"

# package: ProcessingErrorReason; data-manager/api/devguides/diagnostics: send these again
REASON_PREFIXES = ("PROCESSING_ERROR_REASON_", "PROCESSING_ERROR_")
PASSING_PROCESSING_REASONS = frozenset({"TOO_RECENT_CLICK", "INTERNAL_ERROR"})

# package: ErrorReason. These are about the account or its settings: every row would fail the same way.
CONFIGURATION_REASONS = {
    "INVALID_CONVERSION_ACTION_ID": "Check the conversion action's id in the configuration.",
    "INVALID_CONVERSION_ACTION_TYPE": "Use a conversion action of the type Import (clicks), UPLOAD_CLICKS.",
    "INVALID_DESTINATION": "Check customer_id and the conversion action; it must belong to that account.",
    "INVALID_USER_LIST_ID": "Check the customer list's id.",
    "INVALID_USER_LIST_TYPE": "Use a customer list made for contact information.",
    "TERMS_AND_CONDITIONS_NOT_SIGNED": "Accept the customer data terms in Google Ads under Goals, Settings.",
    "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED": (
        "Accept the customer data terms in Google Ads under Goals, Settings."
    ),
    "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": (
        "Turn on enhanced conversions for leads in Google Ads under Goals, Settings."
    ),
    "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": (
        "Google's data policy shuts this account out; send click ids alone or ask your Google contact."
    ),
    "DESTINATION_ACCOUNT_TYPE_MISMATCH": "Check that customer_id is a Google Ads account.",
    "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH": "Set login_customer_id to the account itself.",
    "EVENT_SOURCE_AND_DESTINATION_MISMATCH": "Choose the event_source that fits the conversion action.",
    "NOT_ALLOWLISTED": "Ask Google to allow this feature for the account.",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": (
        "Declare for every campaign in Google Ads whether it has EU political advertising."
    ),
}
TOO_RECENT_REASONS = frozenset({"CONVERSION_ACTION_TOO_RECENTLY_CREATED"})
# Nothing is or will be known of the request.
FORGOTTEN_REASONS = frozenset({"REQUEST_TOO_OLD", "INVALID_REQUEST_ID"})

# google-ads/api/docs/best-practices/error-types; package: errors of v26. Families and names of codes.
ADS_CREDENTIAL_FAMILIES = frozenset({"authentication_error", "authorization_error"})
# The access token alone is at fault: a fresh one may do.
TOKEN_ERRORS = frozenset(
    {
        "UNAUTHENTICATED",
        "AUTHENTICATION_ERROR",
        "OAUTH_TOKEN_EXPIRED",
        "OAUTH_TOKEN_INVALID",
        "OAUTH_TOKEN_REVOKED",
    }
)
ADS_BLOCKED_ERRORS = frozenset(
    {
        "CUSTOMER_NOT_ENABLED",
        "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT",
        "PROJECT_DISABLED",
        "ACCESS_PROHIBITED",
    }
)
ADS_CONFIGURATION_ERRORS = {
    "CLIENT_CUSTOMER_ID_INVALID": "Check customer_id: ten digits, with or without hyphens.",
    "INVALID_CUSTOMER_ID": "Check customer_id: ten digits, with or without hyphens.",
    "INVALID_LOGIN_CUSTOMER_ID": "Set login_customer_id to the manager account that gives you access.",
    "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION": (
        "Set login_customer_id to a manager account of this account."
    ),
    "UNSUPPORTED_VERSION": "Install a newer release: Google has switched this API version off.",
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": "Send through the Data Manager API instead.",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": (
        "Declare for every campaign in Google Ads whether it has EU political advertising."
    ),
}
ADS_PASSING_ERRORS = frozenset(
    {
        "TRANSIENT_ERROR",
        "INTERNAL_ERROR",
        "DEADLINE_EXCEEDED",
        "CONCURRENT_MODIFICATION",
        "RESOURCE_TEMPORARILY_EXHAUSTED",
        "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
    }
)
ADS_DAY_LIMIT_ERRORS = frozenset({"RESOURCE_EXHAUSTED", "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION"})
