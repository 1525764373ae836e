"""What an audience's condition may say."""

from __future__ import annotations

import duckdb
import pytest

from clvsync.segments.conditions import condition
from connectors.errors import FixConfiguration


@pytest.fixture
def scores() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "create table scores as select i as customer_key, i::double as residual_clv, 2.0 * i as total_clv,"
        " i % 4 as orders, case when i % 2 = 0 then 'DE' end as country from range(1, 101) t(i)"
    )
    return connection


@pytest.mark.parametrize(
    ("where", "members"),
    [
        (None, 100),
        ("residual_clv >= p90", 10),
        ("p90 <= residual_clv", 10),
        ("residual_clv >= p99.5", 1),
        ("RESIDUAL_CLV > 50 and country = 'DE'", 25),
        ("country is null or orders in (0, 1)", 75),
        ("not (total_clv between 20 and 200)", 9),
    ],
)
def test_condition_chooses_members(
    scores: duckdb.DuckDBPyConnection, where: str | None, members: int
) -> None:
    chosen = condition("best", where, "scores").sql(dialect="duckdb")
    row = scores.execute(f"select count(*) from scores where {chosen}").fetchone()
    assert row == (members,)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("residul_clv > 3", "did you mean 'residual_clv'"),
        ("1 = 1; drop table scores", "not allowed"),
        ("(select 1) > 2", "not allowed"),
        ("read_csv('x') is null", "not allowed"),
        ("p90 > 2", "has to be compared with a column"),
        ("p90 > p80", "has to be compared with a column"),
        ("residual_clv >=", "not a condition"),
    ],
)
def test_anything_else_is_refused_with_the_sync_named(where: str, says: str) -> None:
    with pytest.raises(FixConfiguration, match=says) as refused:
        condition("best", where, "scores")
    assert "sync best" in str(refused.value)
