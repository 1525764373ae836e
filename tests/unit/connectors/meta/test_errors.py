from __future__ import annotations

import ssl
from datetime import timedelta
from typing import Any

import orjson
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from connectors.errors import (
    AccountBlocked,
    BatchRefused,
    ConnectorError,
    CredentialsRefused,
    FateUnknown,
    FixConfiguration,
    RetryLater,
)
from connectors.meta.errors import Answer, Call, judge, lost, scrub
from connectors.types import Reason
from tests.unit.connectors.meta.rows import TOKEN

WRITE = Call("Meta dataset 111", writes=True, rows=10, secrets=(TOKEN,))
READ = Call("Meta dataset 111", secrets=(TOKEN,))


def answer(status: int, document: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, document if isinstance(document, bytes) else orjson.dumps(document))


def error(code: int, subcode: int | None = None, **more: Any) -> dict[str, Any]:
    body = {"message": "Words", "type": "OAuthException", "code": code, "fbtrace_id": "AbC"} | more
    if subcode is not None:
        body["error_subcode"] = subcode
    return {"error": body}


def exactly(failure: ConnectorError | None, kind: type[ConnectorError]) -> None:
    assert type(failure) is kind, failure


# graph-api/guides/error-handling, marketing-api/error-reference, marketing-api/overview/rate-limiting.
TABLE = [
    (500, 1, None, FateUnknown),
    (400, 1, None, RetryLater),
    (500, 2, None, FateUnknown),
    (400, 2, None, RetryLater),
    (503, 4, None, RetryLater),
    (403, 4, None, RetryLater),
    (400, 17, None, RetryLater),
    (400, 17, 2446079, RetryLater),
    (400, 17, 1885172, RetryLater),
    (400, 32, None, RetryLater),
    (400, 341, None, RetryLater),
    (400, 613, None, RetryLater),
    (400, 613, 1487742, RetryLater),
    (400, 613, 1487632, RetryLater),
    (400, 613, 5044001, RetryLater),
    (400, 80000, None, RetryLater),
    (400, 80003, None, RetryLater),
    (400, 80004, 2446079, RetryLater),
    (400, 80014, None, RetryLater),
    (400, 2650, 1870145, RetryLater),
    (401, 190, None, CredentialsRefused),
    (400, 190, 458, CredentialsRefused),
    (400, 190, 459, CredentialsRefused),
    (400, 190, 460, CredentialsRefused),
    (400, 190, 463, CredentialsRefused),
    (400, 190, 464, CredentialsRefused),
    (400, 190, 467, CredentialsRefused),
    (400, 190, 492, CredentialsRefused),
    (400, 102, None, CredentialsRefused),
    (400, 104, None, CredentialsRefused),
    (403, 10, None, CredentialsRefused),
    (403, 200, None, CredentialsRefused),
    (403, 294, None, CredentialsRefused),
    (403, 299, None, CredentialsRefused),
    (400, 2654, 1713092, CredentialsRefused),
    (400, 368, None, AccountBlocked),
    (400, 200, 1870034, FixConfiguration),
    (400, 200, 1870090, FixConfiguration),
    (400, 200, 1870047, FixConfiguration),
    (400, 100, None, FixConfiguration),
    (400, 100, 33, FixConfiguration),
    (400, 100, 1713230, FixConfiguration),
    (400, 100, 1713232, FixConfiguration),
    (400, 105, None, FixConfiguration),
    (400, 194, None, FixConfiguration),
    (400, 2635, None, FixConfiguration),
    (400, 2500, None, FixConfiguration),
    (400, 2650, 1870148, FixConfiguration),
    (400, 99999, None, FixConfiguration),
    (400, 100, 2804003, BatchRefused),
    (400, 100, 2804050, BatchRefused),
    (400, 100, 2804016, BatchRefused),
    (400, 100, 2804099, BatchRefused),
    (400, 100, 1815356, BatchRefused),
]


