"""The sections of clvsync.yaml and what each key means."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, model_validator

from clvsync.config.section import Currency, Section
from clvsync.config.units import Duration, Schedule, ScheduleText, Share, parse_duration
from clvsync.config.value_policy import ValuePolicy
from connectors import currency as currencies


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{name!r} is not a time zone such as Europe/Berlin") from None
    return name


Regime = Literal["opt_in", "opt_out"]


class Business(Section):
    name: str
    currency: Currency = Field(description="The currency of values, CLV and reports.")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        description="The zone of days, schedules, and of times that come without one."
    )
    consent: dict[str, Regime] = Field(
        default={"default": "opt_in"},
        description="By country code: opt_in (no answer means no) or opt_out (no answer means yes).",
    )
    default_region: str | None = Field(
        default=None,
        pattern="^[A-Z]{2}$",
        description="Country code for phone numbers of customers whose country is unknown.",
    )
    exchange_rates: dict[Currency, Annotated[Decimal, Field(gt=0)]] = Field(
        default_factory=dict, description="What one unit of another currency is worth in the business's own."
    )


class State(Section):
    url: str = Field(
        default="sqlite:///state/clvsync.db",
        repr=False,  # it may hold a password
        description="sqlite:///FILE or postgresql://…",
    )
    key: SecretStr | None = Field(default=None, description="Encrypts what a re-send needs and is personal.")


class Warehouse(Section):
    url: SecretStr = Field(description="duckdb:///FILE, files:///FOLDER, postgresql://…, bigquery://…, …")
    memory: str = Field(default="512MB", pattern=r"^\d+(MB|GB)$", description="For the embedded engine.")
    statement_timeout: Duration = Field(default=parse_duration("30 minutes"))


Relation = Annotated[str, Field(min_length=1, description="A table's name, or one SELECT.")]


class CustomersTable(Section):
    relation: Relation = Field(alias="from")
    key: str
    where: str | None = Field(default=None, description="An SQL condition; other rows are not read.")
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    city: str | None = None
    region: str | None = None
    postcode: str | None = None
    country: str | None = None
    external_id: str | None = None
    consent: str | None = Field(default=None, description="One boolean for both uses of the person's data.")
    consent_ad_user_data: str | None = None
    consent_ad_personalization: str | None = None
    test: str | None = Field(
        default=None, description="A boolean: true for test customers, who are left out."
    )
    total_clv: str | None = Field(default=None, description="For the model `column`.")
    residual_clv: str | None = Field(default=None, description="For the model `column`.")


FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class OrdersTable(Section):
    relation: Relation = Field(alias="from")
    key: str
    customer: str
    time: str
    value: str = Field(description="Net revenue. Negative: a refund. Zero: counted, never a purchase.")
    where: str | None = Field(default=None, description="An SQL condition; other rows are not read.")
    currency: str | None = Field(default=None, description="Absent: the business's currency.")
    test: str | None = Field(default=None, description="A boolean: true for test orders, which are left out.")
    channel: str | None = None
    device: str | None = None
    stage: str | None = Field(default=None, description="How far a lead has come, for the policy `stage`.")
    campaign_id: str | None = None
    ad_group_id: str | None = Field(default=None, description="Kept with the order; nothing uses it yet.")
    ad_id: str | None = Field(default=None, description="Kept with the order; nothing uses it yet.")
    click_time: str | None = None
    gclid: str | None = None
    gbraid: str | None = None
    wbraid: str | None = None
    fbclid: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    page_url: str | None = None
    features: dict[FeatureName, str] = Field(
        default_factory=dict,
        description="Further columns of the first order that the model `first_order` learns from, by a "
        "name of your own: `{category: product_category}`. Text, numbers or booleans; known when the order "
        "is placed.",
    )


class SpendTable(Section):
    """Cost by day and channel. Checked for its form; nothing reads it yet."""

    relation: Relation = Field(alias="from")
    date: str
    cost: str
    channel: str
    campaign_id: str | None = None
    currency: str | None = None


class Tables(Section):
    customers: CustomersTable
    orders: OrdersTable
    spend: SpendTable | None = None


class Validation(Section):
    """How the models are tried on the past, and what they have to show before they are sent with."""

    cutoffs: Annotated[int, Field(ge=1, le=12)] = Field(
        default=3, description="Days of the past to fit before and predict after; half a window apart."
    )
    window: Duration | None = Field(
        default=None,
        description="How long after each is predicted. Absent: the horizon, at most a third of the history.",
    )
    max_bias: Annotated[Share, Field(gt=0)] = Field(
        default=Decimal("0.25"), description="How far a predicted total may be off before the model is held."
    )


class Jump(Section):
    """How far a newly fitted model may be from the one before it until a person is asked."""

    mean_score: Annotated[Share, Field(gt=0)] = Field(
        default=Decimal("0.3"), description="Change of the customers' mean total CLV."
    )
    parameters: Annotated[Share, Field(gt=0)] = Field(
        default=Decimal("0.5"), description="Change of what the parameters say, such as the purchase rate."
    )


class Clv(Section):
    acquisition: Literal["first_order", "column"] = Field(
        default="first_order", description="The model for customers known by their first order alone."
    )
    existing: Literal["bgnbd", "column"] = Field(
        default="bgnbd", description="The model for customers with a history."
    )
    horizon: Annotated[Duration, Field(gt=timedelta(0))] = Field(description="Counted from the acquisition.")
    margin: Annotated[Share, Field(gt=0, le=1)] = Field(description="Share of net revenue that is margin.")
    discount_rate: Annotated[Share, Field(ge=0, lt=1)] = Field(description="A year.")
    refit: ScheduleText = Field(
        default=Schedule(text="every week", every=parse_duration("7 days")),
        description="When the models are fitted anew: an interval, or a cron line in the business's zone.",
    )
    validation: Validation = Validation()
    jump: Jump = Jump()
    accept_unvalidated: bool = Field(
        default=False,
        description="Send with models that failed their validation or jumped, whichever version it is.",
    )

    @model_validator(mode="after")
    def _column_is_whole(self) -> Clv:
        if (self.acquisition == "column") != (self.existing == "column"):
            raise ValueError(
                "`column` gives CLV for everyone: set it for both acquisition and existing, or neither"
            )
        return self


class GoogleEndpoints(Section):
    ads: str | None = Field(default=None, description="host:port of the Google Ads API.")
    data_manager: str | None = None
    token: str | None = None


class GoogleCredentials(Section):
    """One of: a service account's key file; an OAuth client with a refresh token; an access token."""

    service_account_file: Path | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    access_token: SecretStr | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> GoogleCredentials:
        user = (self.client_id, self.client_secret, self.refresh_token)
        if any(user) and not all(user):
            raise ValueError("an OAuth user needs client_id, client_secret and refresh_token")
        if sum((bool(self.service_account_file), any(user), bool(self.access_token))) != 1:
            raise ValueError("give a service_account_file, or an OAuth user, or an access_token")
        return self


