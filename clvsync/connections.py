"""From the configuration to opened sources and destinations: the one place that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from clvsync.config.sections import (
    Config,
    GoogleConversionsSync,
    MetaAudienceSync,
    MetaEventsSync,
    Sync,
)
from connectors.types import Destination, Source

if TYPE_CHECKING:
    from connectors.google.account import GoogleAccount
    from connectors.meta.account import MetaAccount


T = TypeVar("T")


def open_source(config: Config) -> Source:
    """The warehouse, ready to read. Raises ConnectorError where it cannot be opened."""
    from connectors.sources.opening import open_source as open_by_url

    return open_by_url(
        config.warehouse.url.get_secret_value(),
        name="warehouse",
        memory_limit=config.warehouse.memory,
        options={"statement_timeout": str(int(config.warehouse.statement_timeout.total_seconds()))},
    )


def open_destination(config: Config, sync: Sync) -> Destination:
    """Where this sync writes. Nothing is asked of the platform yet."""
    match sync:
        case GoogleConversionsSync():
            from connectors.google.conversions import GoogleConversions

            account = google_account(config)
            return GoogleConversions(
                account,
                sync.conversion_action,
                event_source=sync.event_source,
                default_region=config.business.default_region,
                lookback=sync.click_window,
                first_poll=_present(config.accounts.google).first_poll,
                allow_zero_restatement=sync.restate.to_zero,
                sent_by_site=sync.sent_by == "site",
            )
        case MetaEventsSync():
            from connectors.meta.events import MetaEvents

            return MetaEvents(
                meta_account(config),
                str(_present(config.accounts.meta).dataset),
                sync.event,
                action_source=sync.action_source,
                default_region=config.business.default_region,
                test_event_code=sync.test_event_code,
            )
        case MetaAudienceSync():
            from connectors.meta.audience import MetaAudience

            return MetaAudience(
                meta_account(config),
                sync.audience or sync.name,
                value_based=sync.value_based,
                description=sync.description,
                default_region=config.business.default_region,
            )


def google_account(config: Config) -> GoogleAccount:
    """The Google Ads account of the configuration, with its credentials and addresses."""
    from connectors.google import account as google

    given = _present(config.accounts.google)
    credentials = given.credentials
    kind: google.GoogleCredentials
    if credentials.service_account_file is not None:
        kind = google.ServiceAccount(credentials.service_account_file)
    elif credentials.access_token is not None:
        kind = google.AccessToken(credentials.access_token.get_secret_value())
    else:
        kind = google.OAuthUser(
            _present(credentials.client_id),
            _present(credentials.client_secret).get_secret_value(),
            _present(credentials.refresh_token).get_secret_value(),
        )
    return google.GoogleAccount(
        given.customer_id,
        login_customer_id=given.login_customer_id,
        credentials=kind,
        ads_endpoint=given.endpoints.ads,
        data_manager_url=given.endpoints.data_manager,
        token_url=given.endpoints.token,
        certificate=given.certificate,
        timeout=given.timeout,
    )


def meta_account(config: Config) -> MetaAccount:
    """The Meta ad account of the configuration, with its token and address."""
    from connectors.meta.account import MetaAccount

    given = _present(config.accounts.meta)
    return MetaAccount(
        given.ad_account,
        given.access_token,
        app_secret=given.app_secret,
        graph_url=given.endpoints.graph,
        certificate=given.certificate,
        timeout=given.timeout,
    )


def _present(value: T | None) -> T:
    if value is None:
        raise ValueError("the configuration was not checked")
    return value
