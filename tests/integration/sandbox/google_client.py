"""Google's own client libraries, pointed at the sandbox."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.ads import datamanager_v1
from google.ads.datamanager_v1.services.ingestion_service.transports.rest import (
    IngestionServiceRestTransport,
)
from google.ads.datamanager_v1.services.user_list_service.transports.rest import UserListServiceRestTransport
from google.ads.googleads.client import _GRPC_CHANNEL_OPTIONS, GoogleAdsClient
from google.ads.googleads.interceptors import ExceptionInterceptor, MetadataInterceptor
from google.oauth2.credentials import Credentials

from connectors.google.certificates import BearerInterceptor
from connectors.sandbox.server import Sandbox

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HASH = hashlib.sha256(b"someone@example.com").hexdigest()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **step: float) -> None:
        self.now += timedelta(**step)


def credentials(token: str) -> Any:
    return Credentials(token=token)  # type: ignore[no-untyped-call]


def ingestion(url: str, token: str = "sandbox-token") -> Any:
    transport = IngestionServiceRestTransport(
        host=url.removeprefix("http://"), url_scheme="http", credentials=credentials(token)
    )
    return datamanager_v1.IngestionServiceClient(transport=transport)


def user_lists(url: str) -> Any:
    transport = UserListServiceRestTransport(
        host=url.removeprefix("http://"), url_scheme="http", credentials=credentials("sandbox-token")
    )
    return datamanager_v1.UserListServiceClient(transport=transport)


def destination(target: str = "987", customer_id: str = "1234567890") -> dict[str, Any]:
    return {
        "operating_account": {"account_id": customer_id, "account_type": "GOOGLE_ADS"},
        "product_destination_id": target,
    }


def event(number: int = 1, *, at: datetime = NOON - timedelta(days=1), **changes: Any) -> dict[str, Any]:
    """An offline conversion that Google takes; `changes` replace whole fields, None leaves one out."""
    whole: dict[str, Any] = {
        "transaction_id": f"order-{number}",
        "event_timestamp": at,
        "event_source": "WEB",
        "currency": "EUR",
        "conversion_value": 12.5,
        "ad_identifiers": {"gclid": f"Cj0KCQ-{number}"},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def events_request(*events: dict[str, Any], **changes: Any) -> Any:
    return datamanager_v1.IngestEventsRequest(
        **{"destinations": [destination()], "events": events or [event()], "encoding": "HEX", **changes}
    )


def ads_service(
    sandbox: Sandbox, name: str, *, token: str = "sandbox-token", login: str | None = None
) -> Any:
    """A service client as GoogleAdsClient makes it, but for the certificate that its channel trusts.

    GoogleAdsClient itself takes no certificate; gRPC reads GRPC_DEFAULT_SSL_ROOTS_FILE_PATH once a process.
    """
    client = GoogleAdsClient(credentials=credentials(token), version="v26", use_proto_plus=True)
    service = client.get_service(name)
    channel = grpc.secure_channel(
        sandbox.ads_endpoint,
        grpc.ssl_channel_credentials(sandbox.certificate.read_bytes()),
        options=_GRPC_CHANNEL_OPTIONS,
    )
    channel = grpc.intercept_channel(
        channel,
        MetadataInterceptor(None, login),
        ExceptionInterceptor("v26", use_proto_plus=True),
        BearerInterceptor(client.credentials),
    )
    return type(service)(transport=type(service.transport)(channel=channel))
