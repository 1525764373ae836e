"""What Graph answers, or does not, → the tree in connectors.errors.

The SDK's own judgement is not used: it takes a gateway's HTML page for success and puts the payload, people's
hashes and all, into its messages. Pages: graph-api/guides/error-handling, marketing-api/error-reference.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.errors import (
    AccountBlocked,
    BatchRefused,
    ConnectorError,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.meta import facts
from connectors.meta.facts import ErrorCode, Meaning
from connectors.meta.usage import wait_named_in
from connectors.types import Reason, Rejection

_LONGEST_WORDS = 300
_LONGEST_READ = 10 * _LONGEST_WORDS
_PERSONAL = re.compile(
    r"""
    [^\s@"'<>]+@[^\s@"'<>]+                               # e-mail addresses
    | https?://[^\s"'<>]+                                 # pages, with whatever their query holds
    | Mozilla/[^"'<>]*                                    # user agents
    | \bfb\.\d+\.\d+\.[^\s"'<>]+                          # click and browser ids
    | \b[0-9a-fA-F]{32,}\b                                # hashes
    | \bEAA[0-9A-Za-z]+                                   # access tokens
    | (?:\b\d{1,3}(?:\.\d{1,3}){3}\b)                     # IPv4
    | (?:\b[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){3,7})    # IPv6
    | \+\d[\d\ ().-]{6,}\d                                # international phone numbers
    """,
    re.VERBOSE,
)
_ROW_INDEX = re.compile(r"\bdata\[(\d+)\]")


def scrub(words: object, *secrets: str) -> str:
    """The platform's words on one line, without anything that could be a person's or a secret."""
    text = str(words)
    for secret in secrets:
        text = text.replace(secret, "…")
    text = _PERSONAL.sub("…", " ".join(text[:_LONGEST_READ].split()))
    return text if len(text) <= _LONGEST_WORDS else text[:_LONGEST_WORDS] + "…"


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, as far as judging an answer needs it. `what` names the thing in messages, `rows` is
    how many rows a write carried, `secrets` are never repeated."""

    what: str
    writes: bool = False
    rows: int = 0
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object in the body, or None where there is none."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return document if isinstance(document, dict) else None


def judge(call: Call, answer: Answer) -> ConnectorError | None:
    """The error that an answer means, or None where it is a success."""
    document = answer.document
    if document is not None and document.get("error") is not None:
        return _graph_error(call, answer, document["error"])
    if not 200 <= answer.status < 300:
        return _http_error(call, answer)
    if document is None:
        return _unsure(call, f"HTTP {answer.status} with an answer that is not JSON")
    if document.get("success") is False:
        return RetryLater(call.what, "Meta says that it did not succeed, without a reason", "Wait.")
    return None


def lost(call: Call, error: Exception) -> ConnectorError:
    """The error that a failed connection means. `error` is a requests exception."""
    import requests
    from urllib3.exceptions import NewConnectionError, ProxyError

    causes = tuple(_causes(error))
    if any(isinstance(cause, requests.exceptions.ConnectTimeout | NewConnectionError) for cause in causes):
        return RetryLater(call.what, "no connection to the server", "Check the network and graph_url; wait.")
    if any(isinstance(cause, ProxyError) for cause in causes):
        return RetryLater(call.what, "no connection through the proxy", "Check the proxy's settings; wait.")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return FixConfiguration(
            call.what,
            "the server's certificate is not trusted",
            "Check graph_url, or name the certificate to trust as `certificate`.",
        )
    if any(isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER" for cause in causes):
        return FixConfiguration(
            call.what, "the server does not speak TLS", "Check graph_url's scheme and port."
        )
    if isinstance(error, ValueError):  # requests' family of unusable addresses
        return FixConfiguration(call.what, "the address cannot be called", "Check graph_url.")
    return _unsure(call, "the connection was lost before the answer came")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and everything below it: requests keeps urllib3's in args, urllib3 its own in `reason`."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _unsure(call: Call, problem: str) -> ConnectorError:
    if call.writes:
        return FateUnknown(
            call.what, problem, "It is sent again with the same ids while Meta tells them apart."
        )
    return RetryLater(call.what, problem, "Wait.")


def _http_error(call: Call, answer: Answer) -> ConnectorError:
    """An answer from a gateway or a proxy, which says nothing but its status."""
    problem = f"HTTP {answer.status} without Meta's own words"
    status = answer.status
    if status in (408, 425, 429, 503):
        return RetryLater(call.what, problem, "Wait.", delay=wait_named_in(answer.headers))
    if status >= 500:
        return _unsure(call, problem)
    if status == 401:
        return CredentialsRefused(call.what, problem, "Check the access token.")
    if status == 413 and call.rows > 1:
        return BatchRefused(
            call.what, problem, "It is split and sent again.", reason=Reason.REFUSED_BY_PLATFORM.value
        )
    return FixConfiguration(call.what, problem, "Check graph_url and api_version, and what stands between.")


def _graph_error(call: Call, answer: Answer, error: object) -> ConnectorError:
    if not isinstance(error, dict):
        return _unsure(call, f"HTTP {answer.status} with an error that is not Graph's")
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    fact = _fact(code, subcode, transient=error.get("is_transient") is True)
    problem = _words(error, call)
    named = f"{code}/{subcode}" if subcode else str(code)
    meaning = fact.meaning
    if meaning is Meaning.SETTING and _is_about_rows(call, code, subcode, error):
        meaning = Meaning.BAD_ROW
    match meaning:
        case Meaning.TRANSIENT if call.writes and answer.status >= 500:
            # After an unknown part of the work.
            return FateUnknown(call.what, problem, fact.remedy, code=named)
        case Meaning.THROTTLED | Meaning.TRANSIENT:
            delay = wait_named_in(answer.headers) or fact.wait
            return RetryLater(call.what, problem, fact.remedy, code=named, delay=delay)
        case Meaning.CREDENTIALS | Meaning.PERMISSION:
            return CredentialsRefused(call.what, problem, fact.remedy, code=named)
        case Meaning.BLOCKED:
            return AccountBlocked(call.what, problem, fact.remedy, code=named)
        case Meaning.BAD_ROW:
            remedy = fact.remedy if fact.meaning is Meaning.BAD_ROW else Reason.REFUSED_BY_PLATFORM.remedy
            return BatchRefused(
                call.what,
                problem,
                remedy,
                reason=fact.reason.value,
                code=named,
                rejections=_placed(call, error, fact.reason),
            )
        case Meaning.SETTING:
            return FixConfiguration(call.what, problem, fact.remedy, code=named)


def _fact(code: int, subcode: int, *, transient: bool) -> ErrorCode:
    codes = facts.ERROR_CODES
    if (code, subcode) in codes:
        return codes[code, subcode]
    if code == 100 and subcode in facts.BAD_EVENT_SUBCODES:
        return ErrorCode(Meaning.BAD_ROW, Reason.REFUSED_BY_PLATFORM.remedy)
    general = codes.get((code, None))
    if general is None and code in facts.QUOTA_CODES:
        general = codes[4, None]
    if general is None and code in facts.PERMISSION_CODES:
        general = codes[10, None]
    if general is None:
        general = ErrorCode(Meaning.SETTING, "Look the code up in Meta's error reference.")
    return codes[2, None] if transient and general.meaning is Meaning.SETTING else general


def _is_about_rows(call: Call, code: int, subcode: int, error: Mapping[str, Any]) -> bool:
    """True where an invalid parameter is one of the rows sent, and so may be split off."""
    if code != 100 or not call.rows:
        return False
    if subcode:
        return (code, subcode) not in facts.ERROR_CODES
    # What Meta explains to a person under a title is an event's content; a request's own form has none.
    return bool(error.get("error_user_title")) or _ROW_INDEX.search(_all_words(error)) is not None


def _placed(call: Call, error: Mapping[str, Any], reason: Reason) -> tuple[Rejection, ...]:
    """The rows that the words name by position ("data[3]")."""
    words = _words(error, call)
    found = sorted({int(index) for index in _ROW_INDEX.findall(_all_words(error))})
    return tuple(Rejection(index, reason.value, words) for index in found if index < call.rows)


def _all_words(error: Mapping[str, Any]) -> str:
    return " ".join(str(error.get(name) or "") for name in ("error_user_title", "error_user_msg", "message"))


def _words(error: Mapping[str, Any], call: Call) -> str:
    title, explanation = error.get("error_user_title"), error.get("error_user_msg")
    parts = [str(part) for part in (title, explanation) if part] or [str(error.get("message") or "no words")]
    trace = error.get("fbtrace_id")
    suffix = f" [trace {scrub(trace, *call.secrets)}]" if isinstance(trace, str) and trace else ""
    return "Meta says: " + scrub(": ".join(parts), *call.secrets).rstrip(". ") + suffix


def _integer(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0
