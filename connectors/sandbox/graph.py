"""What every call of Meta's Graph API goes through: version, parameters, token, errors, usage headers.

Rules: docs/graph-api/guides/error-handling, docs/graph-api/guides/secure-requests,
marketing-api/overview/rate-limiting, read November 2026.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

import orjson
from starlette.requests import Request

from connectors.sandbox import meta_facts as facts
from connectors.sandbox.endpoint import Answer
from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.meta_state import AccessToken, MetaState

SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class GraphError(Exception):
    """An error as Graph answers it. `title` and `user_message` are what it shows a person."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        subcode: int | None = None,
        status: int = 400,
        kind: str = "OAuthException",
        transient: bool = False,
        title: str | None = None,
        user_message: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.error: dict[str, Any] = {"message": message, "type": kind, "code": code}
        if subcode is not None:
            self.error["error_subcode"] = subcode
        self.error["is_transient"] = transient
        if title is not None:
            self.error["error_user_title"] = title
        if user_message is not None:
            self.error["error_user_msg"] = user_message

    def answer(self) -> Answer:
        error = {**self.error, "fbtrace_id": trace_id()}
        challenge = {"WWW-Authenticate": f'OAuth "Facebook Platform" "invalid_token" "{self.args[0]}"'}
        headers = {**self.headers, **(challenge if self.error["code"] == facts.TOKEN_INVALID else {})}
        return Answer(self.status, {"error": error}, headers)


def refuse(message: str, *, subcode: int | None = None, title: str | None = None) -> NoReturn:
    """Refuse a parameter (code 100)."""
    if subcode is None and title is None:
        raise GraphError(facts.INVALID_PARAMETER, f"(#100) {message}")
    raise GraphError(
        facts.INVALID_PARAMETER, "Invalid parameter", subcode=subcode, title=title, user_message=message
    )


def unknown_object(method: str, node: str) -> GraphError:
    return GraphError(
        facts.INVALID_PARAMETER,
        f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due "
        "to missing permissions, or does not support this operation",
        subcode=facts.UNKNOWN_OBJECT,
        kind="GraphMethodException",
    )


def trace_id() -> str:
    return "A" + secrets.token_urlsafe(16)


@dataclass(slots=True)
class Call:
    """One Graph call: the method after a `method` parameter has had its say, the path below the version,
    the parameters of query and body, and when it came."""

    method: str
    path: tuple[str, ...]
    parameters: dict[str, Any]
    now: datetime
    user: AccessToken
    token: str

    def json(self, name: str) -> Any:
        """A parameter that is JSON, as text in a form or as it is in a JSON body; None where absent."""
        value = self.parameters.get(name)
        if not isinstance(value, str | bytes) or value == "":
            return value or None
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            refuse(f"Param {name} must be a valid JSON value")

    def text(self, name: str) -> str | None:
        value = self.parameters.get(name)
        return None if value is None or value == "" else str(value)

    def flag(self, name: str) -> bool:
        """A boolean in any spelling that Graph takes."""
        value = str(self.parameters.get(name, "false")).lower()
        if value not in ("true", "false", "1", "0"):
            refuse(f"Param {name} must be a boolean")
        return value in ("true", "1")

    def require(self, permission: str) -> None:
        if permission not in self.user.permissions:
            raise GraphError(facts.PERMISSION, f"(#200) Requires {permission} permission", status=403)


def check_version(major: int, minor: int) -> None:
    if (major, minor) < facts.OLDEST_VERSION:
        newest = ".".join(map(str, facts.NEWEST_VERSION))
        raise GraphError(
            facts.DEPRECATED_VERSION,
            "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest "
            f"version: v{newest}.",
        )
    if (major, minor) > facts.NEWEST_VERSION:
        raise GraphError(facts.UNKNOWN_PATH, f"Unknown path components: /v{major}.{minor}")


def read_call(request: Request, body: bytes, path: tuple[str, ...], state: MetaState, now: datetime) -> Call:
    """The call that a request makes, its token checked. Raises GraphError."""
    parameters: dict[str, Any] = dict(request.query_params)
    content_type = request.headers.get("content-type", "")
    if body and content_type.startswith("application/json"):
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            refuse("The request body is not valid JSON")
        if not isinstance(content, dict):
            refuse("The request body must be a JSON object")
        parameters.update(content)
    elif body and content_type.startswith("application/x-www-form-urlencoded"):
        parameters.update(_form(body))
    elif body:
        refuse("The request body must be a form or a JSON object")
    method = str(parameters.get("method", request.method)).upper()
    if method not in ("GET", "POST", "DELETE") or request.method not in (method, "POST"):
        refuse(f"Unsupported method {method}")
    token = _token(request, parameters)
    return Call(method, path, parameters, now, _user(token, parameters, state, now), token)


