"""The demo's clvsync.yaml and .env."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from clvsync.config.loading import STATE_KEY_VARIABLE
from clvsync.config.sections import GoogleEndpoints, MetaEndpoints
from clvsync.demo import market

CONFIGURATION = "clvsync.yaml"
ENVIRONMENT = ".env"
TOKEN_VARIABLE = "SANDBOX_TOKEN"  # noqa: S105

_TEXT = """\
# Northwind Outdoor: a sample shop, sent to the sandbox instead of to Google and Meta.
# To make this your own: change the warehouse, the tables and the accounts, and take out the endpoints.

business:
  name: Northwind Outdoor
  currency: EUR                 # values, CLV and reports are in this currency
  timezone: Europe/Berlin
  consent:
    default: opt_in             # no answer means no
    US: opt_out                 # no answer means yes, until the customer says no
  default_region: DE            # for phone numbers of customers whose country is unknown
  exchange_rates:               # what one unit is worth in EUR
{exchange_rates}

state:
  url: {state}                  # what was planned, sent, accepted and refused

warehouse:
  url: {warehouse}

tables:
  customers:
    from: customers
    key: customer_id
    email: email
    phone: phone
    first_name: first_name
    last_name: last_name
    city: city
    region: region
    postcode: postcode
    country: country
    external_id: customer_id
    consent_ad_user_data: consent_ad_user_data
    consent_ad_personalization: consent_ad_personalization
    test: is_test               # test customers are left out
  orders:
    from: orders
    key: order_id
    customer: customer_id
    time: ordered_at
    value: net_revenue          # without tax and shipping; a refund is a negative amount
    currency: currency
    test: is_test
    channel: channel
    device: device
    campaign_id: campaign_id    # from the landing page's URL parameters, kept with the order
    ad_group_id: ad_group_id
    ad_id: ad_id
    click_time: click_time
    gclid: gclid
    gbraid: gbraid
    wbraid: wbraid
    fbclid: fbclid
    fbp: fbp
    client_ip: client_ip
    user_agent: user_agent
    page_url: page_url
    features:                   # of the first order; what a customer will be worth is learned from them too
      category: category
      discounted: discounted
  spend:
    from: ad_spend
    date: date
    channel: channel
    campaign_id: campaign_id
    cost: cost
    currency: currency

# What a customer is worth: margin of the first year, counted from the first order.
clv:
  acquisition: first_order      # new customers: from what is known on the day of the first order
  existing: bgnbd               # customers with a history: from how often and how lately they bought
  horizon: {horizon} days
  margin: {margin}
  discount_rate: {discount_rate}

accounts:
  google:
    customer_id: {customer_id}
    conversions_via: data_manager
    credentials: {{access_token: "${{{token_variable}}}"}}
    endpoints: {{ads: {ads}, data_manager: {data_manager}}}
    certificate: {certificate}
    first_poll: 0 seconds       # the sandbox decides at once; Google takes half an hour
  meta:
    ad_account: {ad_account}
    dataset: "{dataset}"
    access_token: "${{{token_variable}}}"
    endpoints: {{graph: {graph}}}

syncs:
  # Every new customer's first order, at what the customer will be worth. `scaled` keeps the sum that
  # bidding is used to and only moves the differences; p99 keeps one big customer from owning the auction.
  - name: google-new-customers
    from: orders
    to: google.conversions
    conversion_action: "{conversion_action}"
    carries: acquisition
    sent_by: us
    value: {{policy: scaled, cap: p99}}
    restate: {{after: 10%}}       # sent again when the prediction has moved by a tenth
    schedule: every 4 hours

  # The same first orders for Meta, which takes events of the last seven days.
  - name: meta-purchases
    from: orders
    to: meta.events
    event: Purchase
    carries: acquisition
    sent_by: us
    value: {{policy: scaled, cap: p99}}
    schedule: hourly

  # The fifth of customers with the most still to come: the seed of a lookalike audience.
  - name: best-customers
    from: customers
    to: meta.audience
    description: The customers who will order the most in the year ahead
    where: residual_clv >= p80
    value_based: true
    schedule: daily at 06:30
"""


def write_configuration(
    folder: Path,
    *,
    google: GoogleEndpoints,
    meta: MetaEndpoints,
    certificate: Path,
    token: str = "sandbox-token",  # noqa: S107
    shop: str = "shop.duckdb",
    state: str = "sqlite:///state/clvsync.db",
    customer_id: str = "123-456-7890",
    conversion_action: str = "987",
    ad_account: str = "act_1001",
    dataset: str = "2001",
) -> Path:
    """Write clvsync.yaml and .env into `folder` and give the first one's path.

    `google` needs `ads` and `data_manager`, `meta` needs `graph`: the sandbox's addresses. `certificate` is
    the one its Google Ads server shows; `shop` the DuckDB file, relative to `folder` or absolute. The ids are
    those that the sandbox knows. An .env that is there keeps its state key, because a ledger in `folder` may
    have been written with it. Raises ValueError where an address is missing.
    """
    if not (google.ads and google.data_manager and meta.graph):
        raise ValueError("demo configuration: google.ads, google.data_manager and meta.graph are all needed")
    folder.mkdir(parents=True, exist_ok=True)
    rates = "\n".join(f"    {code}: {rate}" for code, rate in market.EXCHANGE_RATES.items())
    text = _TEXT.format(
        exchange_rates=rates,
        state=_quoted(state),
        warehouse=_quoted(f"duckdb:///{shop}"),
        horizon=market.HORIZON_DAYS,
        margin=market.MARGIN,
        discount_rate=f"{market.DISCOUNT_RATE:.2f}",
        customer_id=customer_id,
        token_variable=TOKEN_VARIABLE,
        ads=_quoted(google.ads),
        data_manager=_quoted(google.data_manager),
        certificate=_quoted(str(certificate)),
        ad_account=ad_account,
        dataset=dataset,
        graph=_quoted(meta.graph),
        conversion_action=conversion_action,
    )
    path = folder / CONFIGURATION
    path.write_text(text, encoding="utf-8")
    _write_environment(folder / ENVIRONMENT, token)
    return path


def _write_environment(path: Path, token: str) -> None:
    from dotenv import dotenv_values

    kept = dotenv_values(path).get(STATE_KEY_VARIABLE) if path.is_file() else None
    key = kept or secrets.token_urlsafe(32)
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(f"{STATE_KEY_VARIABLE}={key}\n{TOKEN_VARIABLE}={token}\n", encoding="utf-8")


def _quoted(text: str) -> str:
    """A YAML double-quoted scalar."""
    return json.dumps(text, ensure_ascii=False)