@pytest.mark.parametrize(("status", "code", "subcode", "kind"), TABLE)
def test_each_code_by_what_to_do_next(
    status: int, code: int, subcode: int | None, kind: type[ConnectorError]
) -> None:
    failure = judge(WRITE, answer(status, error(code, subcode)))
    exactly(failure, kind)
    assert failure is not None
    assert failure.code == (f"{code}/{subcode}" if subcode else str(code))
    assert failure.remedy
    assert "Words" in failure.problem
    assert "AbC" in failure.problem


@pytest.mark.parametrize("code", [1, 2, 4, 100, 190])
def test_an_error_inside_a_200_is_an_error(code: int) -> None:
    assert judge(WRITE, answer(200, error(code))) is not None


@pytest.mark.parametrize(
    ("subcode", "reason"),
    [
        (2804003, Reason.TOO_OLD),
        (2804050, Reason.NO_IDENTIFIER),
        (2804016, Reason.BAD_IDENTIFIER),
        (2804999, Reason.REFUSED_BY_PLATFORM),
    ],
)
def test_a_refused_batch_says_what_a_lone_row_is_refused_for(subcode: int, reason: Reason) -> None:
    failure = judge(WRITE, answer(400, error(100, subcode)))
    assert isinstance(failure, BatchRefused)
    assert failure.reason == reason.value
    assert failure.rejections == ()


def test_rows_that_the_words_place_are_rejections() -> None:
    words = "(#100) Param data[3]['event_time'] must be an integer; data[99] too"
    failure = judge(WRITE, answer(400, error(100, message=words)))
    assert isinstance(failure, BatchRefused)
    assert [rejection.index for rejection in failure.rejections] == [3]


def test_what_is_explained_under_a_title_is_a_row_though_its_subcode_is_missing() -> None:
    titled = error(100, error_user_title="Event Timestamp In The Future", error_user_msg="Words.")
    exactly(judge(WRITE, answer(400, titled)), BatchRefused)
    exactly(judge(READ, answer(400, titled)), FixConfiguration)


def test_an_invalid_parameter_of_a_call_without_rows_is_no_batch() -> None:
    exactly(judge(READ, answer(400, error(100, 1815356))), FixConfiguration)


def test_transient_says_retry_where_the_code_says_nothing() -> None:
    exactly(judge(WRITE, answer(400, error(99999, is_transient=True))), RetryLater)
    exactly(judge(READ, answer(500, error(99999, is_transient=True))), RetryLater)
    exactly(judge(WRITE, answer(500, error(99999, is_transient=True))), FateUnknown)
    exactly(judge(WRITE, answer(400, error(190, is_transient=True))), CredentialsRefused)


USE_CASE = '{"111":[{"type":"custom_audience","call_count":100,"estimated_time_to_regain_access":7}]}'


@pytest.mark.parametrize(
    ("code", "subcode", "headers", "delay"),
    [
        (80003, None, {"X-Business-Use-Case-Usage": USE_CASE}, timedelta(minutes=7)),
        (
            17,
            None,
            {"X-Ad-Account-Usage": '{"acc_id_util_pct":100,"reset_time_duration":7}'},
            timedelta(seconds=7),
        ),
        (613, 1487742, {}, timedelta(seconds=300)),
        (613, None, {}, timedelta(hours=1)),
        (613, 1487632, {}, timedelta(hours=1)),
        (17, 1885172, {}, timedelta(days=1)),
        (4, None, {}, None),
        (4, None, {"X-Business-Use-Case-Usage": "rubbish"}, None),
    ],
)
def test_waits(code: int, subcode: int | None, headers: dict[str, str], delay: timedelta | None) -> None:
    failure = judge(WRITE, Answer(400, headers, orjson.dumps(error(code, subcode))))
    assert isinstance(failure, RetryLater)
    assert failure.delay == delay


