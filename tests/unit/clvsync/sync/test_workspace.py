from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from clvsync.sync.workspace import open_workspace

MARK = "customer-of-the-shop-"


def spilled(workspace: duckdb.DuckDBPyConnection) -> list[Path]:
    (folder,) = workspace.execute("SELECT current_setting('temp_directory')").fetchone() or ("",)
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def test_what_does_not_fit_in_memory_is_spilled_and_cannot_be_read_there() -> None:
    rows = 1_500_000
    with open_workspace("64MB") as workspace:
        workspace.execute(
            f"""
            CREATE TABLE kept AS
            SELECT '{MARK}' || md5(i::VARCHAR) AS key, i AS number FROM range({rows}) AS t(i)
            """
        )
        files = spilled(workspace)
        assert sum(path.stat().st_size for path in files) > 10_000_000
        assert not any(MARK.encode() in path.read_bytes() for path in files)
        assert workspace.execute("SELECT count(key), sum(number) FROM kept").fetchone() == (
            rows,
            rows * (rows - 1) // 2,
        )
    assert not any(path.exists() for path in files)


def test_nothing_is_drawn_and_days_are_those_of_utc(capfd: pytest.CaptureFixture[str]) -> None:
    with open_workspace("64MB") as workspace:
        assert workspace.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
        workspace.execute("SELECT sum(hash(i)) FROM range(3000000) AS t(i)").fetchall()
    assert capfd.readouterr().out == ""
