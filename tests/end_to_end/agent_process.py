"""The agent as a process of its own, on a sample shop, beside a sandbox in this one."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from clvsync.config.loading import load
from clvsync.config.sections import GoogleEndpoints, MetaEndpoints
from clvsync.demo.configuration import write_configuration
from clvsync.ledger import Ledger
from clvsync.sync.opened import utc_now
from connectors.sandbox.server import Sandbox

COMMAND = Path(sys.executable).with_name("clvsync")
LEDGER = Path("state/clvsync.db")


def configure(folder: Path, sandbox: Sandbox, shop: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The demo's configuration in `folder`, sent to `sandbox`, its YAML changed by `change`."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / "sandbox-certificate.pem"
    shutil.copyfile(sandbox.certificate, certificate)
    path = write_configuration(
        folder,
        google=GoogleEndpoints(ads=sandbox.ads_endpoint, data_manager=sandbox.http_url),
        meta=MetaEndpoints(graph=sandbox.http_url),
        certificate=certificate,
        shop=str(shop),
    )
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(tree)
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def start(config: Path, *words: str) -> subprocess.Popen[str]:
    """`clvsync WORDS -c CONFIG`, with what it prints in the file `output` beside the configuration."""
    with (config.parent / "output").open("a", encoding="utf-8") as output:
        return subprocess.Popen(
            [str(COMMAND), *words, "-c", str(config)], stdout=output, stderr=subprocess.STDOUT, text=True
        )


def opened(config: Path) -> Ledger:
    """The ledger of a configuration; close it when done."""
    state = load(config).state
    assert state.key is not None
    return Ledger.open(state.url, state.key.get_secret_value().encode(), utc_now)


def asked(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query over the ledger of `folder`, beside whoever writes it; none while there is none yet."""
    if not (folder / LEDGER).exists():
        return []
    with closing(sqlite3.connect(f"file:{folder / LEDGER}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
