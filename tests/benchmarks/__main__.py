"""Every benchmark, or those that are named: `python -m tests.benchmarks [name …]`.

Each runs in a process of its own, so that none finds what another has loaded or left in memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The modules here that have something to measure."""
    return sorted(
        path.stem for path in FOLDER.glob("[!_]*.py") if "\ndef main(" in path.read_text(encoding="utf-8")
    )


def main(asked: list[str]) -> int:
    """Run them and print how each ended; 0 where all went well."""
    unknown = set(asked) - set(names())
    if unknown:
        print(f"No benchmark is called {', '.join(sorted(unknown))}. There are: {', '.join(names())}.")
        return 2
    ended = []
    for name in asked or names():
        print(f"\n══ {name} " + "═" * (76 - len(name)), flush=True)
        started = time.perf_counter()
        status = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode
        ended.append((name, time.perf_counter() - started, status))
    print(f"\n{'benchmark':<24}{'seconds':>9}  ended, on {os.cpu_count()} cores")
    for name, seconds, status in ended:
        print(f"{name:<24}{seconds:>9.1f}  {'well' if status == 0 else f'with exit code {status}'}")
    return int(any(status for *_, status in ended))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
