"""Trusting a named certificate: only for servers that are not Google's own, such as the sandbox.

gRPC reads GRPC_DEFAULT_SSL_ROOTS_FILE_PATH once for the whole process, and requests lets REQUESTS_CA_BUNDLE
overrule a session's setting, so neither environment variable is of use for one account among several.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from google.ads.googleads import client as google_ads_client
from google.ads.googleads.interceptors import (
    ExceptionInterceptor,
    Interceptor,
    LoggingInterceptor,
    MetadataInterceptor,
)
from requests.adapters import HTTPAdapter

from connectors.google import facts


class TrustingAdapter(HTTPAdapter):
    """Trusts one certificate file whatever the environment says."""

    def __init__(self, certificate: Path) -> None:
        self._certificate = str(certificate)
        super().__init__()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return super().send(request, *args, **(kwargs | {"verify": self._certificate}))


class BearerInterceptor(
    Interceptor,  # type: ignore[misc]  # ships no types
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
):
    """Adds the access token to each call, on the calling thread.

    gRPC's own call credentials ask for it on a thread of theirs, which may still run when the call it was
    asked for is over and gone: that ends the process with a segmentation fault (seen with grpcio 1.85).
    """

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._signed(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._signed(details), request)

    def _signed(self, details: Any) -> Any:
        token = ("authorization", f"Bearer {self._credentials.token}")
        return self.get_client_call_details_instance(
            details.method,
            details.timeout,
            [*(details.metadata or ()), token],
            details.credentials,
            getattr(details, "wait_for_ready", None),
        )


class TrustingAdsClient(google_ads_client.GoogleAdsClient):  # type: ignore[misc]  # ships no types
    """Google's client with channels that trust one certificate; everything else is the client's own."""

    def __init__(self, certificate: Path, **options: Any) -> None:
        super().__init__(**options)
        self._trusted = certificate.read_bytes()

    def get_service(self, name: str, *_: Any, **__: Any) -> Any:
        # The service's class and transport are found by the client itself, over a channel never used.
        service_class = type(super().get_service(name))
        transport_class = service_class.get_transport_class()
        channel = grpc.secure_channel(
            self.endpoint or facts.ADS_ENDPOINT,
            grpc.ssl_channel_credentials(root_certificates=self._trusted),
            options=google_ads_client._GRPC_CHANNEL_OPTIONS,
        )
        channel = grpc.intercept_channel(
            channel,
            MetadataInterceptor(self.developer_token, self.login_customer_id, self.linked_customer_id),
            LoggingInterceptor(google_ads_client._logger, self.version, self.endpoint),
            ExceptionInterceptor(self.version, use_proto_plus=self.use_proto_plus),
            # Innermost, so that no log line sees the token.
            BearerInterceptor(self.credentials),
        )
        return service_class(
            transport=transport_class(channel=channel, client_info=google_ads_client._CLIENT_INFO)
        )
