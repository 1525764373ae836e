"""Graph calls through facebook-business, with what it leaves open closed.

`FacebookAdsApi.init` is not used: it installs a process-wide default client and an exception hook that posts
stack traces to Meta. The session is set up by instance: time-outs (the SDK has none), the token in a header
instead of every address, no redirects, the server's certificate always checked. Answers are judged by
connectors.meta.errors and never by the SDK.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from connectors.errors import ConnectorError
from connectors.meta import facts
from connectors.meta.account import MetaAccount
from connectors.meta.errors import Answer, Call, judge, lost
from connectors.meta.usage import Usage, usage_in
from connectors.transport import CONNECT_TIMEOUT, is_loopback

_log = logging.getLogger(__name__)

_CONNECTIONS = 8
_LONGEST_LISTING = 10_000  # pages; a server that never ends its list must not hold a run for ever


class GraphClient:
    """Calls as one account. Safe to use from several threads; `close` ends its connections.

    Every call raises what connectors.meta.errors makes of a failure, and never carries the token or what
    was sent in a message.
    """

    def __init__(self, account: MetaAccount) -> None:
        self._account = account
        secret = account.app_secret.get_secret_value() if account.app_secret else None
        token = account.access_token.get_secret_value()
        timeout = account.timeout.total_seconds()
        session = FacebookSession(
            app_secret=secret,
            access_token=token,
            timeout=(min(CONNECT_TIMEOUT.total_seconds(), timeout), timeout),
        )
        session.GRAPH = account.base
        self._secrets = tuple(
            value for value in (token, secret, getattr(session, "appsecret_proof", None)) if value
        )
        self._http: requests.Session = session.requests
        self._http.params.pop("access_token")
        self._http.auth = _Bearer(token)
        self._http.max_redirects = 0
        self._http.hooks["response"].append(self._keep)
        self._http.mount("https://", _Adapter(self._trusted(session)))
        if is_loopback(urlsplit(account.base).hostname or ""):
            self._http.trust_env = False
        self._api = FacebookAdsApi(session, api_version=account.api_version)
        self._local = threading.local()
        self._usage: Usage | None = None
        self._version_warning: str | None = None

    @property
    def usage(self) -> Usage | None:
        """How full the quotas were at the last answer that said so."""
        return self._usage

    @property
    def version_warning(self) -> str | None:
        """Meta's words where it moved a call to a newer API version."""
        return self._version_warning

    def get(self, what: str, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Read one node or edge. `what` names the thing in errors."""
        return self._call(Call(what, secrets=self._secrets), "GET", path, params or {})

    def listing(
        self, what: str, path: str, params: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every entry of an edge, page after page."""
        asked = dict(params or {})
        for _ in range(_LONGEST_LISTING):
            page = self.get(what, path, asked)
            entries = page.get("data")
            yield from (entry for entry in entries or () if isinstance(entry, dict))
            paging = page.get("paging") or {}
            after = (paging.get("cursors") or {}).get("after")
            if not after or "next" not in paging or after == asked.get("after"):
                return
            asked["after"] = after

    def read_by_post(self, what: str, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Read with parameters in the body, for what must not stand in an address."""
        return self._call(Call(what, secrets=self._secrets), "POST", path, {**params, "method": "GET"})

    def post(self, what: str, path: str, params: Mapping[str, Any], *, rows: int = 0) -> dict[str, Any]:
        """Write. `rows` is how many rows the request carries, where it carries any."""
        return self._call(Call(what, writes=True, rows=rows, secrets=self._secrets), "POST", path, params)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, call: Call, method: str, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        failure = self._attempt(call, method, path, params)
        # Outside of any handler: an error raised inside one would carry the SDK's, and with it the payload.
        if isinstance(failure, ConnectorError):
            raise failure
        return failure

    def _attempt(
        self, call: Call, method: str, path: str, params: Mapping[str, Any]
    ) -> dict[str, Any] | ConnectorError:
        self._local.answer = None
        try:
            self._api.call(method, tuple(path.split("/")), params=dict(params))
        except requests.RequestException as error:
            if self._local.answer is None:
                return lost(call, error)
        except Exception:
            # The SDK fails on some answers before anybody can read them (an error that is a string, error
            # data that is not JSON). The answer itself was kept.
            if self._local.answer is None:
                raise
        answer: Answer = self._local.answer
        self._note(answer)
        return judge(call, answer) or answer.document or {}

    def _keep(self, response: requests.Response, **_: Any) -> None:
        self._local.answer = Answer(response.status_code, response.headers, response.content)

    def _note(self, answer: Answer) -> None:
        usage = usage_in(answer.headers)
        if usage is not None:
            self._usage = usage
        warning = answer.headers.get(facts.VERSION_WARNING_HEADER)
        if warning and self._version_warning is None:
            self._version_warning = warning
            _log.warning(
                "%s: Meta calls API version %s outdated", self._account.name, self._account.api_version
            )

    def _trusted(self, session: FacebookSession) -> str | bool:
        """The PEM file to check the server by: the one named, the SDK's for Meta's host, else the usual."""
        if self._account.certificate is not None:
            return str(self._account.certificate)
        pinned: str = session.requests.verify
        return pinned if self._account.base == facts.GRAPH_URL else True


class _Bearer(AuthBase):
    """Puts the token into the header, where neither logs of addresses nor a .netrc file can reach it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Adapter(HTTPAdapter):
    """Checks certificates by one file, whatever REQUESTS_CA_BUNDLE says: requests lets the environment win
    over the session."""

    def __init__(self, trusted: str | bool) -> None:
        self._trusted = trusted
        super().__init__(pool_maxsize=_CONNECTIONS)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if self._trusted is not True:
            kwargs["verify"] = self._trusted
        elif kwargs.get("verify") is False:
            kwargs["verify"] = True
        return super().send(request, *args, **kwargs)
