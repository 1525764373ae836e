"""A sample shop whose every sync has run once, shared by tests that change nothing of it but the clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sandbox.server import Sandbox
from tests.end_to_end.bench import Bench
from tests.fakes import Clock
from tests.sample_shop import NOW, small_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample shop that ends at NOW. Copy it before it is changed."""
    path, _ = small_shop(tmp_path_factory.mktemp("shop"), customers=600)
    return path


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Iterator[Bench]:
    """Configured as the demo is; every sync has run once, at NOW."""
    clock = Clock(NOW)
    with Sandbox(clock=clock) as sandbox:
        bench = Bench(tmp_path_factory.mktemp("delivered"), shop, sandbox, clock)
        bench.configure()
        bench.run()
        yield bench