def _form(body: bytes) -> dict[str, str]:
    form: dict[str, str] = {}
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        decoded = unquote_to_bytes(value.replace(b"+", b" "))
        form[unquote_to_bytes(name).decode("utf-8", "replace")] = decoded.decode("utf-8", "replace")
    return form


def _token(request: Request, parameters: dict[str, Any]) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    token = parameters.get("access_token") or (bearer if scheme in ("Bearer", "OAuth") else "")
    if not token:
        raise GraphError(
            facts.TOKEN_MISSING, "(#104) An access token is required to request this resource.", status=400
        )
    return str(token)


def _user(token: str, parameters: dict[str, Any], state: MetaState, now: datetime) -> AccessToken:
    user = state.tokens.get(token)
    if user is None:
        raise GraphError(
            facts.TOKEN_INVALID, "Invalid OAuth access token - Cannot parse access token", status=401
        )
    if user.expires_at is not None and now >= user.expires_at:
        raise _expired()
    proof = parameters.get("appsecret_proof")
    if proof is not None and not _proves(str(proof), token, state.app_secret):
        raise GraphError(104, "(#104) Invalid appsecret_proof provided in the API argument")
    return user


def _proves(proof: str, token: str, app_secret: str | None) -> bool:
    if app_secret is None:
        return SHA256_HEX.fullmatch(proof) is not None
    return hmac.compare_digest(
        proof, hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    )


def _expired() -> GraphError:
    return GraphError(
        facts.TOKEN_INVALID,
        "Error validating access token: Session has expired.",
        subcode=facts.TOKEN_EXPIRED,
        status=400,
    )


def fault_error(fault: Fault, method: str, path: tuple[str, ...], account_id: str) -> GraphError | None:
    """The error that puts `fault` in Graph's words; None where Graph has none (it reports failed rows of
    an audience as invalid entries, and never takes a part of a batch of events)."""
    if fault.kind is FaultKind.SERVER_ERROR:
        return GraphError(
            2,
            "An unexpected error has occurred. Please retry your request later.",
            status=500,
            transient=True,
        )
    if fault.kind is FaultKind.BAD_TOKEN:
        return _expired()
    if fault.kind is FaultKind.THROTTLE:
        return _throttled(method, path, account_id, fault.delay_seconds)
    return None


def _throttled(
    method: str, path: tuple[str, ...], account_id: str, delay_seconds: float | None
) -> GraphError:
    minutes = math.ceil(delay_seconds / 60) if delay_seconds else 0
    edge = path[-1]
    kind = "custom_audience" if edge in ("users", "usersreplace", "usersofanyaudience") else "ads_management"
    headers = usage_headers(account_id, kind, 100, minutes)
    if kind == "custom_audience":
        message = "(#80003) There have been too many calls to this ad-account. Wait a bit and try again."
        return GraphError(80003, message, transient=True, headers=headers)
    if edge == "events":
        message = "(#4) Application request limit reached"
        return GraphError(4, message, status=403, transient=True, headers=headers)
    if method == "POST":
        message = "(#613) Calls to this api have exceeded the rate limit."
        return GraphError(613, message, subcode=5_044_001, status=403, transient=True, headers=headers)
    message = "(#17) User request limit reached"
    return GraphError(17, message, subcode=2_446_079, transient=True, headers=headers)


def usage_headers(account_id: str, kind: str, percent: int, minutes: int = 0) -> dict[str, str]:
    """The headers that tell a client how much of its quota is used; `minutes` until it may call again."""
    use_case = {
        "type": kind,
        "call_count": percent,
        "total_cputime": 1,
        "total_time": 1,
        "estimated_time_to_regain_access": minutes,
        "ads_api_access_tier": "standard_access",
    }
    application = {"call_count": percent, "total_cputime": 1, "total_time": 1}
    return {
        "X-Business-Use-Case-Usage": orjson.dumps({account_id: [use_case]}).decode(),
        "X-App-Usage": orjson.dumps(application).decode(),
    }
