from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from facebook_business.exceptions import FacebookRequestError

from connectors.sandbox.faults import Fault, FaultKind, Faults
from connectors.sandbox.meta_state import MetaState
from connectors.sandbox.server import Sandbox
from tests.integration.sandbox.graph_client import Clock, graph, purchase


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(clock=Clock()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.state.reset()
    running.faults.clear()
    return running


@pytest.fixture
def api(sandbox: Sandbox) -> Any:
    return graph(sandbox.http_url)


def send(api: Any, *events: dict[str, Any]) -> Any:
    return api.call("POST", ("2001", "events"), params={"data": list(events)})


def kept(sandbox: Sandbox) -> int:
    return len(sandbox.state.part(MetaState).datasets["2001"].events)


class TestFaults:
    def strikes(
        self, faults: Faults, count: int, platform: str = "meta", path: str = "/events"
    ) -> list[bool]:
        return [faults.next(platform, path) is not None for _ in range(count)]

    def test_skips_then_strikes_so_many_times(self) -> None:
        faults = Faults()
        faults.add(Fault(FaultKind.SLOW, skip=2, times=2))
        assert self.strikes(faults, 6) == [False, False, True, True, False, False]
        assert faults.list() == ()

    def test_strikes_for_ever_until_cleared(self) -> None:
        faults = Faults()
        faults.add(Fault(FaultKind.SLOW, times=None))
        assert self.strikes(faults, 3) == [True] * 3
        faults.clear()
        assert self.strikes(faults, 1) == [False]

    def test_strikes_its_own_platform_and_path(self) -> None:
        faults = Faults()
        faults.add(Fault(FaultKind.SLOW, platform="meta", path="/users", times=None))
        assert faults.next("google_ads", "/4001/users") is None
        assert faults.next("meta", "/2001/events") is None
        assert faults.next("meta", "/4001/users") is not None

    def test_says_what_is_left(self) -> None:
        faults = Faults()
        faults.add(Fault(FaultKind.SLOW, skip=1, times=3))
        self.strikes(faults, 2)
        [left] = faults.list()
        assert (left.skip, left.times) == (0, 2)

    def test_the_same_seed_strikes_the_same_requests(self) -> None:
        def pattern(seed: int) -> list[bool]:
            faults = Faults(seed)
            faults.add(Fault(FaultKind.SLOW, times=None, probability=0.5))
            return self.strikes(faults, 64)

        assert pattern(1) == pattern(1) != pattern(2)
        assert 10 < sum(pattern(1)) < 54

    def test_threads_share_the_count(self) -> None:
        faults = Faults()
        faults.add(Fault(FaultKind.SLOW, times=100))
        struck: list[bool] = []
        threads = [threading.Thread(target=lambda: struck.extend(self.strikes(faults, 50))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(struck) == 100

    @pytest.mark.parametrize("wrong", [{"platform": "bing"}, {"probability": 2.0}])
    def test_refuses_what_can_never_strike(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="fault:"):
            Fault(FaultKind.SLOW, **wrong)


class TestAnswers:
    @pytest.mark.parametrize(
        ("method", "path", "code", "kind"),
        [
            ("POST", ("2001", "events"), 4, "ads_management"),
            ("POST", ("4001", "users"), 80003, "custom_audience"),
            ("POST", ("act_1001", "customaudiences"), 613, "ads_management"),
            ("GET", ("act_1001",), 17, "ads_management"),
        ],
    )
    def test_throttles_as_meta_does_and_names_the_wait_in_minutes(
        self, sandbox: Sandbox, api: Any, method: str, path: tuple[str, ...], code: int, kind: str
    ) -> None:
        sandbox.faults.add(Fault(FaultKind.THROTTLE, platform="meta", delay_seconds=90))
        with pytest.raises(FacebookRequestError) as refused:
            api.call(method, path)
        assert refused.value.api_error_code() == code
        assert refused.value.api_transient_error() is True
        usage = requests.structures.CaseInsensitiveDict(refused.value.http_headers())
        [use_case] = json.loads(usage["X-Business-Use-Case-Usage"]).popitem()[1]
        assert use_case["type"] == kind
        assert use_case["estimated_time_to_regain_access"] == 2

    def test_fails_as_a_server_does_and_keeps_nothing(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.faults.add(Fault(FaultKind.SERVER_ERROR, platform="meta"))
        with pytest.raises(FacebookRequestError) as refused:
            send(api, purchase())
        assert (refused.value.http_status(), refused.value.api_error_code()) == (500, 2)
        assert kept(sandbox) == 0
        assert send(api, purchase()).status() == 200

    def test_a_gateways_page_passes_for_success_in_the_sdk(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.faults.add(Fault(FaultKind.HTML_ERROR, platform="meta"))
        answer = send(api, purchase())
        assert answer.status() == 502
        assert "Bad Gateway" in answer.body()
        assert kept(sandbox) == 0

    def test_refuses_the_token(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.faults.add(Fault(FaultKind.BAD_TOKEN, platform="meta"))
        with pytest.raises(FacebookRequestError) as refused:
            send(api, purchase())
        assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (190, 463)

    @pytest.mark.parametrize(
        ("kind", "expected"), [(FaultKind.TIMEOUT_AFTER_ACCEPT, 1), (FaultKind.TIMEOUT_BEFORE_ACCEPT, 0)]
    )
    def test_loses_the_answer_after_or_before_it_took_the_request(
        self, sandbox: Sandbox, api: Any, kind: FaultKind, expected: int
    ) -> None:
        sandbox.faults.add(Fault(kind, platform="meta"))
        with pytest.raises(requests.ConnectionError):
            send(api, purchase())
        assert kept(sandbox) == expected
        [logged] = sandbox.state.requests()
        assert (logged.status, logged.fault) == (None, kind.value)
        send(api, purchase())
        assert kept(sandbox) == 1

    def test_holds_an_answer_back_beyond_the_clients_patience(self, sandbox: Sandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.TIMEOUT_AFTER_ACCEPT, platform="meta", hold_seconds=5))
        impatient = graph(sandbox.http_url, timeout=0.3)
        with pytest.raises(requests.ReadTimeout):
            send(impatient, purchase())
        assert kept(sandbox) == 1

    def test_answers_late_and_others_meanwhile(self, sandbox: Sandbox, api: Any) -> None:
        sandbox.faults.add(Fault(FaultKind.SLOW, platform="meta", path="/events", delay_seconds=0.5))
        started = time.perf_counter()
        late = threading.Thread(target=send, args=(api, purchase()))
        late.start()
        while sandbox.faults.list() != ():
            time.sleep(0.005)
        graph(sandbox.http_url).call("GET", ("me",))
        assert time.perf_counter() - started < 0.5
        late.join()
        assert time.perf_counter() - started >= 0.5
        assert kept(sandbox) == 1


class TestControl:
    def test_faults_are_added_shown_and_cleared_over_http(self, sandbox: Sandbox, api: Any) -> None:
        url = f"{sandbox.http_url}/_sandbox/faults"
        added = requests.post(url, json={"kind": "server_error", "platform": "meta", "times": 2}, timeout=5)
        assert added.json()[0]["kind"] == "server_error"
        with pytest.raises(FacebookRequestError):
            send(api, purchase())
        assert requests.get(url, timeout=5).json()[0]["times"] == 1
        assert requests.delete(url, timeout=5).json() == []
        send(api, purchase())

    @pytest.mark.parametrize(
        "wrong", [{}, {"kind": "fire"}, {"kind": "slow", "when": 1}, {"kind": "slow", "platform": "x"}]
    )
    def test_refuses_a_fault_that_it_does_not_know(self, sandbox: Sandbox, wrong: dict[str, Any]) -> None:
        answer = requests.post(f"{sandbox.http_url}/_sandbox/faults", json=wrong, timeout=5)
        assert answer.status_code == 400
        assert sandbox.faults.list() == ()

    def test_shows_what_is_held_and_what_was_asked(self, sandbox: Sandbox, api: Any) -> None:
        send(api, *(purchase(number) for number in range(3)))
        state = requests.get(f"{sandbox.http_url}/_sandbox/state", timeout=5).json()
        assert state["meta"]["datasets"]["2001"]["events_by_name"] == {"Purchase": 3}
        page = requests.get(f"{sandbox.http_url}/_sandbox/meta/events?limit=2&offset=1", timeout=5).json()
        assert page["total"] == 3
        assert [one["content"]["event_id"] for one in page["data"]] == ["order-1", "order-2"]
        log = requests.get(f"{sandbox.http_url}/_sandbox/requests", timeout=5).json()["data"]
        assert [(one["path"], one["status"], one["rows"]) for one in log] == [("/v26.0/2001/events", 200, 3)]
        assert "token" not in str(log)

    def test_a_reset_forgets_events_faults_and_log(self, sandbox: Sandbox, api: Any) -> None:
        send(api, purchase())
        sandbox.faults.add(Fault(FaultKind.SERVER_ERROR))
        requests.post(f"{sandbox.http_url}/_sandbox/reset", timeout=5).raise_for_status()
        assert (kept(sandbox), sandbox.faults.list(), sandbox.state.requests()) == (0, (), ())
        send(api, purchase())
        assert kept(sandbox) == 1


def test_two_sandboxes_stand_side_by_side_and_leave_their_ports() -> None:
    with Sandbox() as one, Sandbox() as other:
        assert one.http_url != other.http_url
        assert one.ads_endpoint != other.ads_endpoint
        assert one.certificate.exists()
        folder = one.certificate.parent
        port = int(one.http_url.rsplit(":", 1)[1])
    assert not folder.exists()
    with Sandbox(http_port=port) as again:
        assert again.http_url.endswith(f":{port}")
        assert requests.get(f"{again.http_url}/_sandbox/state", timeout=5).json()["requests"] == 0
