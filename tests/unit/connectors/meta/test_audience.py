from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pyarrow as pa
import pytest
import responses

from connectors.errors import FixConfiguration
from connectors.meta.audience import MetaAudience, name_problem
from connectors.types import Action, Destination
from tests.unit.connectors.meta.rows import NOW, account, judged, member, members

BASE = "https://graph.facebook.com/v26.0"
LIST = f"{BASE}/act_123/customaudiences"
Form = dict[str, Any]


def audience(name: str = "Tier A", *, value_based: bool = True, **settings: Any) -> MetaAudience:
    return MetaAudience(account(), name, value_based=value_based, **settings)


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def forms(server: responses.RequestsMock) -> list[Form]:
    """What was posted, request by request."""
    return [
        {name: values[0] for name, values in parse_qs(str(call.request.body)).items()}
        for call in server.calls
        if call.request.method == "POST"
    ]


def known(**changes: Any) -> dict[str, Any]:
    return {"id": "777", "name": "Tier A", "subtype": "CUSTOM", "is_value_based": True} | changes


def prepared(server: responses.RequestsMock, **settings: Any) -> MetaAudience:
    server.get(LIST, json={"data": [known(is_value_based=settings.get("value_based", True))]})
    destination = audience(**settings)
    destination.prepare()
    return destination


def test_is_a_destination() -> None:
    destination = audience()
    assert isinstance(destination, Destination)
    assert destination.address == "meta/act_123/audience/Tier A"
    assert destination.capabilities.updates
    assert destination.capabilities.removes
    assert destination.capabilities.rows_per_request == 10_000


def test_an_audience_that_is_there_is_used(server: responses.RequestsMock) -> None:
    server.get(LIST, json={"data": [known(id="1", name="Tier B"), known()]})
    server.post(f"{BASE}/777/users", json={"num_received": 1, "num_invalid_entries": 0})
    destination = audience()
    destination.prepare()
    destination.prepare()
    destination.send(destination.shape(members(member()), NOW).table, Action.ADD)
    assert len(server.calls) == 2


def test_the_audience_is_looked_for_on_every_page(server: responses.RequestsMock) -> None:
    first = {"data": [known(id="1", name="B")], "paging": {"cursors": {"after": "c1"}, "next": f"{LIST}?x"}}
    server.get(LIST, json=first)
    server.get(LIST, json={"data": [known()], "paging": {"cursors": {"after": "c2"}}})
    audience().prepare()
    assert "after=c1" in urlsplit(str(server.calls[1].request.url)).query


def test_an_audience_that_is_missing_is_made(server: responses.RequestsMock) -> None:
    server.get(LIST, json={"data": []})
    server.post(LIST, json={"id": "778"})
    audience(description="Northwind tiers", labels=["HIGH_VALUE_CUSTOMERS"]).prepare()
    [form] = forms(server)
    assert form == {
        "name": "Tier A",
        "subtype": "CUSTOM",
        "customer_file_source": "USER_PROVIDED_ONLY",
        "description": "Northwind tiers",
        "is_value_based": "1",
        "audience_labels": '["HIGH_VALUE_CUSTOMERS"]',
    }


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([known(), known(id="779")], "2 audiences have this name"),
        ([known(is_value_based=False)], "has no values"),
        ([known(subtype="LOOKALIKE")], "not a customer list"),
        ([known(operation_status={"code": 471, "description": "Flagged"})], "flagged"),
    ],
)
def test_audiences_that_cannot_be_used(
    server: responses.RequestsMock, entries: list[dict[str, Any]], words: str
) -> None:
    server.get(LIST, json={"data": entries})
    with pytest.raises(FixConfiguration, match=words):
        audience().prepare()


@pytest.mark.parametrize("name", ["High income", "diabetes buyers", "CreditScore", "tier_A_wealthy"])
def test_names_that_suggest_health_or_money(name: str) -> None:
    assert name_problem(name)
    with pytest.raises(FixConfiguration, match="health or financial"):
        audience(name).prepare()


@pytest.mark.parametrize("name", ["Tier A", "best-customers", "Win-back 180 days", "High value customers"])
def test_names_in_common_use(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"ad_user_data": None}, "no_consent"),
        ({"ad_personalization": False}, "no_consent"),
        ({"email": None}, "no_identifier"),
        ({"email": None, "external_id": "c-1"}, "no_identifier"),
        ({"email": None, "first_name": "A", "last_name": "B"}, "no_identifier"),
        ({"email": None, "first_name": "A", "last_name": "B", "postcode": "1"}, None),
        ({"value": None}, "no_value"),
        ({"value": Decimal(-1)}, "no_value"),
        ({"value": Decimal(0)}, None),
    ],
)
def test_eligibility(changes: dict[str, Any], expected: str | None) -> None:
    rows = judged(members(member(**changes)))
    assert audience().eligibility(rows, NOW).to_pylist() == [expected]


def test_without_values_a_value_is_not_asked_for() -> None:
    plain = audience(value_based=False)
    rows = members(member(value=None))
    assert plain.eligibility(judged(rows), NOW).to_pylist() == [None]
    assert "LOOKALIKE_VALUE" not in plain.shape(rows, NOW).table.column_names


