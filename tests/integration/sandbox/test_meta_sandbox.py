from __future__ import annotations

import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from facebook_business.adobjects.adaccount import AdAccount as SdkAdAccount
from facebook_business.adobjects.adspixel import AdsPixel
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.adobjects.serverside.custom_data import CustomData
from facebook_business.adobjects.serverside.event import Event
from facebook_business.adobjects.serverside.event_request import EventRequest
from facebook_business.adobjects.serverside.user_data import UserData
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from connectors.sandbox.faults import Fault, FaultKind
from connectors.sandbox.meta_state import MetaState
from connectors.sandbox.server import Sandbox
from tests.integration.sandbox.graph_client import NOON, Clock, graph, purchase, sha256

HASH_OF_NOTHING = sha256("")


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Sandbox, Clock]]:
    clock = Clock()
    with Sandbox(clock=clock) as sandbox:
        yield sandbox, clock


@pytest.fixture
def clock(running: tuple[Sandbox, Clock]) -> Clock:
    return running[1]


@pytest.fixture
def sandbox(running: tuple[Sandbox, Clock]) -> Sandbox:
    sandbox, clock = running
    sandbox.state.reset()
    sandbox.faults.clear()
    clock.now = NOON
    return sandbox


@pytest.fixture
def api(sandbox: Sandbox) -> Any:
    return graph(sandbox.http_url)


def send(api: Any, *events: dict[str, Any], **parameters: Any) -> Any:
    return api.call("POST", ("2001", "events"), params={"data": list(events), **parameters}).json()


def held(sandbox: Sandbox) -> MetaState:
    return sandbox.state.part(MetaState)


