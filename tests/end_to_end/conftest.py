"""A shop, a sandbox and the configuration between them, fresh for every test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sandbox.server import Sandbox
from tests.end_to_end.bench import Bench
from tests.fakes import Clock
from tests.sample_shop import NOW, small_shop


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample shop that ends at NOW. Copy it before it is changed."""
    path, _ = small_shop(tmp_path_factory.mktemp("shop"))
    return path


@pytest.fixture
def clock() -> Clock:
    """The clock of the agent and of both platforms."""
    return Clock(NOW)


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, built_shop: Path, sandbox: Sandbox, clock: Clock) -> Bench:
    """Configured as the demo is."""
    shop = Path(shutil.copy(built_shop, tmp_path / "shop.duckdb"))
    bench = Bench(tmp_path, shop, sandbox, clock)
    bench.configure()
    return bench
