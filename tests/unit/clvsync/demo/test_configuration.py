"""The demo's configuration is one that loads, names columns that are there and points at the sandbox."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from clvsync.config.loading import STATE_KEY_VARIABLE, load
from clvsync.config.section import Section
from clvsync.config.sections import Config, GoogleConversionsSync, GoogleEndpoints, MetaEndpoints
from clvsync.config.units import Percentile
from clvsync.demo import market
from clvsync.demo.configuration import write_configuration
from tests.sample_shop import small_shop

GOOGLE = GoogleEndpoints(ads="localhost:50051", data_manager="http://127.0.0.1:8080")
META = MetaEndpoints(graph="http://127.0.0.1:8080")


def written(folder: Path) -> Path:
    return write_configuration(folder, google=GOOGLE, meta=META, certificate=folder / "certificate.pem")


def loaded(folder: Path) -> Config:
    return load(written(folder), {})


def test_it_loads_and_points_at_the_sandbox(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    google, meta = config.accounts.google, config.accounts.meta
    assert google is not None
    assert google.endpoints == GOOGLE
    assert google.certificate == tmp_path / "certificate.pem"
    assert google.first_poll == timedelta(0)
    assert google.customer_id == "123-456-7890"
    assert google.credentials.access_token is not None
    assert google.credentials.access_token.get_secret_value() == "sandbox-token"
    assert meta is not None
    assert meta.endpoints == META
    assert (meta.ad_account, meta.dataset) == ("act_1001", "2001")
    assert meta.access_token.get_secret_value() == "sandbox-token"
    assert config.warehouse.url.get_secret_value() == f"duckdb:///{tmp_path}/shop.duckdb"
    assert config.state.url == f"sqlite:///{tmp_path}/state/clvsync.db"


def test_the_syncs_are_the_demos(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert [sync.to for sync in config.syncs] == ["google.conversions", "meta.events", "meta.audience"]
    google = config.sync("google-new-customers")
    assert isinstance(google, GoogleConversionsSync)
    assert (google.conversion_action, google.carries, google.sent_by) == ("987", "acquisition", "us")
    assert (google.value.policy, google.value.cap) == ("scaled", Percentile(0.99))
    assert str(google.restate.after) == "0.1"


def test_clv_is_judged_by_the_margin_that_the_truth_is_made_with(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert float(config.clv.margin) == market.MARGIN
    assert float(config.clv.discount_rate) == market.DISCOUNT_RATE
    assert config.clv.horizon == timedelta(days=market.HORIZON_DAYS)
    assert config.business.exchange_rates == market.EXCHANGE_RATES


@pytest.mark.parametrize("table", ["customers", "orders", "spend"])
def test_every_mapped_column_is_in_the_shop(tmp_path: Path, table: str) -> None:
    path, _ = small_shop(tmp_path, customers=500)
    mapping: Section = getattr(loaded(tmp_path).tables, table)
    columns = mapping.model_dump(exclude_none=True)
    relation = columns.pop("relation")
    columns |= columns.pop("features", {})
    with duckdb.connect(str(path), read_only=True) as connection:
        there = {name for name, *_ in connection.execute(f"DESCRIBE {relation}").fetchall()}
    assert set(columns.values()) <= there


def test_the_truth_is_read_by_no_configuration(tmp_path: Path) -> None:
    tables = loaded(tmp_path).tables
    assert tables.spend is not None
    assert {tables.customers.relation, tables.orders.relation, tables.spend.relation} == {
        "customers",
        "orders",
        "ad_spend",
    }


def test_the_secrets_stand_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    text = written(tmp_path).read_text(encoding="utf-8")
    environment = tmp_path / ".env"
    assert "sandbox-token" not in text
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    key = loaded(tmp_path).state.key
    assert key is not None
    assert len(key.get_secret_value()) >= 32


def test_every_shop_has_its_own_state_key_and_keeps_it(tmp_path: Path) -> None:
    written(tmp_path / "one")
    written(tmp_path / "two")
    one, two = (tmp_path / name / ".env" for name in ("one", "two"))
    first = one.read_text()
    assert STATE_KEY_VARIABLE in first
    assert first != two.read_text()
    written(tmp_path / "one")
    assert one.read_text() == first


def test_an_address_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"google\.data_manager"):
        write_configuration(
            tmp_path, google=GoogleEndpoints(ads="localhost:1"), meta=META, certificate=Path("c.pem")
        )