GATEWAY = b"<html><body>Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("status", "body", "write_kind", "read_kind"),
    [
        (500, GATEWAY, FateUnknown, RetryLater),
        (502, GATEWAY, FateUnknown, RetryLater),
        (504, b"", FateUnknown, RetryLater),
        (503, b"Service Unavailable", RetryLater, RetryLater),
        (429, GATEWAY, RetryLater, RetryLater),
        (401, GATEWAY, CredentialsRefused, CredentialsRefused),
        (413, GATEWAY, BatchRefused, FixConfiguration),
        (414, GATEWAY, FixConfiguration, FixConfiguration),
        (302, b"", FixConfiguration, FixConfiguration),
        (404, GATEWAY, FixConfiguration, FixConfiguration),
        (200, GATEWAY, FateUnknown, RetryLater),
        (200, b"[1]", FateUnknown, RetryLater),
        (200, b'{"error":"words"}', FateUnknown, RetryLater),
        (200, b'{"success":false}', RetryLater, RetryLater),
    ],
)
def test_answers_that_are_not_graphs(
    status: int, body: bytes, write_kind: type[ConnectorError], read_kind: type[ConnectorError]
) -> None:
    exactly(judge(WRITE, answer(status, body)), write_kind)
    exactly(judge(READ, answer(status, body)), read_kind)


def test_retry_after_is_heeded() -> None:
    failure = judge(WRITE, answer(429, b"", Retry_After="30"))
    assert isinstance(failure, RetryLater)
    assert failure.delay == timedelta(seconds=30)


def test_success() -> None:
    assert judge(WRITE, answer(200, {"events_received": 10})) is None
    assert judge(READ, answer(200, {"success": True})) is None


def connection(reason: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(MaxRetryError(None, "/v26.0/111/events", reason))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "write_kind", "read_kind"),
    [
        (connection(NewConnectionError(None, "refused")), RetryLater, RetryLater),  # type: ignore[arg-type]
        (requests.ConnectTimeout(), RetryLater, RetryLater),
        (requests.ReadTimeout(), FateUnknown, RetryLater),
        (
            requests.ConnectionError(ProtocolError("aborted", ConnectionResetError(104, "reset"))),
            FateUnknown,
            RetryLater,
        ),
        (requests.exceptions.ChunkedEncodingError(), FateUnknown, RetryLater),
        (connection(ssl.SSLCertVerificationError(1, "self-signed")), FixConfiguration, FixConfiguration),
        (requests.exceptions.InvalidURL(), FixConfiguration, FixConfiguration),
    ],
)
def test_lost_connections(
    cause: Exception, write_kind: type[ConnectorError], read_kind: type[ConnectorError]
) -> None:
    exactly(lost(WRITE, cause), write_kind)
    exactly(lost(READ, cause), read_kind)


@pytest.mark.parametrize(
    "personal",
    [
        "ann.other@example.com",
        "https://shop.example/thanks?name=Ann",
        "Mozilla/5.0 (X11; Linux x86_64)",
        "fb.1.1596403881668.1116446470",
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        "EAAabcDEF123",
        "203.0.113.77",
        "2001:db8:0:0:0:0:0:1",
        "2001:db8::8a2e:370:7334",
        "+49 30 901820",
    ],
)
def test_scrubbed(personal: str) -> None:
    assert personal not in scrub(f"The value '{personal}' is bad")
    assert (
        scrub("The event at 12 of dataset 123456789 is bad") == "The event at 12 of dataset 123456789 is bad"
    )


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
error_bodies = st.dictionaries(
    st.sampled_from(
        [
            "message",
            "code",
            "error_subcode",
            "is_transient",
            "error_user_title",
            "error_user_msg",
            "fbtrace_id",
            "error_data",
        ]
    ),
    json | st.sampled_from([TOKEN, f"see {TOKEN}", 100, 190, 613, 2804003]),
)


@given(
    st.integers(200, 599),
    st.one_of(st.binary(max_size=40), error_bodies.map(lambda body: orjson.dumps({"error": body}))),
    st.dictionaries(
        st.sampled_from(["X-Business-Use-Case-Usage", "X-Ad-Account-Usage", "X-App-Usage", "Retry-After"]),
        st.text(max_size=20) | json.map(lambda value: orjson.dumps(value).decode()),
    ),
)
def test_no_answer_breaks_the_judge_or_tells_the_token(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    for call in (READ, WRITE):
        failure = judge(call, Answer(status, headers, body))
        assert failure is None or TOKEN not in f"{failure} {failure!r} {failure.__dict__}"
