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

SHOP = "shop.duckdb"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sample shop that ends at NOW and a ledger that holds its fitted model, nothing else.
    Copy it before it is changed."""
    folder = tmp_path_factory.mktemp("built")
    shop, _ = small_shop(folder)
    clock = Clock(NOW)
    with Sandbox(clock=clock) as sandbox:
        bench = Bench(folder, shop, sandbox, clock)
        bench.configure()
        with bench.business() as business:
            business.fit()
    return folder


@pytest.fixture
def clock() -> Clock:
    """The clock of the agent and of both platforms."""
    return Clock(NOW)


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, built: Path, sandbox: Sandbox, clock: Clock) -> Bench:
    """Configured as the demo is, with a model but nothing sent yet."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    bench = Bench(tmp_path, tmp_path / SHOP, sandbox, clock)
    bench.configure()
    return bench
