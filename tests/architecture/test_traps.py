"""
Every trap of the proxy that the documents list is tried by a test that names it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
_ROW: Final = re.compile(r"^\| (\d+) \|", re.MULTILINE)
_NAMED: Final = re.compile(r"[Tt]raps? ((?:\d+|to|and|,| )+)")
_RANGE: Final = re.compile(r"(\d+) to (\d+)")


def _numbers(text: str) -> set[int]:
    """The traps that a docstring names: `Trap 3`, `Traps 1, 2 and 7`, `Traps 1 to 6`."""
    found: set[int] = set()
    for named in _NAMED.findall(text):
        found |= {int(number) for number in re.findall(r"\d+", named)}
        for first, last in _RANGE.findall(named):
            found |= set(range(int(first), int(last) + 1))
    return found


LISTED: Final = [
    int(number)
    for number in _ROW.findall((ROOT / "docs" / "explanation" / "proxy-traps.md").read_text(encoding="utf-8"))
]
NAMED: Final = {
    number
    for kind in ("unit", "integration")
    for path in (ROOT / "tests" / kind / "proxy").rglob("test_*.py")
    for number in _numbers(path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("number", LISTED)
def test_every_trap_is_tried(number: int) -> None:
    assert number in NAMED


def test_the_list_is_whole_and_tests_name_nothing_else() -> None:
    assert list(range(1, len(LISTED) + 1)) == LISTED
    assert set(LISTED) >= NAMED
