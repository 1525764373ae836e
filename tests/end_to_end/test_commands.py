"""The command line as a program uses it: one JSON document, an exit code, and nothing personal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.sandbox.faults import Fault, FaultKind, Platform
from connectors.sandbox.server import Sandbox
from tests.end_to_end import plain_shop
from tests.end_to_end.agent_process import COMMAND
from tests.end_to_end.bench import AUDIENCE, GOOGLE, Bench, adds_up
from tests.end_to_end.personal import Needles
from tests.fakes import Clock
from tests.sample_shop import NOW, small_shop

HEAVY = ("duckdb", "pyarrow", "google", "facebook_business", "pandas", "numpy", "scipy", "sqlalchemy")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What standard output holds, which must be one JSON document and nothing else."""
        return json.loads(self.out)


def call(*words: str, config: Path | None = None) -> Said:
    """The command as a process of its own."""
    named = ["-c", str(config)] if config else []
    done = subprocess.run(
        [str(COMMAND), *words, *named], capture_output=True, text=True, timeout=240, check=False
    )
    assert "Traceback" not in done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def test_each_command_prints_one_json_document_and_nothing_personal(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    shop, _ = small_shop(tmp_path, customers=800, now=now)
    with duckdb.connect(str(shop), read_only=True) as connection:
        [(customer,)] = connection.execute(
            "SELECT customer_id FROM orders GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()
    with Sandbox() as sandbox:
        path = Bench(tmp_path, shop, sandbox, Clock(now)).configure()

        def asked(*words: str) -> Said:
            return call(*words, "--json", config=path)

        fitted = asked("clv", "fit")
        ran = asked("run")
        others = {
            words: asked(*words)
            for words in (
                ("preview", GOOGLE, "--rows", "50"),
                ("status",),
                ("runs",),
                ("check",),
                ("explain", customer),
                ("rejects", "list", "--limit", "500"),
            )
        }
        for_people = [call(*words, config=path) for words in (("runs",), ("rejects", "list"))]
    assert fitted.code == 0
    assert fitted.document["customers"] > 500
    runs = {run["sync"]: run for run in ran.document["runs"]}
    assert ran.code == 1
    for run in runs.values():
        adds_up(run)
    assert runs[GOOGLE]["rejected"] > 0 < runs[GOOGLE]["pending"]
    assert set(runs[GOOGLE]["value_sent"]) == {"EUR"}
    for words, said in others.items():
        assert said.code == 0, (words, said.err)
        assert isinstance(said.document, dict)
    assert {each["sync"] for each in others["status",].document["syncs"]} == set(runs)
    assert {each["run_id"] for each in others["runs",].document["runs"]} == {
        run["run_id"] for run in runs.values()
    }
    [listed] = [said for words, said in others.items() if words[0] == "rejects"]
    assert len(listed.document["rejects"]) == sum(run["rejected"] for run in runs.values())
    assert all(each["remedy"] for each in listed.document["rejects"])
    needles = Needles.of(shop, tmp_path)
    for said in (fitted, ran, *others.values(), *for_people):
        assert needles.found_in(said.out + said.err) == set()


def test_the_exit_code_says_how_it_went(tmp_path: Path) -> None:
    """0 all well, 1 rejects, 2 configuration, 3 credentials, 4 held by a brake."""
    clock = Clock(datetime.now(UTC) - timedelta(days=16))
    shop = plain_shop.build(tmp_path, customers=100, now=clock.now)
    with Sandbox(clock=clock) as sandbox:
        bench = Bench(tmp_path, shop, sandbox, clock)
        path = bench.configure(plain_shop.configuration)
        for _ in range(16):
            plain_shop.advance(shop, clock.now, new=25, every=10**12)
            bench.run(GOOGLE)
            clock.forward(timedelta(days=1))
        clock.now = datetime.now(UTC)
        well = call("run", GOOGLE, "--json", config=path)
        assert (well.code, well.document["runs"][0]["status"]) == (0, "done")

        plain_shop.advance(shop, clock.now, new=250, every=10**12)
        held = call("run", GOOGLE, "--json", config=path)
        [run] = held.document["runs"]
        assert (held.code, run["status"], run["held"], run["pending"]) == (4, "held", 250, 0)
        assert f"clvsync release {run['run_id']}" in run["message"]
        released = call("release", run["run_id"], "--json", config=path)
        assert (released.code, released.document) == (0, {"released": run["run_id"]})
        sent = call("run", GOOGLE, "--json", config=path)
        assert (sent.code, sent.document["runs"][0]["pending"]) == (0, 250)

        sandbox.faults.add(Fault(FaultKind.BAD_TOKEN, Platform.META, times=None))
        refused = call("run", AUDIENCE, "--json", config=path)
        assert (refused.code, refused.document["runs"][0]["status"]) == (3, "failed")
        sandbox.faults.clear()
        with duckdb.connect(str(shop)) as connection:
            connection.execute("ALTER TABLE customers DROP COLUMN email")
        changed = call("run", GOOGLE, "--json", config=path)
        assert (changed.code, changed.document["runs"][0]["status"]) == (2, "failed")
        assert "email" in changed.document["runs"][0]["message"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run"], "no such file"),
        (["run", "google-new-custommers"], "google-new-customers"),
        (["walk"], "walk"),
    ],
)
def test_what_cannot_be_understood_ends_with_2(tmp_path: Path, words: list[str], named: str) -> None:
    config = tmp_path / "clvsync.yaml"
    if len(words) > 1:
        sandbox = Sandbox()
        with sandbox:
            bench = Bench(tmp_path, plain_shop.build(tmp_path, customers=1), sandbox, Clock(NOW))
            bench.configure(plain_shop.configuration)
    said = call(*words, config=config)
    assert said.code == 2
    assert said.out == ""
    assert named in " ".join(said.err.split())


def test_the_schema_is_a_json_document() -> None:
    said = call("schema")
    assert said.code == 0
    assert "syncs" in said.document["properties"]


def test_the_sandbox_says_where_it_stands() -> None:
    process = subprocess.Popen(
        [str(COMMAND), "sandbox", "--http-port", "0", "--grpc-port", "0", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    while "}" not in said:
        said += process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    said += process.stdout.read()
    assert process.wait(30) == 0
    assert json.loads(said)["http"].startswith("http://127.0.0.1:")


@pytest.mark.slow
def test_the_demo_prints_one_json_document(tmp_path: Path) -> None:
    said = call("demo", "--customers", "6000", "--folder", str(tmp_path), "--json")
    assert said.code == 0
    assert len(said.document["runs"]) == 6
    for run in said.document["runs"]:
        adds_up(run)


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from clvsync.cli.main import app\n"
        "try:\n    app(['--help'])\n"
        "except SystemExit as end:\n"
        f"    print(end.code, *(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Commands" in done.stdout
    assert done.stderr.split() == ["0"]
