"""The Google Ads accounts that the sandbox begins with, as the official resource messages (API v26).

One shop's account (EUR, Berlin) under one manager, with conversion actions that are bid on, not bid on and
recorded by a website tag, and campaigns of the bidding schemes a target can stand on; and a sister account
whose conversions the manager tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.ads.googleads.v26.common.types.metrics import Metrics
from google.ads.googleads.v26.resources.types.campaign import Campaign
from google.ads.googleads.v26.resources.types.conversion_action import ConversionAction
from google.ads.googleads.v26.resources.types.customer import Customer

from connectors.sandbox.google_facts import DEFAULT_CLICK_LOOKBACK_DAYS

MANAGER_ID = "1111111111"
CUSTOMER_ID = "1234567890"
SISTER_ID = "2222222222"
BID_ON_ACTION_ID = "987"
NOT_BID_ON_ACTION_ID = "988"
TAG_ACTION_ID = "989"
MANAGER_ACTION_ID = "700"

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

# Scheme → the path of its target on the campaign; both target paths of "maximise" schemes are optional.
TARGET_PATHS = {
    "MAXIMIZE_CONVERSIONS": ("maximize_conversions", "target_cpa_micros"),
    "MAXIMIZE_CONVERSION_VALUE": ("maximize_conversion_value", "target_roas"),
    "TARGET_CPA": ("target_cpa", "target_cpa_micros"),
    "TARGET_ROAS": ("target_roas", "target_roas"),
    "MANUAL_CPC": ("manual_cpc", ""),
}


@dataclass
class Account:
    """One Google Ads account. `manager_id` is who manages it; `conversion_customer_id` who keeps its
    conversion actions. `direct_access` False: it is reached through its manager alone."""

    customer: Any
    manager_id: str | None = None
    conversion_customer_id: str = ""
    direct_access: bool = True
    conversion_actions: dict[str, Any] = field(default_factory=dict)
    action_created: dict[str, datetime] = field(default_factory=dict)
    campaigns: dict[str, Any] = field(default_factory=dict)
    metrics: dict[tuple[str, date], Any] = field(default_factory=dict)

    @property
    def customer_id(self) -> str:
        return str(self.customer.id)

    def add_conversion_action(
        self,
        action_id: str,
        name: str,
        *,
        type_: str = "UPLOAD_CLICKS",
        category: str = "PURCHASE",
        status: str = "ENABLED",
        counting_type: str = "MANY_PER_CLICK",
        primary_for_goal: bool = True,
        lookback_days: int = DEFAULT_CLICK_LOOKBACK_DAYS,
        created: datetime = _EPOCH,
    ) -> Any:
        """Keep a conversion action (a v26 ConversionAction message); enum values by name."""
        action = ConversionAction(
            resource_name=f"customers/{self.customer_id}/conversionActions/{action_id}",
            id=int(action_id),
            name=name,
            type_=type_,
            category=category,
            status=status,
            counting_type=counting_type,
            primary_for_goal=primary_for_goal,
            include_in_conversions_metric=primary_for_goal,
            click_through_lookback_window_days=lookback_days,
            owner_customer=f"customers/{self.customer_id}",
        )
        action.value_settings.default_currency_code = self.customer.currency_code
        self.conversion_actions[action_id] = ConversionAction.pb(action)
        self.action_created[action_id] = created
        return self.conversion_actions[action_id]

    def add_campaign(
        self,
        campaign_id: str,
        name: str,
        scheme: str,
        *,
        target: float | None = None,
        channel: str = "SEARCH",
        status: str = "ENABLED",
        portfolio_id: str | None = None,
        declared: bool = True,
        system_status: str = "ENABLED",
    ) -> Any:
        """Keep a campaign (a v26 Campaign message). `target` is micros of the account's currency for CPA
        schemes and a ratio for ROAS schemes; `declared`: the EU political-ads declaration is made."""
        campaign = Campaign.pb(
            Campaign(
                resource_name=f"customers/{self.customer_id}/campaigns/{campaign_id}",
                id=int(campaign_id),
                name=name,
                status=status,
                advertising_channel_type=channel,
                bidding_strategy_type=scheme,
                bidding_strategy_system_status=system_status,
                missing_eu_political_advertising_declaration=not declared,
            )
        )
        if declared:
            campaign.contains_eu_political_advertising = 3  # DOES_NOT_CONTAIN_EU_POLITICAL_ADVERTISING
        holder, leaf = TARGET_PATHS[scheme]
        if portfolio_id is not None:
            campaign.bidding_strategy = f"customers/{self.customer_id}/biddingStrategies/{portfolio_id}"
        else:
            getattr(campaign, holder).SetInParent()
            if target is not None:
                setattr(
                    getattr(campaign, holder), leaf, type(getattr(getattr(campaign, holder), leaf))(target)
                )
        self.campaigns[campaign_id] = campaign
        return campaign

    def add_day(
        self, campaign_id: str, day: date, *, cost_micros: int, clicks: int, conversions: float, value: float
    ) -> None:
        """Keep one day's figures of a campaign; `value` in the account's currency."""
        self.metrics[(campaign_id, day)] = Metrics.pb(
            Metrics(
                cost_micros=cost_micros,
                clicks=clicks,
                impressions=clicks * 20,
                conversions=conversions,
                conversions_value=value,
                all_conversions=conversions,
                all_conversions_value=value,
            )
        )


def account(
    customer_id: str,
    name: str,
    *,
    currency: str = "EUR",
    time_zone: str = "Europe/Berlin",
    manager: bool = False,
    manager_id: str | None = None,
    conversion_customer_id: str | None = None,
    accepted_terms: bool = True,
) -> Account:
    """An account. `conversion_customer_id` defaults to itself; `accepted_terms` are the customer data terms
    that enhanced conversions and Customer Match need."""
    tracker = conversion_customer_id or customer_id
    tracking = "SELF" if tracker == customer_id else "ANOTHER_MANAGER"
    customer = Customer(
        resource_name=f"customers/{customer_id}",
        id=int(customer_id),
        descriptive_name=name,
        currency_code=currency,
        time_zone=time_zone,
        manager=manager,
        auto_tagging_enabled=True,
        status="ENABLED",
        conversion_tracking_setting={
            "accepted_customer_data_terms": accepted_terms,
            "conversion_tracking_status": f"CONVERSION_TRACKING_MANAGED_BY_{tracking}",
            "google_ads_conversion_customer": f"customers/{tracker}",
        },
    )
    return Account(Customer.pb(customer), manager_id=manager_id, conversion_customer_id=tracker)


def default_accounts() -> dict[str, Account]:
    """The accounts by customer id."""
    manager = account(MANAGER_ID, "Northwind Group", manager=True)
    manager.add_conversion_action(MANAGER_ACTION_ID, "Group purchase")
    shop = account(CUSTOMER_ID, "Northwind Outdoor", manager_id=MANAGER_ID)
    # One customer may buy several times after one click, each with its own transaction id, and Google takes
    # gbraid and wbraid only for actions that count every conversion.
    shop.add_conversion_action(BID_ON_ACTION_ID, "New customer (CLV)")
    shop.add_conversion_action(NOT_BID_ON_ACTION_ID, "Order margin", primary_for_goal=False)
    shop.add_conversion_action(
        TAG_ACTION_ID, "Website purchase (tag)", type_="WEBPAGE", primary_for_goal=False
    )
    _add_campaigns(shop)
    sister = account(SISTER_ID, "Northwind Sports", manager_id=MANAGER_ID, conversion_customer_id=MANAGER_ID)
    return {each.customer_id: each for each in (manager, shop, sister)}


def _add_campaigns(shop: Account) -> None:
    shop.add_campaign("101", "Brand", "TARGET_ROAS", target=6.0)
    shop.add_campaign("102", "Generic tents", "MAXIMIZE_CONVERSION_VALUE", target=3.5)
    shop.add_campaign("103", "Generic boots", "MAXIMIZE_CONVERSIONS", target=28_000_000)
    shop.add_campaign("104", "Competitors", "TARGET_CPA", target=35_000_000)
    shop.add_campaign("105", "All products", "MAXIMIZE_CONVERSION_VALUE", channel="PERFORMANCE_MAX")
    shop.add_campaign("106", "Retailers", "TARGET_ROAS", portfolio_id="501")
    shop.add_campaign("107", "Old catalogue", "MANUAL_CPC", status="PAUSED")
    first = date(2026, 10, 1)
    for campaign in range(101, 107):
        for offset in range(60):
            # Uneven enough that a mistake in grouping or filtering shows.
            clicks = 40 + (campaign * 7 + offset * 3) % 25
            shop.add_day(
                str(campaign),
                first + timedelta(days=offset),
                cost_micros=clicks * 610_000,
                clicks=clicks,
                conversions=clicks / 20,
                value=clicks * 2.75,
            )