def kept_events(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [kept.content for kept in held(sandbox).datasets["2001"].events]


class TestEvents:
    def test_keeps_what_the_sdk_sends_as_objects_and_as_strings(self, sandbox: Sandbox, api: Any) -> None:
        answer = send(api, purchase(1))
        assert answer["events_received"] == 1
        assert answer["messages"] == []
        assert answer["fbtrace_id"]
        AdsPixel("2001", api=api).create_event(params={"data": [json.dumps(purchase(2))]})
        assert kept_events(sandbox) == [purchase(1), purchase(2)]

    def test_takes_the_sdks_own_event_objects(
        self, sandbox: Sandbox, api: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FacebookSession, "GRAPH", sandbox.http_url)
        monkeypatch.setattr(FacebookAdsApi, "_default_api", api)
        event = Event(
            event_name="Purchase",
            event_time=int(NOON.timestamp()),
            event_id="order-1",
            event_source_url="https://shop.example/thanks",
            action_source=ActionSource.WEBSITE,
            user_data=UserData(email="joe@example.com", client_user_agent="Mozilla/5.0"),
            custom_data=CustomData(value=12.5, currency="EUR"),
        )
        response = EventRequest(pixel_id="2001", events=[event], access_token="sandbox-token").execute()
        assert response.events_received == 1
        [kept] = kept_events(sandbox)
        assert kept["user_data"]["em"] == [sha256("joe@example.com")]

    def test_takes_a_json_body_and_a_bearer_token(self, sandbox: Sandbox) -> None:
        answer = requests.post(
            f"{sandbox.http_url}/v26.0/2001/events",
            json={"data": [purchase()]},
            headers={"Authorization": "Bearer sandbox-token"},
            timeout=10,
        )
        assert answer.json()["events_received"] == 1
        assert "X-Business-Use-Case-Usage" in answer.headers

    def test_one_bad_event_refuses_all_of_them(self, sandbox: Sandbox, api: Any) -> None:
        with pytest.raises(FacebookRequestError):
            send(api, purchase(1), purchase(2, event_time=0), purchase(3))
        assert kept_events(sandbox) == []

    def test_keeps_test_events_and_says_so(self, sandbox: Sandbox, api: Any) -> None:
        send(api, purchase(), test_event_code="TEST1")
        assert sandbox.state.summary()["meta"]["datasets"]["2001"]["test_events"] == 1

    def test_discards_a_repeated_event_within_48_hours_and_counts_it_as_received(
        self, sandbox: Sandbox, api: Any, clock: Clock
    ) -> None:
        send(api, purchase(1))
        clock.advance(hours=47)
        assert send(api, purchase(1))["events_received"] == 1
        assert len(kept_events(sandbox)) == 1
        clock.advance(hours=2)
        send(api, purchase(1))
        assert len(kept_events(sandbox)) == 2
        summary = sandbox.state.summary()["meta"]["datasets"]["2001"]
        assert (summary["received"], summary["duplicates"]) == (3, 1)
        assert summary["value"] == {"EUR": 25.0}

    def test_tells_offline_events_apart_by_order_and_not_by_event_id(
        self, sandbox: Sandbox, api: Any
    ) -> None:
        offline = purchase(1, action_source="physical_store")
        send(api, offline, {**offline, "event_id": "another"})
        assert len(kept_events(sandbox)) == 1
        send(api, {**offline, "custom_data": {"value": 1, "currency": "EUR", "order_id": "order-9"}})
        assert len(kept_events(sandbox)) == 2

    def test_takes_offline_events_for_62_days(self, sandbox: Sandbox, api: Any) -> None:
        send(api, purchase(1, at=NOON - timedelta(days=61), action_source="physical_store"))
        assert len(kept_events(sandbox)) == 1

    def test_checks_a_full_request_in_well_under_100_milliseconds(self, sandbox: Sandbox) -> None:
        body = json.dumps({"data": [purchase(number) for number in range(1_000)]}).encode()
        headers = {"Authorization": "Bearer sandbox-token", "Content-Type": "application/json"}

        def took() -> float:
            started = time.perf_counter()
            requests.post(
                f"{sandbox.http_url}/v26.0/2001/events", data=body, headers=headers, timeout=10
            ).raise_for_status()
            return time.perf_counter() - started

        # The quickest of several: the machine may be busy with something else.
        assert min(took() for _ in range(5)) < 0.1


def user(**changes: Any) -> dict[str, Any]:
    return {"user_data": {**purchase()["user_data"], **changes}}


def custom(**changes: Any) -> dict[str, Any]:
    return {"custom_data": {**purchase()["custom_data"], **changes}}


REFUSALS: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "no name": ({"event_name": ""}, None, "Missing Event Name"),
    "no time": ({"event_time": None}, None, "Invalid Event Timestamp"),
    "time as text": ({"event_time": "2026-11-20"}, None, "Invalid Event Timestamp"),
    "time in milliseconds": (
        {"event_time": int(NOON.timestamp()) * 1000},
        None,
        "Event Timestamp In The Future",
    ),
    "tomorrow": (
        {"event_time": int((NOON + timedelta(days=1)).timestamp())},
        None,
        "Event Timestamp In The Future",
    ),
    "older than 7 days": (
        {"event_time": int((NOON - timedelta(days=7, seconds=1)).timestamp())},
        2804003,
        "Event Timestamp Too Old",
    ),
    "offline, older than 62 days": (
        {
            "action_source": "physical_store",
            "event_time": int((NOON - timedelta(days=62, seconds=1)).timestamp()),
        },
        2804003,
        "Event Timestamp Too Old",
    ),
    "no action source": ({"action_source": None}, None, "Invalid Action Source"),
    "unknown action source": ({"action_source": "web"}, None, "Invalid Action Source"),
    "action source as a list": ({"action_source": ["website"]}, None, "Invalid Action Source"),
    "website without a page": ({"event_source_url": None}, None, "Missing Event Source URL"),
    "website without a user agent": ({"user_data": {"em": [sha256("a")]}}, None, "Missing User Agent"),
    "no user data": ({"user_data": None}, None, "Missing User Data"),
    "empty user data": (
        {"user_data": {}, "action_source": "other"},
        2804050,
        "Not Enough Customer Information",
    ),
    "plain e-mail": (user(em=["joe@example.com"]), None, "Unhashed User Data"),
    "upper-case hash": (user(em=[sha256("a").upper()]), None, "Unhashed User Data"),
    "hash that is too short": (user(ph=sha256("a")[:32]), None, "Unhashed User Data"),
    "hash of nothing": (user(ct=[HASH_OF_NOTHING]), None, "Empty User Data"),
    "one plain among hashed": (user(ph=[sha256("a"), "4915112345678"]), None, "Unhashed User Data"),
    "country and city alone": (
        {"action_source": "other", "user_data": {"ct": sha256("berlin"), "country": sha256("de")}},
        2804050,
        "Not Enough Customer Information",
    ),
    "first name and gender alone": (
        {"action_source": "other", "user_data": {"fn": sha256("joe"), "ge": sha256("m")}},
        2804050,
        "Not Enough Customer Information",
    ),
    "browser alone": (
        {"user_data": {"client_user_agent": "Mozilla/5.0"}},
        2804050,
        "Not Enough Customer Information",
    ),
    "hashed address": (user(client_ip_address=sha256("192.0.2.1")), None, "Invalid User Data"),
    "fbc that is an fbclid": (user(fbc="IwAR2F4abcdefg"), None, "Invalid User Data"),
    "fbc in seconds": (user(fbc="fb.1.1763640000.IwAR2F4abcdefg"), None, "Invalid User Data"),
    "fbp without a random part": (user(fbp="fb.1.1763640000000"), None, "Invalid User Data"),
    "short lead id": (user(lead_id=12345), None, "Invalid User Data"),
    "purchase without a value": (custom(value=None), None, "Missing Value For Purchase Event"),
    "value as text": (custom(value="12.50"), None, "Invalid Value Parameter"),
    "value below zero": (custom(value=-1), None, "Invalid Value Parameter"),
    "purchase without a currency": (custom(currency=None), None, "Missing Currency For Purchase Event"),
    "unknown currency": (custom(currency="EURO"), None, "Invalid Currency Code"),
    "limited data use misspelt": (
        {"data_processing_options": ["ldu"]},
        None,
        "Invalid Data Processing Options",
    ),
    "limited data use in an unknown state": (
        {"data_processing_options": ["LDU"], "data_processing_options_state": 999},
        None,
        "Invalid Data Processing Options",
    ),
}


