"""The shop, in an embedded warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.types import Source
from tests.shop import duckdb_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder: Path = tmp_path_factory.mktemp("shop")
    opened = duckdb_source(folder)
    yield opened
    opened.close()
