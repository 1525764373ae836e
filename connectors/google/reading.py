"""What stands in a Google Ads account: itself, its conversion actions, its campaigns. Reads only.

Each function is one streamed query, costs one operation of the day's quota, never retries by itself and
raises what errors.from_ads gives. Enumerations are Google's own words ("ENABLED", "TARGET_ROAS").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from connectors.errors import FixConfiguration
from connectors.google import errors, facts
from connectors.google.account import GoogleAccount

MICROS = Decimal(1_000_000)

_CUSTOMER = """
SELECT customer.id, customer.descriptive_name, customer.currency_code, customer.time_zone, customer.manager,
  customer.test_account, customer.status,
  customer.conversion_tracking_setting.google_ads_conversion_customer,
  customer.conversion_tracking_setting.accepted_customer_data_terms
FROM customer
"""

_CONVERSION_ACTIONS = """
SELECT conversion_action.id, conversion_action.name, conversion_action.status, conversion_action.type,
  conversion_action.category, conversion_action.counting_type, conversion_action.primary_for_goal,
  conversion_action.click_through_lookback_window_days, conversion_action.owner_customer,
  conversion_action.value_settings.always_use_default_value
FROM conversion_action
"""

_CAMPAIGNS = """
SELECT campaign.id, campaign.name, campaign.status, campaign.advertising_channel_type,
  campaign.bidding_strategy_type, campaign.bidding_strategy, campaign.bidding_strategy_system_status,
  campaign.maximize_conversions.target_cpa_micros, campaign.maximize_conversion_value.target_roas,
  campaign.target_cpa.target_cpa_micros, campaign.target_roas.target_roas,
  campaign.missing_eu_political_advertising_declaration
FROM campaign
WHERE campaign.status != 'REMOVED'
"""


@dataclass(frozen=True, slots=True)
class Customer:
    """The account. `conversion_customer_id` is the one that keeps its conversion actions, maybe a manager."""

    customer_id: str
    name: str
    currency: str
    time_zone: str
    status: str
    manager: bool
    test_account: bool
    conversion_customer_id: str
    accepted_customer_data_terms: bool


@dataclass(frozen=True, slots=True)
class ConversionAction:
    """Where conversions are counted. `primary_for_goal`: campaigns bid on it."""

    conversion_action_id: str
    name: str
    status: str
    type: str
    category: str
    counting_type: str
    click_lookback: timedelta
    primary_for_goal: bool
    always_use_default_value: bool
    owner_customer_id: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign and how it bids. `target_cpa` is in the account's currency, `target_roas` a ratio (4.0 is
    400 percent); None: no such target. `portfolio` is the portfolio strategy's resource name, or None; then
    the targets stand there and not here."""

    campaign_id: str
    name: str
    status: str
    channel: str
    bidding_strategy_type: str
    bidding_strategy_system_status: str
    portfolio: str | None
    target_cpa: Decimal | None
    target_roas: float | None
    missing_eu_political_declaration: bool


def customer(account: GoogleAccount) -> Customer:
    """The account itself."""
    found = next(rows(account, _CUSTOMER), None)
    if found is None:
        raise FixConfiguration(account.name, "Google shows nothing of it", "Check customer_id.")
    row = found.customer
    setting = row.conversion_tracking_setting
    return Customer(
        customer_id=str(row.id),
        name=row.descriptive_name,
        currency=row.currency_code,
        time_zone=row.time_zone,
        status=_word(row.status),
        manager=row.manager,
        test_account=row.test_account,
        conversion_customer_id=_last(setting.google_ads_conversion_customer),
        accepted_customer_data_terms=setting.accepted_customer_data_terms,
    )


def conversion_actions(account: GoogleAccount) -> Iterator[ConversionAction]:
    """Every conversion action that the account can see, its managers' included."""
    for row in rows(account, _CONVERSION_ACTIONS):
        action = row.conversion_action
        yield ConversionAction(
            conversion_action_id=str(action.id),
            name=action.name,
            status=_word(action.status),
            type=_word(action.type_),
            category=_word(action.category),
            counting_type=_word(action.counting_type),
            click_lookback=timedelta(days=action.click_through_lookback_window_days),
            primary_for_goal=action.primary_for_goal,
            always_use_default_value=action.value_settings.always_use_default_value,
            owner_customer_id=_last(action.owner_customer),
        )


def campaigns(account: GoogleAccount) -> Iterator[Campaign]:
    """Every campaign that is not removed."""
    for row in rows(account, _CAMPAIGNS):
        campaign = row.campaign
        micros = (
            campaign.target_cpa.target_cpa_micros or campaign.maximize_conversions.target_cpa_micros or None
        )
        yield Campaign(
            campaign_id=str(campaign.id),
            name=campaign.name,
            status=_word(campaign.status),
            channel=_word(campaign.advertising_channel_type),
            bidding_strategy_type=_word(campaign.bidding_strategy_type),
            bidding_strategy_system_status=_word(campaign.bidding_strategy_system_status),
            portfolio=campaign.bidding_strategy or None,
            target_cpa=None if micros is None else Decimal(micros) / MICROS,
            target_roas=campaign.target_roas.target_roas
            or campaign.maximize_conversion_value.target_roas
            or None,
            missing_eu_political_declaration=campaign.missing_eu_political_advertising_declaration,
        )


def rows(account: GoogleAccount, query: str) -> Iterator[Any]:
    """GoogleAdsRow by GoogleAdsRow, as they stream in. `query` is GAQL, never made from user input."""
    from google.ads.googleads.errors import GoogleAdsException
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from grpc import RpcError

    service = account.ads_service("GoogleAdsService")
    # A token can be withdrawn before its time; the client does not renew it then, so a fresh one is tried.
    # It is refused before the first row: no row comes twice.
    for anew in (False, True):
        account.sign_in(anew=anew)
        try:
            stream = service.search_stream(
                customer_id=account.customer_id, query=query, retry=None, timeout=account.seconds
            )
            for batch in stream:
                yield from batch.results
            return
        except (GoogleAdsException, GoogleAPICallError, GoogleAuthError, RpcError) as error:
            known = errors.from_ads(error, account.name)
            if anew or known.code not in facts.TOKEN_ERRORS:
                raise known from None


def _word(value: Any) -> str:
    """The name of an enumeration's value; the number of one newer than the package."""
    return str(getattr(value, "name", value))


def _last(resource_name: str) -> str:
    return resource_name.rpartition("/")[2]