@pytest.mark.parametrize(("changes", "subcode", "title"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refuses_as_meta_refuses(
    sandbox: Sandbox, api: Any, changes: dict[str, Any], subcode: int | None, title: str
) -> None:
    with pytest.raises(FacebookRequestError) as refused:
        send(api, {**purchase(), **changes})
    assert refused.value.http_status() == 400
    assert refused.value.api_error_code() == 100
    assert refused.value.api_error_subcode() == subcode
    assert refused.value.body()["error"]["error_user_title"] == title
    assert refused.value.api_transient_error() is False
    assert kept_events(sandbox) == []


ACCEPTANCES: dict[str, dict[str, Any]] = {
    "just inside 7 days": {"event_time": int((NOON - timedelta(days=7) + timedelta(minutes=1)).timestamp())},
    "non-web without page and browser": {
        "action_source": "system_generated",
        "user_data": {"em": sha256("a")},
    },
    "click and browser ids": user(
        fbc="fb.1.1763640000000.IwAR2F4-dbP0l7Mn1IawQQGCINEz7PYXQvwjNwB_qa2ofrHyiLjcbCRxTDMgk",
        fbp="fb.1.1763640000000.1116446470",
    ),
    "the parameter builder's ending": user(fbp="fb.1.1763640000000.1116446470.Bg"),
    "lower-case currency": custom(currency="eur"),
    "not limited": {"data_processing_options": []},
    "limited data use": {
        "data_processing_options": ["LDU"],
        "data_processing_options_country": 1,
        "data_processing_options_state": 1000,
    },
    "predicted value in real time": custom(predicted_ltv=99.5),
    "plain external id": user(external_id="customer-1"),
    "margin that is a loss": custom(net_revenue=-2.5),
}


@pytest.mark.parametrize("changes", ACCEPTANCES.values(), ids=ACCEPTANCES.keys())
def test_takes_what_meta_takes(sandbox: Sandbox, api: Any, changes: dict[str, Any]) -> None:
    send(api, {**purchase(), **changes})
    assert len(kept_events(sandbox)) == 1


@pytest.mark.parametrize("data", [None, [], "x", {}, [1], ["{"], [purchase(n) for n in range(1_001)]])
def test_refuses_a_request_whose_data_is_no_batch(api: Any, data: Any) -> None:
    with pytest.raises(FacebookRequestError) as refused:
        api.call("POST", ("2001", "events"), params={"data": data} if data is not None else {})
    assert refused.value.api_error_code() == 100


class TestAppendValue:
    def append(self, at: Clock, **changes: Any) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event_name": "AppendValue",
            "event_time": int(at.now.timestamp()),
            "action_source": "website",
            "user_data": {"external_id": sha256("customer-1")},
            "original_event_data": {"event_name": "Purchase", "event_id": "order-1", "order_id": "order-1"},
            "custom_data": {"predicted_ltv": 321.5, "currency": "EUR"},
        }
        return {**event, **changes}

    def fates(self, sandbox: Sandbox) -> dict[str, int]:
        appended = sandbox.state.summary()["meta"]["datasets"]["2001"]["appended"]
        return {fate: count for fate, count in appended.items() if count}

    def test_joins_the_conversion_that_it_names(self, sandbox: Sandbox, api: Any, clock: Clock) -> None:
        send(api, purchase(1))
        clock.advance(days=6)
        send(api, self.append(clock))
        assert self.fates(sandbox) == {"matched": 1}
        summary = sandbox.state.summary()["meta"]["datasets"]["2001"]
        assert summary["predicted_ltv"] == {"EUR": 321.5}
        assert summary["events"] == 1

    def test_comes_too_late_7_days_after_the_sending_and_not_after_the_event(
        self, sandbox: Sandbox, api: Any, clock: Clock
    ) -> None:
        send(api, purchase(1, at=NOON - timedelta(days=6)))
        clock.advance(days=6, hours=23)
        send(api, self.append(clock, event_id="first"))
        clock.advance(hours=2)
        send(api, self.append(clock, event_id="second"))
        assert self.fates(sandbox) == {"matched": 1, "too_late": 1}

    @pytest.mark.parametrize(
        "original",
        [
            {"event_name": "Purchase", "event_id": "order-9"},
            {"event_name": "Subscribe", "event_id": "order-1"},
            {"event_name": "Purchase", "event_id": "order-1", "order_id": "order-2"},
        ],
    )
    def test_matches_nothing_that_was_not_sent(
        self, sandbox: Sandbox, api: Any, clock: Clock, original: dict[str, str]
    ) -> None:
        send(api, purchase(1), purchase(2))
        clock.advance(hours=1)
        send(api, self.append(clock, original_event_data=original))
        assert self.fates(sandbox) == {"unmatched": 1}

    def test_matches_no_event_that_names_an_original_itself(
        self, sandbox: Sandbox, api: Any, clock: Clock
    ) -> None:
        renewal = purchase(1, original_event_data={"event_name": "Purchase", "event_id": "order-0"})
        send(api, renewal)
        clock.advance(hours=1)
        send(api, self.append(clock))
        assert self.fates(sandbox) == {"unmatched": 1}

    def test_is_set_aside_when_computed_before_the_conversion(
        self, sandbox: Sandbox, api: Any, clock: Clock
    ) -> None:
        send(api, purchase(1))
        send(api, self.append(clock))
        assert self.fates(sandbox) == {"before_conversion": 1}

    @pytest.mark.parametrize(
        "changes",
        [
            {"original_event_data": None},
            {"original_event_data": {"event_id": "order-1"}},
            {"original_event_data": {"event_name": "Purchase"}},
            {"custom_data": {"currency": "EUR"}},
            {"custom_data": {"predicted_ltv": 0, "currency": "EUR"}},
            {"custom_data": {"predicted_ltv": 5}},
            {"action_source": "system_generated"},
        ],
        ids=lambda changes: json.dumps(changes)[:60],
    )
    def test_refuses_one_that_lacks_what_it_needs(
        self, api: Any, clock: Clock, changes: dict[str, Any]
    ) -> None:
        with pytest.raises(FacebookRequestError) as refused:
            send(api, self.append(clock, **changes))
        assert refused.value.api_error_code() == 100


class TestSignIn:
    @pytest.mark.parametrize(
        ("token", "status", "code", "subcode"),
        [("wrong", 401, 190, None), ("expired-token", 400, 190, 463), ("", 400, 104, None)],
    )
    def test_refuses_a_bad_token(
        self, sandbox: Sandbox, token: str, status: int, code: int, subcode: int | None
    ) -> None:
        with pytest.raises(FacebookRequestError) as refused:
            send(graph(sandbox.http_url, token), purchase())
        error = refused.value
        assert (error.http_status(), error.api_error_code(), error.api_error_subcode()) == (
            status,
            code,
            subcode,
        )

    def test_a_token_that_may_only_read_cannot_send(self, sandbox: Sandbox) -> None:
        reader = graph(sandbox.http_url, "read-only-token")
        assert reader.call("GET", ("me",)).json()["id"] == "3002"
        with pytest.raises(FacebookRequestError) as refused:
            send(reader, purchase())
        assert (refused.value.http_status(), refused.value.api_error_code()) == (403, 200)

    def test_checks_the_proof_of_the_app_secret(self, sandbox: Sandbox, api: Any) -> None:
        held(sandbox).app_secret = "secret"
        right = hmac.new(b"secret", b"sandbox-token", "sha256").hexdigest()
        assert api.call("GET", ("me",), params={"appsecret_proof": right}).json()["id"] == "3001"
        with pytest.raises(FacebookRequestError) as refused:
            api.call("GET", ("me",), params={"appsecret_proof": right[::-1]})
        assert refused.value.api_error_code() == 104

    def test_tells_what_a_token_may_do(self, api: Any) -> None:
        described = api.call("GET", ("debug_token",), params={"input_token": "expired-token"}).json()["data"]
        assert described["is_valid"] is False
        permissions = api.call("GET", ("me", "permissions")).json()["data"]
        assert {"permission": "ads_management", "status": "granted"} in permissions

    @pytest.mark.parametrize(("version", "code"), [("v24.0", 2635), ("v25.0", None), ("v27.0", 2500)])
    def test_answers_two_versions(self, sandbox: Sandbox, version: str, code: int | None) -> None:
        old = graph(sandbox.http_url, version=version)
        if code is None:
            assert old.call("GET", ("me",)).json()["id"]
            return
        with pytest.raises(FacebookRequestError) as refused:
            old.call("GET", ("me",))
        assert refused.value.api_error_code() == code

    @pytest.mark.parametrize("path", [("999", "events"), ("act_999", "customaudiences"), ("999",)])
    def test_knows_no_other_object(self, api: Any, path: tuple[str, ...]) -> None:
        with pytest.raises(FacebookRequestError) as refused:
            api.call("POST", path, params={"data": [purchase()]})
        assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (100, 33)

    def test_reads_the_account_and_its_dataset(self, api: Any) -> None:
        account = SdkAdAccount("act_1001", api=api).api_get(
            fields=["currency", "timezone_name", "tos_accepted"]
        )
        assert account["currency"] == "EUR"
        assert account["tos_accepted"]["value_based_custom_audience_tos"] == 1
        [pixel] = SdkAdAccount("act_1001", api=api).get_ads_pixels(fields=["name", "is_unavailable"])
        assert pixel["id"] == "2001"
        with pytest.raises(FacebookRequestError):
            AdsPixel("2001", api=api).api_get(fields=["no_such_field"])


def create(api: Any, **parameters: Any) -> CustomAudience:
    default = {"name": "Best customers", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    return SdkAdAccount("act_1001", api=api).create_custom_audience(params={**default, **parameters})


def change(
    api: Any,
    audience: CustomAudience,
    schema: list[str],
    rows: list[list[Any]],
    *,
    edge: str = "users",
    **more: Any,
) -> Any:
    session = more.pop("session", {"session_id": 1, "batch_seq": 1, "last_batch_flag": True})
    parameters = {
        "payload": {"schema": schema, "data": rows},
        **({"session": session} if session else {}),
        **more,
    }
    return api.call("POST", (audience["id"], edge), params=parameters).json()


def members(sandbox: Sandbox, audience: CustomAudience) -> dict[str, float | None]:
    shown = requests.get(
        f"{sandbox.http_url}/_sandbox/meta/audiences/{audience['id']}/members", timeout=10
    ).json()
    assert shown["total"] == len(shown["data"])
    return {next(iter(one["identifiers"].values())): one["value"] for one in shown["data"]}


def people(count: int, start: int = 0) -> list[list[Any]]:
    numbers = range(start, start + count)
    return [[f"c{number}", sha256(f"{number}@example.com"), float(number)] for number in numbers]


SCHEMA = ["EXTERN_ID", "EMAIL", "LOOKALIKE_VALUE"]


class TestAudiences:
    def test_is_made_filled_read_and_grown(self, sandbox: Sandbox, api: Any) -> None:
        audience = create(api, is_value_based=True)
        answer = CustomAudience(audience["id"], api=api).create_user(
            params={
                "payload": {"schema": SCHEMA, "data": people(120)},
                "session": {
                    "session_id": 7,
                    "batch_seq": 1,
                    "last_batch_flag": True,
                    "estimated_num_total": 120,
                },
            }
        )
        assert (answer["num_received"], answer["num_invalid_entries"]) == (120, 0)
        assert answer["invalid_entry_samples"] == []
        read = audience.api_get(fields=["name", "is_value_based", "operation_status", "subtype"])
        assert read["is_value_based"] is True
        assert read["operation_status"]["code"] == 200
        [session] = audience.get_sessions()
        assert session["num_received"] == "120"
        lookalike = create(
            api,
            subtype="LOOKALIKE",
            origin_audience_id=audience["id"],
            lookalike_spec={"type": "custom_ratio", "ratio": 0.03, "country": "DE"},
        )
        listed = SdkAdAccount("act_1001", api=api).get_custom_audiences(fields=["name"], params={"limit": 1})
        assert {one["id"] for one in listed} == {audience["id"], lookalike["id"]}

    def test_a_repeated_member_takes_the_newer_value(self, sandbox: Sandbox, api: Any) -> None:
        audience = create(api, is_value_based=True)
        change(api, audience, SCHEMA, people(2))
        session = {"session_id": 2, "batch_seq": 1, "last_batch_flag": True}
        change(api, audience, SCHEMA, [["c1", sha256("1@example.com"), 99.0]], session=session)
        assert members(sandbox, audience) == {"c0": 0.0, "c1": 99.0}
        summary = sandbox.state.summary()["meta"]["audiences"][audience["id"]]
        assert (summary["added"], summary["updated"]) == (2, 1)

    def test_members_without_an_external_id_are_known_by_their_hashes(
        self, sandbox: Sandbox, api: Any
    ) -> None:
        audience = create(api)
        rows = [[sha256("a@example.com"), sha256("491511")], [sha256("b@example.com"), ""]]
        change(api, audience, ["EMAIL", "PHONE"], rows)
        session = {"session_id": 2, "batch_seq": 1, "last_batch_flag": True}
        change(api, audience, ["PHONE"], [[sha256("491511")]], session=session)
        assert len(members(sandbox, audience)) == 2

    def test_members_are_removed_by_post_with_method_delete_and_by_delete(
        self, sandbox: Sandbox, api: Any
    ) -> None:
        audience = create(api, is_value_based=True)
        change(api, audience, SCHEMA, people(4))
        change(api, audience, ["EXTERN_ID"], [["c0"], ["nobody"]], session=None, method="DELETE")
        assert set(members(sandbox, audience)) == {"c1", "c2", "c3"}
        audience.delete_users(params={"payload": {"schema": ["EMAIL"], "data": [[sha256("1@example.com")]]}})
        assert set(members(sandbox, audience)) == {"c2", "c3"}
        everywhere = {"payload": {"schema": ["EXTERN_ID"], "data": [["c2"]]}}
        api.call("DELETE", ("act_1001", "usersofanyaudience"), params=everywhere)
        assert set(members(sandbox, audience)) == {"c3"}

    def test_invalid_entries_are_counted_and_left_out(self, sandbox: Sandbox, api: Any) -> None:
        audience = create(api, is_value_based=True)
        good = people(1)
        bad: list[list[Any]] = [
            ["c8", "joe@example.com", 1.0],
            ["c9", sha256("9@example.com"), -1.0],
            ["", "", 5.0],
            ["c7", HASH_OF_NOTHING, 1.0],
            ["c6", sha256("6@example.com"), "much"],
        ]
        answer = change(api, audience, SCHEMA, good + bad)
        assert (answer["num_received"], answer["num_invalid_entries"]) == (6, 5)
        assert set(answer["invalid_entry_samples"]) == {"1", "2", "3", "4", "5"}
        assert set(members(sandbox, audience)) == {"c0"}

    def test_some_entries_fail_on_request(self, sandbox: Sandbox, api: Any) -> None:
        audience = create(api, is_value_based=True)
        sandbox.faults.add(Fault(FaultKind.PARTIAL_FAILURE, platform="meta", path="/users"))
        assert change(api, audience, SCHEMA, people(20))["num_invalid_entries"] == 2
        assert len(members(sandbox, audience)) == 18

    def test_counts_a_session_across_its_batches_and_a_repeated_batch_once(
        self, sandbox: Sandbox, api: Any
    ) -> None:
        audience = create(api, is_value_based=True)
        for batch, last in ((1, False), (1, False), (2, True)):
            session = {"session_id": 5, "batch_seq": batch, "last_batch_flag": last}
            answer = change(api, audience, SCHEMA, people(10, batch * 10), session=session)
        assert answer["num_received"] == 20
        assert len(members(sandbox, audience)) == 20

    def test_discards_what_comes_90_minutes_after_a_session_began(
        self, sandbox: Sandbox, api: Any, clock: Clock
    ) -> None:
        audience = create(api, is_value_based=True)
        change(api, audience, SCHEMA, people(1), session={"session_id": 5, "batch_seq": 1})
        clock.advance(minutes=91)
        answer = change(api, audience, SCHEMA, people(1, 9), session={"session_id": 5, "batch_seq": 2})
        assert answer["num_received"] == 1
        assert set(members(sandbox, audience)) == {"c0"}

    def test_replaces_all_members_in_one_session(self, sandbox: Sandbox, api: Any, clock: Clock) -> None:
        audience = create(api, is_value_based=True)
        change(api, audience, SCHEMA, people(3))
        begin = {"session_id": 6, "batch_seq": 1, "last_batch_flag": False}
        change(api, audience, SCHEMA, people(2, 50), edge="usersreplace", session=begin)
        assert audience.api_get(fields=["operation_status"])["operation_status"]["code"] == 300
        other = {"session_id": 8, "batch_seq": 1}
        with pytest.raises(FacebookRequestError) as refused:
            change(api, audience, SCHEMA, people(1), edge="usersreplace", session=other)
        assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (2650, 1870145)
        end = {"session_id": 6, "batch_seq": 2, "last_batch_flag": True}
        change(api, audience, SCHEMA, people(1, 60), edge="usersreplace", session=end)
        assert set(members(sandbox, audience)) == {"c50", "c51", "c60"}
        assert audience.api_get(fields=["operation_status"])["operation_status"]["code"] == 200

    def test_a_sensitive_name_is_flagged_until_renamed(self, api: Any) -> None:
        audience = create(api, name="High income customers")
        assert audience.api_get(fields=["operation_status"])["operation_status"]["code"] == 471
        with pytest.raises(FacebookRequestError) as refused:
            change(api, audience, ["EXTERN_ID"], [["c1"]])
        assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (100, 1713230)
        audience.api_update(params={"name": "Best customers"})
        assert change(api, audience, ["EXTERN_ID"], [["c1"]])["num_received"] == 1

    def test_terms_have_to_be_accepted(self, sandbox: Sandbox, api: Any) -> None:
        account = held(sandbox).accounts["1001"]
        account.value_based_terms_accepted = False
        create(api)
        with pytest.raises(FacebookRequestError) as refused:
            create(api, is_value_based=True)
        assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (200, 1870034)
        account.terms_accepted = False
        with pytest.raises(FacebookRequestError) as refused:
            create(api)
        assert (refused.value.api_error_code(), refused.value.api_error_subcode()) == (200, 1870090)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"name": ""},
            {"customer_file_source": None},
            {"customer_file_source": "MY_SHOP"},
            {
                "subtype": "LOOKALIKE",
                "origin_audience_id": "1",
                "lookalike_spec": {"ratio": 0.01, "country": "DE"},
            },
        ],
        ids=lambda parameters: json.dumps(parameters)[:60],
    )
    def test_refuses_what_no_audience_can_be_made_of(self, api: Any, parameters: dict[str, Any]) -> None:
        with pytest.raises(FacebookRequestError) as refused:
            api.call(
                "POST",
                ("act_1001", "customaudiences"),
                params={"name": "n", "customer_file_source": "USER_PROVIDED_ONLY", **parameters},
            )
        assert refused.value.api_error_code() == 100

    @pytest.mark.parametrize(
        ("ratio", "country"), [(0.0, "DE"), (0.21, "DE"), (0.015, "DE"), (0.01, ""), (0.01, "Germany")]
    )
    def test_refuses_a_lookalike_out_of_its_bounds(self, api: Any, ratio: float, country: str) -> None:
        audience = create(api, is_value_based=True)
        change(api, audience, SCHEMA, people(100))
        spec = {"type": "custom_ratio", "ratio": ratio, "country": country}
        with pytest.raises(FacebookRequestError):
            create(api, subtype="LOOKALIKE", origin_audience_id=audience["id"], lookalike_spec=spec)

    def test_a_lookalike_needs_100_people(self, api: Any) -> None:
        audience = create(api, is_value_based=True)
        change(api, audience, SCHEMA, people(99))
        spec = {"type": "custom_ratio", "ratio": 0.01, "country": "DE"}
        with pytest.raises(FacebookRequestError):
            create(api, subtype="LOOKALIKE", origin_audience_id=audience["id"], lookalike_spec=spec)

    @pytest.mark.parametrize(
        ("schema", "rows", "session"),
        [
            (["EMAIL"], [[sha256("a"), "more"]], {"session_id": 1, "batch_seq": 1}),
            (["EMAIL"], [], {"session_id": 1, "batch_seq": 1}),
            (["E_MAIL"], [[sha256("a")]], {"session_id": 1, "batch_seq": 1}),
            (["EXTERN_ID", "LOOKALIKE_VALUE"], [["c1", 1.0]], {"session_id": 1, "batch_seq": 1}),
            (["EXTERN_ID"], [[f"c{n}"] for n in range(10_001)], {"session_id": 1, "batch_seq": 1}),
            (["EXTERN_ID"], [["c1"]], None),
            (["EXTERN_ID"], [["c1"]], {"session_id": 2**63, "batch_seq": 1}),
            (["EXTERN_ID"], [["c1"]], {"session_id": 1, "batch_seq": 0}),
            (["EXTERN_ID"], [["c1"]], {"session_id": 1, "batch_seq": 1, "last_batch_flag": "yes"}),
        ],
        ids=["width", "empty", "key", "value", "many", "no session", "session id", "batch", "flag"],
    )
    def test_refuses_what_is_no_batch_of_users(
        self, sandbox: Sandbox, api: Any, schema: list[str], rows: list[list[Any]], session: Any
    ) -> None:
        audience = create(api)
        with pytest.raises(FacebookRequestError) as refused:
            change(api, audience, schema, rows, session=session)
        assert refused.value.api_error_code() == 100
        assert members(sandbox, audience) == {}

    def test_a_session_belongs_to_one_audience(self, api: Any) -> None:
        change(api, create(api), ["EXTERN_ID"], [["c1"]])
        with pytest.raises(FacebookRequestError):
            change(api, create(api), ["EXTERN_ID"], [["c1"]])

    def test_a_deleted_audience_is_gone(self, api: Any) -> None:
        audience = create(api)
        audience.api_delete()
        with pytest.raises(FacebookRequestError) as refused:
            CustomAudience(audience["id"], api=api).api_get(fields=["name"])
        assert refused.value.api_error_subcode() == 33
