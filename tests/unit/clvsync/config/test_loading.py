"""clvsync.yaml: what is read, and what a person is told when it is wrong."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from clvsync.config.loading import ConfigurationInvalid, load
from clvsync.config.reference import reference
from clvsync.config.sections import Config, GoogleConversionsSync
from clvsync.config.units import Percentile
from connectors.errors import FixConfiguration

GOOD = """\
business: {name: Shop, currency: EUR, timezone: Europe/Berlin, consent: {default: opt_in, US: opt_out}}
state: sqlite:///state/clvsync.db
warehouse: {url: "duckdb:///shop.duckdb"}
tables:
  customers: {from: customers, key: customer_id, email: email}
  orders: {from: orders, key: order_id, customer: customer_id, time: ordered_at, value: net}
clv: {horizon: 365 days, margin: 0.42, discount_rate: 10%}
accounts:
  google: {customer_id: 123-456-7890, credentials: {access_token: "${TOKEN}"}}
syncs:
  - name: new-customers
    from: orders
    to: google.conversions
    carries: acquisition
    sent_by: us
    conversion_action: "987"
    value: {policy: scaled, cap: p99}
    restate: {after: 10%}
    schedule: every 4 hours
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "clvsync.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationInvalid) as refused:
        load(written(folder, text), {"TOKEN": "t"})
    return [problem.removeprefix(str(folder)) for problem in refused.value.problems]


def test_a_whole_configuration_is_read(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD), {"TOKEN": "very-secret", "CLVSYNC_STATE_KEY": "k"})
    sync = config.sync("new-customers")
    assert isinstance(sync, GoogleConversionsSync)
    assert config.clv.horizon == timedelta(days=365)
    assert config.clv.margin == Decimal("0.42")
    assert config.clv.discount_rate == Decimal("0.1")
    assert sync.value.cap == Percentile(0.99)
    assert sync.schedule is not None
    assert sync.schedule.every == timedelta(hours=4)
    assert config.state.url == f"sqlite:///{tmp_path}/state/clvsync.db"
    assert config.state.key is not None
    assert "very-secret" not in repr(config)


def test_dotenv_beside_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=from-file\nCLVSYNC_STATE_KEY=from-file\n")
    config = load(written(tmp_path, GOOD), {"TOKEN": "from-environment"})
    assert config.accounts.google is not None
    token = config.accounts.google.credentials.access_token
    assert token is not None
    assert token.get_secret_value() == "from-environment"
    assert config.state.key is not None
    assert config.state.key.get_secret_value() == "from-file"


def test_a_secret_file_can_hold_a_value(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("in-a-file\n")
    config = load(written(tmp_path, GOOD.replace("${TOKEN}", "${file:token}")), {})
    assert config.accounts.google is not None
    token = config.accounts.google.credentials.access_token
    assert token is not None
    assert token.get_secret_value() == "in-a-file"


@pytest.mark.parametrize(
    ("change", "into", "line", "says"),
    [
        ("timezone:", "timezne:", 1, "business has no key 'timezne'; did you mean 'timezone'?"),
        ("policy: scaled", "polcy: scaled", 17, "syncs.0.value has no key 'polcy'; did you mean 'policy'?"),
        ("horizon: 365 days", "horizon: a year", 7, "not a duration"),
        ("horizon: 365 days", "horizon: 0 days", 7, "greater than"),
        ("name: Shop,", "name: Shop, exchange_rates: {USD: 0},", 1, "greater than 0"),
        ("carries: acquisition", "carries: everything", 14, "'acquisition' or 'increment'"),
        ("    sent_by: us\n", "", 11, "the key 'sent_by' is required"),
        ("Europe/Berlin", "Europe/Berlln", 1, "is not a time zone"),
        ("every 4 hours", "now and then", 19, "is not a schedule"),
        ("to: google.conversions", "to: gogle.conversions", 11, "google.conversions"),
        (
            "  google: {",
            "  meta: {ad_account: act_1, access_token: x}\n  # {",
            1,
            "accounts.google is absent",
        ),
        ("margin: 0.42", "margin: 1.42", 7, "less than or equal to 1"),
        ("name: Shop", "name: Shop, name: Shop", 1, "stands twice"),
        (
            "${TOKEN}",
            "${TOKNE}",
            9,
            "the environment has no TOKNE; set it there or in .env; did you mean TOKEN?",
        ),
    ],
)
def test_an_error_names_file_line_and_what_to_write(
    tmp_path: Path, change: str, into: str, line: int, says: str
) -> None:
    found = problems(tmp_path, GOOD.replace(change, into, 1))
    assert any(problem.startswith(f"/clvsync.yaml:{line}:") and says in problem for problem in found), found


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, "business: {name: Shop\nstate: x\n")[0].startswith("/clvsync.yaml:")


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("a: b\nbusiness: {name: Caf\xe9}\n".encode("latin-1"), 2, "UTF-8"),
        (b"a: b\nbusiness: {name: \x01}\n", 2, "not allowed"),
        (b"a: b\n? [a, b]\n: c\n", 2, "a key has to be one word"),
        (b"a: &x\n  b: *x\n", 1, "refers to itself"),
        (b"a: !!python/object:os.system x\n", 1, "cannot be read as"),
        (b"a: !!int abc\n", 1, "cannot be read as"),
    ],
)
def test_what_is_no_plain_yaml_names_its_line(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    path = tmp_path / "clvsync.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationInvalid) as refused:
        load(path, {})
    assert any(each.startswith(f"{path}:{line}:") and says in each for each in refused.value.problems)


def test_no_secret_is_in_an_error(tmp_path: Path) -> None:
    text = GOOD.replace('"${TOKEN}"', '"${TOKEN}", refresh_token: "${TOKEN}"')
    with pytest.raises(ConfigurationInvalid) as refused:
        load(written(tmp_path, text), {"TOKEN": "very-secret"})
    assert "very-secret" not in str(refused.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match=r"clvsync\.example\.yaml"):
        load(tmp_path / "absent.yaml")


def test_the_json_schema_names_every_section() -> None:
    schema = Config.model_json_schema(by_alias=True)
    assert set(schema["required"]) == {"business", "warehouse", "tables", "clv", "accounts", "syncs"}
    assert schema["additionalProperties"] is False


def test_the_page_of_the_configuration_is_true() -> None:
    page = Path(__file__).parents[4] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == reference()