class GoogleAccount(Section):
    customer_id: str = Field(pattern=r"^\d{3}-?\d{3}-?\d{4}$")
    login_customer_id: str | None = Field(default=None, pattern=r"^\d{3}-?\d{3}-?\d{4}$")
    conversions_via: Literal["data_manager"] = "data_manager"
    credentials: GoogleCredentials
    endpoints: GoogleEndpoints = GoogleEndpoints()
    certificate: Path | None = Field(default=None, description="PEM file of a certificate to trust.")
    timeout: Duration = Field(default=parse_duration("60 seconds"))
    first_poll: Duration = Field(
        default=parse_duration("30 minutes"),
        description="How long to wait before asking what became of a request.",
    )


class MetaEndpoints(Section):
    graph: str | None = None


class MetaAccount(Section):
    ad_account: str | None = Field(default=None, pattern=r"^(act_)?\d+$")
    dataset: str | None = Field(default=None, pattern=r"^\d+$")
    access_token: SecretStr
    app_secret: SecretStr | None = None
    endpoints: MetaEndpoints = MetaEndpoints()
    certificate: Path | None = Field(default=None, description="PEM file of a certificate to trust.")
    timeout: Duration = Field(default=parse_duration("60 seconds"))


class Accounts(Section):
    google: GoogleAccount | None = None
    meta: MetaAccount | None = None


class Restate(Section):
    after: Annotated[Share, Field(ge=0)] = Field(
        default=Decimal("0.1"), description="How far a value moves before it is sent again."
    )
    within: Duration = Field(
        default=parse_duration("55 days"),
        description="Counted from the conversion; later changes are not sent.",
    )
    to_zero: bool = Field(
        default=False, description="A conversion restated to 0 can never be restated again."
    )


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class _Sync(Section):
    name: Name
    schedule: ScheduleText | None = Field(default=None, description="Absent: run by hand alone.")


class ConversionsSync(_Sync):
    """What every sync of conversions says."""

    relation: Literal["orders"] = Field(alias="from")
    carries: Literal["acquisition", "increment"] = Field(
        description="acquisition: total CLV on the first order, once per customer. "
        "increment: the margin of each order alone, on an action that is not bid on."
    )
    sent_by: Literal["us", "site"] = Field(
        description="Who sends the event itself. site: a tag or plug-in does; only its value is restated."
    )
    value: ValuePolicy = ValuePolicy()


