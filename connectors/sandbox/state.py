"""What the stand-in platforms hold, in memory, and the log of the requests they were sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar, cast

REQUESTS_KEPT = 10_000


class Part(Protocol):
    """What one platform holds. Made without arguments unless `State.seed` says how."""

    name: ClassVar[str]

    def summary(self) -> dict[str, Any]:
        """Counts per destination, for a person and for tests; JSON types only."""


P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request: its platform, its path without the query, the status answered (None: the connection was
    dropped), when it came, how many rows it carried, and the fault that struck it."""

    platform: str
    path: str
    status: int | str | None
    when: datetime
    rows: int = 0
    fault: str | None = None


class State:
    """One instance of each platform's part, under one lock.

    Take `lock` around everything that reads or changes a part.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._parts: dict[type[Part], Part] = {}
        self._seeds: dict[type[Part], Callable[[], Part]] = {}
        self._requests: deque[LoggedRequest] = deque(maxlen=REQUESTS_KEPT)

    def seed(self, kind: type[P], make: Callable[[], P]) -> None:
        """Make `kind` with `make` from now on, also after a reset."""
        with self.lock:
            self._seeds[kind] = make
            self._parts.pop(kind, None)

    def part(self, kind: type[P]) -> P:
        """The one instance of `kind`, made at its first use. Ask again after a reset."""
        with self.lock:
            if kind not in self._parts:
                make: Callable[[], Part] = self._seeds.get(kind, kind)
                self._parts[kind] = make()
            return cast(P, self._parts[kind])

    def log(
        self,
        platform: str,
        path: str,
        status: int | str | None,
        when: datetime,
        *,
        rows: int = 0,
        fault: str | None = None,
    ) -> None:
        with self.lock:
            self._requests.append(LoggedRequest(platform, path, status, when, rows, fault))

    def requests(self) -> tuple[LoggedRequest, ...]:
        """The newest requests, oldest first."""
        with self.lock:
            return tuple(self._requests)

    def reset(self, *, keep: tuple[type[Part], ...] = ()) -> None:
        """Forget everything but the parts named in `keep`."""
        with self.lock:
            self._parts = {kind: part for kind, part in self._parts.items() if kind in keep}
            self._requests.clear()

    def summary(self) -> dict[str, Any]:
        with self.lock:
            parts = {part.name: part.summary() for part in self._parts.values()}
            return {**parts, "requests": len(self._requests)}
