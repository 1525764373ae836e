"""One Google Ads account: which one it is, how to sign in, and the clients that talk to it."""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors import transport
from connectors.errors import CredentialsRefused, FixConfiguration
from connectors.google import facts

CONNECTIONS = 8
"""Requests to the Data Manager API at once. With answers in a second and a half they fill its quota."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account by its JSON key file."""

    key_file: Path


@dataclass(frozen=True, slots=True)
class OAuthUser:
    """A person's consent, given once: OAuth client and refresh token."""

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A short-lived token from elsewhere; nothing renews it."""

    token: str = field(repr=False)


GoogleCredentials = ServiceAccount | OAuthUser | AccessToken


@dataclass(frozen=True)
class GoogleAccount:
    """A Google Ads account and the way to it. Safe to use from several threads.

    `customer_id` is the account itself, with or without hyphens; `login_customer_id` the manager account
    through which access is had. The addresses are Google's own unless given; `ads_endpoint` is "host:port"
    and always TLS. `certificate` is a PEM file to trust in place of the public ones, for other servers alone.
    Raises FixConfiguration where one of them cannot be right.
    """

    customer_id: str
    login_customer_id: str | None = None
    credentials: GoogleCredentials = field(kw_only=True)
    ads_endpoint: str | None = None
    data_manager_url: str | None = None
    token_url: str | None = None
    certificate: Path | None = None
    timeout: timedelta = transport.READ_TIMEOUT
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _making: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def set_(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        set_("customer_id", _digits("customer_id", self.customer_id))
        if self.login_customer_id is not None:
            set_("login_customer_id", _digits("login_customer_id", self.login_customer_id))
        url = transport.base_url("data_manager_url", self.data_manager_url or facts.DATA_MANAGER_URL)
        set_("data_manager_url", url)
        set_("token_url", transport.base_url("token_url", self.token_url or facts.TOKEN_URL))
        set_("ads_endpoint", _endpoint(self.ads_endpoint or facts.ADS_ENDPOINT))
        if self.certificate is not None and not self.certificate.is_file():
            raise FixConfiguration(
                f"Certificate {self.certificate}",
                "there is no such file",
                "Check the path in the configuration.",
            )

    @property
    def name(self) -> str:
        """The account as a person knows it, for messages."""
        return f"Google Ads account {hyphenated(self.customer_id)}"

    @property
    def seconds(self) -> float:
        """How long any call may take."""
        return self.timeout.total_seconds()

    @property
    def signed(self) -> Any:
        """google-auth credentials, renewed by whoever uses them."""
        return self._once("signed", self._sign)

    def sign_in(self, *, anew: bool = False) -> None:
        """Renew the access token where it is due, or in any case where it is wanted `anew`.

        Raises CredentialsRefused, RetryLater or FixConfiguration.
        Both clients would renew it by themselves, but neither over a connection that trusts `certificate`.
        """
        from google.auth.exceptions import GoogleAuthError

        from connectors.google import errors

        with self._making:
            if self.signed.valid and not anew:
                return
            try:
                self.signed.refresh(functools.partial(self._sign_in_request(), timeout=self.seconds))
            except GoogleAuthError as error:
                raise errors.from_data_manager(error, self.name) from None

    @property
    def pace(self) -> transport.Pacer:
        """Spreads what is ingested over the minute, so that the project's quota is filled and not overrun."""
        pacer: transport.Pacer = self._once("pace", lambda: transport.Pacer(facts.REQUESTS_PER_MINUTE))
        return pacer

    @property
    def session(self) -> Any:
        """A google-auth AuthorizedSession for the Data Manager API."""
        return self._once("session", self._open_session)

    @property
    def data_manager(self) -> Any:
        """The Data Manager API's IngestionServiceClient, over REST. Call `sign_in` before each use."""
        return self._once("data_manager", self._make_data_manager)

    @property
    def ads(self) -> Any:
        """The GoogleAdsClient. Imported when first used: it takes a second and 60 MiB."""
        return self._once("ads", self._make_ads)

    def ads_service(self, name: str) -> Any:
        """A service of the Google Ads API ("GoogleAdsService"). Call `sign_in` before each use.

        Services are kept: each one made opens a channel, and one let go of ends the streams running on it.
        """
        return self._once(f"ads {name}", lambda: self.ads.get_service(name))

    def close(self) -> None:
        """Close the connections. They are opened again when next used."""
        with self._making:
            for name, made in self._made.items():
                if name == "session":
                    made.close()
                elif name == "data_manager" or name.startswith("ads "):
                    made.transport.close()
            self._made.clear()

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._making:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def _sign(self) -> Any:
        match self.credentials:
            case ServiceAccount(key_file):
                return self._sign_service_account(key_file)
            case OAuthUser(client_id, client_secret, refresh_token):
                from google.oauth2.credentials import Credentials

                # No scopes: a renewal that names more than was consented to is refused.
                return Credentials(  # type: ignore[no-untyped-call]
                    token=None,
                    refresh_token=refresh_token,
                    client_id=client_id,
                    client_secret=client_secret,
                    token_uri=self.token_url,
                )
            case AccessToken(token):
                from google.oauth2.credentials import Credentials

                return Credentials(token=token)  # type: ignore[no-untyped-call]

    def _sign_service_account(self, key_file: Path) -> Any:
        from google.oauth2.service_account import Credentials

        what = f"Key file {key_file}"
        try:
            key = json.loads(key_file.read_text(encoding="utf-8"))
            if self.token_url != facts.TOKEN_URL:
                key["token_uri"] = self.token_url
            return Credentials.from_service_account_info(key, scopes=facts.SCOPES)  # type: ignore[no-untyped-call]
        except OSError as error:
            raise FixConfiguration(what, f"cannot be read ({error.strerror})", "Check the path.") from None
        except (ValueError, TypeError, KeyError):
            # The library's own message can quote the file.
            remedy = "Download the service account's key anew, as JSON, from the Google Cloud console."
            raise CredentialsRefused(what, "is not a service account's key", remedy) from None

    def _guard(self, session: Any, url: str) -> Any:
        """A requests session for `url` without what would lead a request or its token elsewhere."""
        # A .netrc file's password would replace the token.
        session.auth = _leave_as_it_is
        session.max_redirects = 0
        if transport.is_loopback(urlsplit(url).hostname or ""):
            # A proxy of the environment would carry plain text off the machine.
            session.trust_env = False
        if self.certificate is not None:
            from connectors.google.certificates import TrustingAdapter

            session.mount("https://", TrustingAdapter(self.certificate))
        return session

    def _sign_in_request(self) -> Any:
        import requests
        from google.auth.transport.requests import Request

        return Request(self._guard(requests.Session(), str(self.token_url)))

    def _open_session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession

        session = AuthorizedSession(self.signed, auth_request=self._sign_in_request())  # type: ignore[no-untyped-call]
        return self._guard(session, str(self.data_manager_url))

    def _make_data_manager(self) -> Any:
        from google.ads.datamanager_v1.services.ingestion_service import IngestionServiceClient
        from google.ads.datamanager_v1.services.ingestion_service.transports.rest import (
            IngestionServiceRestTransport,
        )

        address = urlsplit(str(self.data_manager_url))
        rest = IngestionServiceRestTransport(
            host=address.netloc + address.path, url_scheme=address.scheme, credentials=self.signed
        )
        # The transport makes its own session and takes no other.
        self._guard(rest._session, str(self.data_manager_url))
        return IngestionServiceClient(transport=rest)

    def _make_ads(self) -> Any:
        options = {
            "credentials": self.signed,
            "endpoint": self.ads_endpoint,
            "login_customer_id": self.login_customer_id,
            "version": facts.ADS_API_VERSION,
            "use_proto_plus": True,
        }
        if self.certificate is not None:
            from connectors.google.certificates import TrustingAdsClient

            return TrustingAdsClient(self.certificate, **options)
        from google.ads.googleads.client import GoogleAdsClient

        return GoogleAdsClient(**options)


def _leave_as_it_is(request: Any) -> Any:
    return request


def hyphenated(customer_id: str) -> str:
    """A customer id the way Google Ads shows it: 123-456-7890."""
    return f"{customer_id[:3]}-{customer_id[3:6]}-{customer_id[6:]}"


def _digits(name: str, written: str) -> str:
    digits = written.replace("-", "").replace(" ", "")
    if not re.fullmatch(r"[0-9]{10}", digits):
        raise FixConfiguration(
            name, f"{written!r} is not a Google Ads customer id", "Write its ten digits, as in 123-456-7890."
        )
    return digits


def _endpoint(written: str) -> str:
    address = urlsplit(written if "://" in written else f"https://{written}")
    try:
        port = address.port or 443
    except ValueError:
        port = 0
    if address.scheme != "https" or not address.hostname or not port or address.path.strip("/"):
        raise FixConfiguration(
            "ads_endpoint", f"{written!r} is not an address of a TLS server", "Write it as host:port."
        )
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    return f"{host}:{port}"
