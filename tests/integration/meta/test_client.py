"""The real SDK over loopback, against everything a line or a gateway can do to it."""

from __future__ import annotations

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import facebook_business.api
import facebook_business.session
import pytest

from connectors.errors import ConnectorError, CredentialsRefused, FateUnknown, FixConfiguration, RetryLater
from connectors.meta.client import GraphClient
from tests.integration.meta.wire import (
    Behaviour,
    Wire,
    answer,
    half_an_answer,
    hang_up,
    reset,
    silence,
)
from tests.unit.connectors.meta.rows import APP_SECRET, TOKEN, account

OK = answer('{"events_received": 1, "fbtrace_id": "AbC"}')
PAYLOAD = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"


def post(url: str, **settings: Any) -> dict[str, Any]:
    with GraphClient(account(url, **settings)) as client:
        return client.post("Meta dataset 111", "111/events", {"data": f'["{PAYLOAD}"]'}, rows=1)


def fail(url: str, **settings: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as failure:
        post(url, **settings)
    return failure.value


def everything(error: BaseException | None) -> str:
    """All that a log could show of an error: its words, its attributes and whatever it was raised from."""
    if error is None:
        return ""
    return f"{error} {error!r} {vars(error)}" + everything(error.__cause__) + everything(error.__context__)


def test_the_token_stands_in_the_header_alone() -> None:
    with Wire([OK]) as server:
        post(server.url)
    [request] = server.seen
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in request.target
    assert TOKEN not in request.body
    query = parse_qs(urlsplit(request.target).query)
    assert set(query) == {"appsecret_proof"}
    assert APP_SECRET not in request.target
    assert request.target.startswith("/v26.0/111/events?")
    assert request.form == {"data": f'["{PAYLOAD}"]'}


def test_the_version_is_a_setting() -> None:
    with Wire([OK]) as server:
        post(server.url, api_version="v27.0", app_secret=None)
    assert server.seen[0].target == "/v27.0/111/events"


LOST: list[tuple[Behaviour, type[ConnectorError]]] = [
    (reset, FateUnknown),
    (hang_up, FateUnknown),
    (half_an_answer, FateUnknown),
    (silence, FateUnknown),
    (answer("<html>Bad Gateway</html>", 502), FateUnknown),
    (answer("", 504), FateUnknown),
    (answer("<html>hello</html>"), FateUnknown),
    (answer("Service Unavailable", 503), RetryLater),
    (answer("<html>slow down</html>", 429), RetryLater),
    (answer('{"error": "words"}'), FateUnknown),
    (answer(f'{{"error": {{"code": 190, "message": "bad {TOKEN}"}}}}'), CredentialsRefused),
    (answer('{"error": {"code": 2, "error_data": "not json"}}', 500), FateUnknown),
    (answer(f'{{"error": {{"code": 190, "message": "{PAYLOAD}"}}}}', 400), CredentialsRefused),
    (answer("", 302, Location="http://127.0.0.1:9/elsewhere"), FixConfiguration),
    (answer("", 307, Location="http://127.0.0.1:9/elsewhere"), FixConfiguration),
]


@pytest.mark.parametrize(("behaviour", "kind"), LOST)
def test_every_failure_is_told_apart_and_tells_nothing(
    behaviour: Behaviour, kind: type[ConnectorError]
) -> None:
    with Wire([behaviour]) as server:
        failure = fail(server.url, timeout=timedelta(seconds=0.5))
    assert type(failure) is kind
    assert len(server.seen) == 1
    told = everything(failure)
    for secret in (TOKEN, APP_SECRET, PAYLOAD, "appsecret_proof"):
        assert secret not in told
    assert failure.__context__ is None


def test_a_server_that_is_not_there_has_taken_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = fail(f"http://127.0.0.1:{port}")
    assert type(failure) is RetryLater


def test_a_lost_read_is_only_asked_again() -> None:
    with Wire([reset]) as server, GraphClient(account(server.url)) as client:
        with pytest.raises(RetryLater) as failure:
            client.get("Meta dataset 111", "111")
        assert type(failure.value) is RetryLater


def test_reading_by_post_keeps_parameters_out_of_the_address() -> None:
    with Wire([answer('{"data": {}}')]) as server, GraphClient(account(server.url)) as client:
        client.read_by_post("token", "debug_token", {"input_token": TOKEN})
    assert server.seen[0].method == "POST"
    assert server.seen[0].form == {"input_token": TOKEN, "method": "GET"}
    assert TOKEN not in server.seen[0].target


def test_usage_and_version_warnings_are_read_from_successes() -> None:
    behaviour = answer(
        '{"events_received": 1}',
        X_App_Usage='{"call_count":28,"total_cputime":25,"total_time":30}',
        X_Ad_Api_Version_Warning="upgraded",
    )
    with Wire([behaviour]) as server, GraphClient(account(server.url)) as client:
        client.post("Meta dataset 111", "111/events", {"data": "[]"})
        assert client.usage is not None
        assert client.usage.percent == 30
        assert client.version_warning == "upgraded"


def test_nothing_of_the_process_is_changed() -> None:
    hook, session = sys.excepthook, facebook_business.session.FacebookSession.GRAPH
    with Wire([OK]) as server:
        post(server.url)
    assert sys.excepthook is hook
    assert session == facebook_business.session.FacebookSession.GRAPH
    assert facebook_business.api.FacebookAdsApi.get_default_api() is None


def test_two_accounts_and_many_threads_do_not_mix() -> None:
    with (
        Wire([OK]) as one,
        Wire([OK]) as two,
        GraphClient(account(one.url)) as first,
        GraphClient(account(two.url)) as second,
        ThreadPoolExecutor(8) as pool,
    ):

        def call(number: int) -> dict[str, Any]:
            client = first if number % 2 else second
            return client.post("Meta dataset 111", "111/events", {"data": str(number)})

        answers = list(pool.map(call, range(60)))
    assert all(each["events_received"] == 1 for each in answers)
    assert sorted(int(seen.form["data"]) % 2 for seen in one.seen) == [1] * 30
    assert sorted(int(seen.form["data"]) % 2 for seen in two.seen) == [0] * 30


def test_answers_of_parallel_calls_stay_with_their_callers() -> None:
    gate = threading.Barrier(2)

    def respond(line: socket.socket) -> None:
        gate.wait(timeout=5)
        answer(f'{{"port": {line.getpeername()[1]}}}')(line)

    with (
        Wire([respond]) as server,
        GraphClient(account(server.url)) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        answers = list(pool.map(lambda number: client.get("x", str(number)), range(2)))
    assert len({each["port"] for each in answers}) == 2


def test_a_netrc_file_cannot_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    with Wire([OK]) as server:
        post(server.url)
    assert server.seen[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_proxy_of_the_environment_does_not_see_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with Wire([OK]) as server:
        assert post(server.url)["events_received"] == 1


@pytest.mark.parametrize("status", [302, 307, 308])
def test_what_is_sent_follows_no_redirect(status: int) -> None:
    with Wire([OK]) as elsewhere, Wire([answer("", status, Location=f"{elsewhere.url}/x")]) as server:
        assert type(fail(server.url)) is FixConfiguration
    assert elsewhere.seen == []
