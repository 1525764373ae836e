"""Google's OAuth 2.0 token endpoint: the refresh-token and the service-account grants.

Rules: developers.google.com/identity/protocols/oauth2/web-server (refreshing, error codes) and
.../oauth2/service-account (claims of the assertion), read November 2026. The signature of an assertion is
not verified: the sandbox does not know the account's public key.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.routing import Route

from connectors.sandbox.endpoint import Answer, Clock, endpoint
from connectors.sandbox.faults import Fault, FaultKind, Faults, Platform
from connectors.sandbox.state import State

TOKEN_PATH = "/oauth2/token"  # noqa: S105
STATIC_TOKEN = "sandbox-token"  # noqa: S105
"""An access token that never runs out and has every scope."""
REVOKED_REFRESH_TOKEN = "revoked"  # noqa: S105

TOKEN_LIFETIME = timedelta(seconds=3599)
LONGEST_ASSERTION = timedelta(hours=1)
CLOCK_SKEW = timedelta(minutes=5)
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token")


@dataclass
class OAuthState:
    """Access tokens handed out. A token without scopes was asked for without any and has all of them."""

    name: ClassVar[str] = "oauth"
    expires: dict[str, datetime] = field(default_factory=dict)
    scopes: dict[str, frozenset[str]] = field(default_factory=dict)
    revoked_refresh_tokens: set[str] = field(default_factory=lambda: {REVOKED_REFRESH_TOKEN})
    granted: int = 0
    refused: int = 0

    def issue(self, scopes: str, now: datetime) -> str:
        token = "ya29.sandbox-" + secrets.token_urlsafe(24)
        self.expires[token] = now + TOKEN_LIFETIME
        self.scopes[token] = frozenset(scopes.split())
        self.granted += 1
        return token

    def accepts(self, token: str, now: datetime, scope: str | None = None) -> bool:
        """True where `token` is known, has not run out and was granted `scope`."""
        if token == STATIC_TOKEN:
            return True
        expires = self.expires.get(token)
        if expires is None or now >= expires:
            return False
        granted = self.scopes.get(token, frozenset())
        return scope is None or not granted or scope in granted

    def summary(self) -> dict[str, Any]:
        return {"granted": self.granted, "refused": self.refused}


class _Refused(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        self.answer = Answer(status, {"error": error, "error_description": description})


def routes(state: State, faults: Faults, clock: Clock) -> list[Route]:
    def handle(request: Request, body: bytes, fault: Fault | None) -> Answer:
        with state.lock:
            part = state.part(OAuthState)
            try:
                scopes = _check(request, body, fault, part, clock())
            except _Refused as refused:
                part.refused += 1
                return refused.answer
            token = part.issue(scopes, clock())
        return Answer(
            200,
            {
                "access_token": token,
                "expires_in": int(TOKEN_LIFETIME.total_seconds()),
                "scope": scopes,
                "token_type": "Bearer",
            },
        )

    return [Route(TOKEN_PATH, endpoint(Platform.OAUTH, handle, state, faults, clock), methods=["POST"])]


def _check(request: Request, body: bytes, fault: Fault | None, part: OAuthState, now: datetime) -> str:
    if fault and fault.kind is FaultKind.THROTTLE:
        raise _Refused("rate_limit_exceeded", "Rate limit exceeded.", 429)
    if fault and fault.kind is FaultKind.SERVER_ERROR:
        raise _Refused("internal_failure", "Internal failure.", 500)
    if fault and fault.kind is FaultKind.BAD_TOKEN:
        raise _Refused("invalid_grant", "Token has been expired or revoked.")
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("application/x-www-form-urlencoded"):
        raise _Refused("invalid_request", "The request must be application/x-www-form-urlencoded.")
    form = dict(parse_qsl(body.decode("utf-8", "replace")))
    grant = form.get("grant_type")
    if grant == "refresh_token":
        return _check_refresh_token(form, part)
    if grant == JWT_BEARER:
        return _check_assertion(form, now)
    raise _Refused("unsupported_grant_type", f"Invalid grant_type: {grant}")


def _check_refresh_token(form: dict[str, str], part: OAuthState) -> str:
    for name in ("client_id", "client_secret"):
        if not form.get(name):
            raise _Refused("invalid_client", f"Missing required parameter: {name}", 401)
    if not form.get("refresh_token"):
        raise _Refused("invalid_request", "Missing required parameter: refresh_token")
    if form["refresh_token"] in part.revoked_refresh_tokens:
        raise _Refused("invalid_grant", "Token has been expired or revoked.")
    return form.get("scope", "")


def _check_assertion(form: dict[str, str], now: datetime) -> str:
    claims = _claims(form.get("assertion", ""))
    if not claims.get("iss"):
        raise _Refused("invalid_grant", "Invalid JWT: Missing issuer.")
    if claims.get("aud") not in AUDIENCES:
        raise _Refused("invalid_grant", "Invalid JWT: Failed audience check.")
    if not claims.get("scope"):
        raise _Refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    try:
        issued, expires = float(claims["iat"]), float(claims["exp"])
    except (KeyError, TypeError, ValueError):
        raise _Refused("invalid_grant", "Invalid JWT: iat and exp must be numbers of seconds.") from None
    instant, skew = now.timestamp(), CLOCK_SKEW.total_seconds()
    in_time = issued <= instant + skew and instant - skew < expires
    if not in_time or expires - issued > LONGEST_ASSERTION.total_seconds():
        raise _Refused(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim.",
        )
    return str(claims["scope"])


def _claims(assertion: str) -> dict[str, Any]:
    try:
        header, payload, signature = assertion.split(".")
        described, claims = _decoded(header), _decoded(payload)
    except (ValueError, binascii.Error):
        raise _Refused("invalid_grant", "Invalid JWT: the assertion cannot be parsed.") from None
    if described.get("alg") != "RS256" or not signature:
        raise _Refused("invalid_grant", "Invalid JWT Signature.")
    return claims


def _decoded(part: str) -> dict[str, Any]:
    decoded = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(decoded, dict):
        raise ValueError("not an object")
    return decoded