class GoogleConversionsSync(ConversionsSync):
    to: Literal["google.conversions"]
    conversion_action: str = Field(pattern=r"^\d+$", description="The conversion action's id.")
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"] = "WEB"
    click_window: Duration = Field(
        default=parse_duration("90 days"), description="The conversion action's click-through look-back."
    )
    restate: Restate = Restate()

    @model_validator(mode="after")
    def _an_order_keeps_its_margin(self) -> GoogleConversionsSync:
        if self.carries == "increment" and self.sent_by == "us" and "restate" in self.model_fields_set:
            raise ValueError(
                "`restate` is for syncs that carry the acquisition: an order's margin is sent once"
            )
        return self


class MetaEventsSync(ConversionsSync):
    to: Literal["meta.events"]
    sent_by: Literal["us"] = Field(
        description="Meta cannot restate an event: one that the site already sends is not sent again."
    )
    event: str = "Purchase"
    action_source: Literal[
        "website", "physical_store", "system_generated", "phone_call", "email", "other"
    ] = "website"
    test_event_code: str | None = None


class MetaAudienceSync(_Sync):
    relation: Literal["customers"] = Field(alias="from")
    to: Literal["meta.audience"]
    audience: str | None = Field(default=None, description="The audience's name at Meta; absent: the sync's.")
    description: str = ""
    where: str | None = Field(
        default=None, description="Who belongs: a condition over the scores, such as residual_clv >= p90."
    )
    value_based: bool = False
    tolerance: Annotated[Share, Field(ge=0)] = Field(
        default=Decimal("0.1"), description="How far a member's value moves before it is sent again."
    )


Sync = Annotated[GoogleConversionsSync | MetaEventsSync | MetaAudienceSync, Field(discriminator="to")]


class Membership(Section):
    """What keeps people from flickering in and out of segments and audiences."""

    margin: Annotated[Share, Field(ge=0, lt=1)] = Field(
        default=Decimal("0.1"),
        description="How far past a threshold a member has to fall before leaving. For amounts and "
        "probabilities; counts and days are taken as they are.",
    )
    thresholds: Duration = Field(
        default=parse_duration("30 days"),
        description="How long the amount behind a percentile such as p90 is kept before it is taken anew.",
    )


SegmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class Brakes(Section):
    """When a run is held because its volume or value is far from the sync's own history."""

    enabled: bool = True
    times: Annotated[float, Field(gt=1)] = Field(
        default=4.0, description="How many times above or below the usual day is too far."
    )


class Config(Section):
    business: Business
    state: State = State()
    warehouse: Warehouse
    tables: Tables
    clv: Clv
    accounts: Accounts
    syncs: list[Sync] = Field(min_length=1)
    segments: dict[SegmentName, str] = Field(
        default_factory=dict,
        description="Conditions by name, for `where` and `clvsync segments`. A name of clvsync's own is "
        "replaced.",
    )
    membership: Membership = Membership()
    brakes: Brakes = Brakes()

    @model_validator(mode="before")
    @classmethod
    def _state_may_be_an_address(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("state"), str):
            return {**given, "state": {"url": given["state"]}}
        return given

    @model_validator(mode="after")
    def _is_whole(self) -> Config:
        names = [sync.name for sync in self.syncs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two syncs are called {name!r}; names are for ever, choose another")
        for sync in self.syncs:
            if getattr(self.accounts, sync.to.split(".")[0]) is None:
                raise ValueError(
                    f"sync {sync.name!r} goes to {sync.to}, but accounts.{sync.to.split('.')[0]} is absent"
                )
            if isinstance(sync, MetaEventsSync) and self.accounts.meta and not self.accounts.meta.dataset:
                raise ValueError(f"sync {sync.name!r} needs accounts.meta.dataset")
            if (
                isinstance(sync, MetaAudienceSync)
                and self.accounts.meta
                and not self.accounts.meta.ad_account
            ):
                raise ValueError(f"sync {sync.name!r} needs accounts.meta.ad_account")
            if isinstance(sync, ConversionsSync):
                self._can_value(sync)
        if self.clv.existing == "column" and not self.tables.customers.total_clv:
            raise ValueError("the model `column` needs tables.customers.total_clv")
        return self

    def _can_value(self, sync: ConversionsSync) -> None:
        business, policy = self.business, sync.value
        code = policy.currency or business.currency
        if code != business.currency and code not in business.exchange_rates:
            raise ValueError(f"sync {sync.name!r} sends {code}, but business.exchange_rates has no {code}")
        smallest = Decimal(1).scaleb(-currencies.decimals(code))
        if policy.round_to is not None and policy.round_to % smallest:
            raise ValueError(f"sync {sync.name!r}: {code} has no amounts of {policy.round_to} (round_to)")
        if policy.policy == "stage" and not self.tables.orders.stage:
            raise ValueError(f"sync {sync.name!r}: the policy `stage` needs tables.orders.stage")

    def sync(self, name: str) -> GoogleConversionsSync | MetaEventsSync | MetaAudienceSync:
        """The sync of that name. Raises KeyError."""
        for sync in self.syncs:
            if sync.name == name:
                return sync
        raise KeyError(name)