def test_members_on_the_wire(server: responses.RequestsMock) -> None:
    destination = prepared(server)
    server.post(f"{BASE}/777/users", json={"num_received": 2, "num_invalid_entries": 0})
    rows = members(
        member(1, phone="+49 30 901820", value=Decimal("12.345")), member(2, email="x@example.org")
    )
    destination.send(destination.shape(rows, NOW).table, Action.ADD)
    [form] = forms(server)
    payload = orjson.loads(form["payload"])
    assert payload["schema"] == ["EXTERN_ID", "EMAIL", "PHONE", "LOOKALIKE_VALUE"]
    first, second = payload["data"]
    assert first[0] == "customer-1"
    assert len(first[1]) == len(first[2]) == 64
    assert first[3] == 12.35
    assert second[2] == ""
    session = orjson.loads(form["session"])
    assert 0 <= session.pop("session_id") < 2**63
    assert session == {"batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 2}
    assert "example" not in str(forms(server))


def test_a_value_that_is_not_known_is_an_empty_cell(server: responses.RequestsMock) -> None:
    destination = prepared(server)
    server.post(f"{BASE}/777/users", json={"num_received": 2, "num_invalid_entries": 0})
    rows = members(member(1, value=None), member(2, value=Decimal(0)))
    destination.send(destination.shape(rows, NOW).table, Action.ADD)
    [form] = forms(server)
    assert [row[-1] for row in orjson.loads(form["payload"])["data"]] == ["", 0]


def test_each_request_is_a_session_of_its_own(server: responses.RequestsMock) -> None:
    destination = prepared(server)
    server.post(f"{BASE}/777/users", json={"num_received": 1, "num_invalid_entries": 0})
    shaped = destination.shape(members(member()), NOW).table
    ids = {destination.send(shaped, Action.ADD).request_id for _ in range(3)}
    assert len(ids) == 3


def test_members_are_taken_out_in_the_body(server: responses.RequestsMock) -> None:
    destination = prepared(server)
    server.post(f"{BASE}/777/users", json={"num_received": 1, "num_invalid_entries": 0})
    destination.send(pa.table({"key": ["customer-1"]}), Action.REMOVE)
    destination.send(destination.shape(members(member()), NOW).table, Action.REMOVE)
    by_key, by_identifiers = forms(server)
    assert by_key["method"] == "DELETE"
    assert orjson.loads(by_key["payload"]) == {"schema": ["EXTERN_ID"], "data": [["customer-1"]]}
    assert orjson.loads(by_identifiers["payload"])["schema"] == ["EXTERN_ID", "EMAIL"]
    assert all("payload" not in str(call.request.url) for call in server.calls)


def test_whom_the_source_no_longer_has_is_taken_out_by_key(server: responses.RequestsMock) -> None:
    destination = prepared(server)
    server.post(f"{BASE}/777/users", json={"num_received": 2, "num_invalid_entries": 0})
    erased = dict.fromkeys(members().column_names) | {"key": "customer-1"}
    withdrawn = member(2, ad_user_data=False, email="not an address")
    shaped = destination.shape(members(erased, withdrawn), NOW)
    assert shaped.rejections == ()
    destination.send(shaped.table, Action.REMOVE)
    [form] = forms(server)
    assert orjson.loads(form["payload"]) == {
        "schema": ["EXTERN_ID"],
        "data": [["customer-1"], ["customer-2"]],
    }


def test_invalid_entries_are_counted_and_their_samples_forgotten(server: responses.RequestsMock) -> None:
    destination = prepared(server)
    sample = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
    answer = {"num_received": 3, "num_invalid_entries": 2, "invalid_entry_samples": {sample: "bad"}}
    server.post(f"{BASE}/777/users", json=answer)
    rows = members(member(1), member(2), member(3))
    receipt = destination.send(destination.shape(rows, NOW).table, Action.ADD)
    assert receipt.unplaced == 2
    assert sample not in str(receipt)
    assert receipt.words == "3 received, 2 invalid"


@pytest.mark.parametrize(
    "changes", [{"email": "not an address"}, {"key": "ann@example.com"}, {"email": " ", "phone": "12"}]
)
def test_members_that_cannot_be_shaped(changes: dict[str, Any]) -> None:
    shaped = audience().shape(members(member(1), member(2, **changes)), NOW)
    assert [(one.index, one.reason) for one in shaped.rejections] == [(1, "bad_identifier")]
    assert shaped.table["key"].to_pylist() == ["customer-1"]


def test_values_in_two_currencies_cannot_be_compared() -> None:
    with pytest.raises(FixConfiguration, match="CHF, EUR"):
        audience().shape(members(member(1), member(2, currency="CHF")), NOW)


def not_prepared() -> None:
    destination = audience()
    destination.send(destination.shape(members(member()), NOW).table, Action.ADD)


@pytest.mark.parametrize(
    "make",
    [
        lambda: audience(labels=["VIP"]),
        lambda: audience(" "),
        lambda: MetaAudience(account(ad_account=None), "Tier A", value_based=True),
        not_prepared,
    ],
)
def test_wrong_use(make: Callable[[], object]) -> None:
    with pytest.raises(FixConfiguration):
        make()


def test_an_audience_given_by_id_is_not_looked_for(server: responses.RequestsMock) -> None:
    server.get(f"{BASE}/900", json=known(id="900", name="Somebody else's name"))
    audience(audience_id="900").prepare()
    assert len(server.calls) == 1
