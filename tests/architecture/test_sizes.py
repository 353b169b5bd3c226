"""
Budgets of size: a file is one idea, a function does one thing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

SOURCE: Final = Path(__file__).parents[2] / "src" / "perijove"
MAX_FILE: Final = 600
MAX_FUNCTION: Final = 80
MAX_CLASS: Final = 300
#: what may be longer, and why; an exception that is no longer needed fails the test
EXCEPTIONS: Final[dict[str, str]] = {}

FILES: Final = sorted(SOURCE.rglob("*.py"))


def too_long(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(SOURCE).as_posix()
    if len(text.splitlines()) > MAX_FILE:
        yield name
    for node in ast.walk(ast.parse(text)):
        limit = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if (node.end_lineno or node.lineno) - node.lineno + 1 > limit:
            yield f"{name}:{node.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_nothing_is_longer_than_its_budget(path: Path) -> None:
    assert [place for place in too_long(path) if place not in EXCEPTIONS] == []


def test_every_exception_is_still_needed() -> None:
    needed = {place for path in FILES for place in too_long(path)}

    assert set(EXCEPTIONS) <= needed
