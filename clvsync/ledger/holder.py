"""Who holds a lease: one process on one machine, under a name that tells later whether it still lives."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

_UNKNOWN = "-"


def this_process() -> str:
    """A name for this process, unlike any other: `machine/process/start/nonce`."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_started(pid) or _UNKNOWN}/{secrets.token_hex(3)}"


def has_ended(holder: str) -> bool:
    """True where `holder` was a process of this machine and is no more; False where that cannot be told."""
    machine, *rest = holder.split("/")
    if machine != _machine() or len(rest) != 3 or not rest[0].isdecimal():
        return False
    pid, started = int(rest[0]), rest[1]
    if started != _UNKNOWN:
        return _started(pid) != started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """The host and, where the system tells, its boot and the process's namespace: containers may share a
    host's name and number their processes alike."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}:{boot}:{namespace}"


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since boot; None where there is none, or where the
    system does not tell. A process that is dead and only not yet buried by its parent is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # proc(5): the state and start time are fields 3 and 22; the name, field 2, is in parentheses.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
