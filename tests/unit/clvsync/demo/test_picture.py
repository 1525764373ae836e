"""The picture for the README: well formed, self-contained, and of the runs that it was given."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from clvsync.demo.picture import drawn
from clvsync.demo.summary import OUTCOMES, Pass, SentValues

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def picture() -> str:
    counts = dict.fromkeys(OUTCOMES, 0) | {"accepted": 1_234, "skipped": 56}
    run = {"sync": "meta-purchases", "status": "done", "reasons": {"no_consent": 56}, "read": 1_290, **counts}
    values = np.linspace(10.0, 300.0, 1_234)
    return drawn([Pass("First run", [run])], [SentValues("meta-purchases", "EUR", values, values)])


def test_it_is_well_formed_and_holds_the_figures(picture: str) -> None:
    texts = [node.text or "" for node in ElementTree.fromstring(picture).iter(f"{SVG}text")]
    words = "\n".join(texts).replace("\N{NO-BREAK SPACE}", " ")
    for expected in ("clvsync demo", "First run", "1,234", "no consent", "tenth of conversions"):
        assert expected in words


def test_it_loads_nothing_from_elsewhere(picture: str) -> None:
    assert "@font-face" not in picture
    assert "Fira" not in picture
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", picture))
    assert not re.search(r"\b(?:xlink:)?href=", picture)
    assert "monospace" in picture


def test_blanks_before_numbers_are_kept(picture: str) -> None:
    assert 'xml:space="preserve"' in picture
