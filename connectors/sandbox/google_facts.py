"""What the sandbox holds Google's callers to: limits and windows, each with its source and date.

Kept apart from any client's figures, so that a client that has one wrong is found out. "package" stands for
google-ads 34.0.0 (API v26) and google-ads-datamanager 0.9.4, read in November 2026; a page's name stands for
its path under developers.google.com, read on the same occasion.
"""

from __future__ import annotations

from datetime import timedelta

ADS_API_VERSION = "v26"

# Data Manager API. Source: package (field comments, ErrorReason) and data-manager/api/devguides/limits.
MOST_EVENTS = 2_000
"""The TOO_MANY_EVENTS text speaks of 10,000; the limits page and the field's own comment of 2,000."""
MOST_AUDIENCE_MEMBERS = 10_000
MOST_USER_IDENTIFIERS = 10
MOST_DESTINATIONS = 10
REQUESTS_PER_MINUTE = 300
STATUS_KEPT = timedelta(days=50)
"""ErrorReason.REQUEST_TOO_OLD."""
LONGEST_MEMBERSHIP = timedelta(days=540)
"""ads/blog/posts/2025/02: longer memberships are refused."""
USER_LISTS_PER_PAGE = 50
MOST_USER_LISTS_PER_PAGE = 1_000

CLICK_RIPENS_AFTER = timedelta(hours=6)
"""How long a click is too recent to be attributed (TOO_RECENT_CLICK). Source: package, TOO_RECENT_EVENT."""
DEFAULT_CLICK_LOOKBACK_DAYS = 90
LONGEST_CLICK_LOOKBACK_DAYS = 90

# Google Ads API. Source: package and google-ads/api/docs/api-policy/access-levels, best-practices/quotas.
ROWS_PER_PAGE = 10_000
MOST_MUTATE_OPERATIONS = 10_000
