"""Addresses: which engine, which path, and what is said where there is none."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoints
from pathlib import Path

import pytest

from connectors.errors import FixConfiguration
from connectors.sources.opening import open_source
from connectors.types import Source


@pytest.mark.parametrize(
    "address", ["duckdb:///shop.duckdb", "duckdb:///{}/shop.duckdb", "duckdb:////{}/shop.duckdb"]
)
def test_a_file_by_its_relative_or_absolute_path(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop.duckdb").touch()
    monkeypatch.chdir(tmp_path)
    source: Source = open_source(address.format(tmp_path), name="warehouse")
    assert source.dialect == "duckdb"
    assert repr(source) == "DuckDBFile('warehouse')"


def test_a_folder_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    assert open_source(f"files:///{tmp_path}/my%20data", name="warehouse").name == "warehouse"
    assert open_source(f"files:///{tmp_path}/my data", name="warehouse").name == "warehouse"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("duckdb:///nowhere/shop.duckdb", "there is neither /nowhere/shop.duckdb nor "),
        ("files:///nowhere", "there is neither /nowhere nor "),
        ("nowhere", "there is no file or folder nowhere"),
        ("mongodb://localhost/shop", "'mongodb' is no engine that can be read"),
    ],
)
def test_what_is_not_there_is_named(address: str, message: str) -> None:
    with pytest.raises(FixConfiguration) as caught:
        open_source(address, name="warehouse")
    assert message in str(caught.value)


def test_a_missing_driver_names_what_to_install() -> None:
    source = open_source("snowflake://anna:hunter2@account/db", name="warehouse")
    finding = source.check()[0]
    assert "driver for snowflake is not installed" in finding.found
    assert "clvsync[snowflake]" in finding.remedy
    assert "hunter2" not in repr(source) + str(finding)


def test_a_missing_ibis_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.ibis_engine.entry_points", lambda group: EntryPoints())
    with pytest.raises(FixConfiguration, match=r"Install clvsync\[bigquery\]"):
        open_source("bigquery://project/data", name="warehouse")


def test_a_missing_postgresql_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "connectors.sources.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    with pytest.raises(FixConfiguration, match=r"clvsync\[postgres\]"):
        open_source("postgresql://anna:hunter2@localhost/shop", name="warehouse")


def test_a_time_out_is_a_number() -> None:
    with pytest.raises(FixConfiguration, match="statement_timeout"):
        open_source("postgresql://localhost/shop", name="warehouse", options={"statement_timeout": "soon"})


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    program = (
        "import sys; import connectors.sources.opening;"
        "print([m for m in ('duckdb', 'ibis', 'adbc_driver_manager', 'sqlglot') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
