"""What is personal in a shop and secret in a configuration, and finding any of it in anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import numpy as np
from dotenv import dotenv_values

from clvsync.config.loading import STATE_KEY_VARIABLE
from clvsync.demo.configuration import TOKEN_VARIABLE
from tests.sample_shop import SHORTEST, personal_strings

_CLICKS = ("gclid", "gbraid", "wbraid", "fbclid", "fbp", "client_ip")


class Needles:
    """Strings to be found anywhere in bytes, however many they are: what begins with the same SHORTEST bytes
    as one of them is looked at closely."""

    def __init__(self, strings: Iterable[str]) -> None:
        encoded = {text.encode() for text in strings}
        assert min(map(len, encoded)) >= SHORTEST
        self._by_start: dict[int, list[bytes]] = {}
        for needle in encoded:
            self._by_start.setdefault(int.from_bytes(needle[:SHORTEST], "little"), []).append(needle)
        self._starts = np.array(sorted(self._by_start), dtype=np.uint64)

    @classmethod
    def of(cls, shop: Path, folder: Path) -> Needles:
        """Every e-mail, phone and full name of the shop, every click id, browser id and address of its
        orders, and from the folder's .env the access token and the state's key."""
        secret = dotenv_values(folder / ".env")
        named = {str(secret[name]) for name in (STATE_KEY_VARIABLE, TOKEN_VARIABLE)}
        return cls(personal_strings(shop) | _of_orders(shop) | named)

    def __len__(self) -> int:
        return sum(map(len, self._by_start.values()))

    def found_in(self, content: bytes | str) -> set[bytes]:
        """Those that stand in it somewhere."""
        content = content.encode() if isinstance(content, str) else content
        if len(content) < SHORTEST:
            return set()
        letters = np.lib.stride_tricks.sliding_window_view(np.frombuffer(content, np.uint8), SHORTEST)
        windows = np.ascontiguousarray(letters).view("<u8").ravel()
        places = np.flatnonzero(np.isin(windows, self._starts))
        return {
            needle
            for place, start in zip(places.tolist(), windows[places].tolist(), strict=True)
            for needle in self._by_start[start]
            if content.startswith(needle, place)
        }

    def found_in_files(self, paths: Iterable[Path]) -> set[bytes]:
        return {found for path in paths if path.is_file() for found in self.found_in(path.read_bytes())}


def _of_orders(shop: Path) -> set[str]:
    columns = " UNION ".join(f"SELECT {name} AS personal FROM orders" for name in _CLICKS)
    with duckdb.connect(str(shop), read_only=True) as connection:
        found = {text for (text,) in connection.execute(columns).fetchall() if text}
    return {text for text in found if len(text) >= SHORTEST}
