"""
The test tree mirrors the source tree: every pure file with logic has a test file of its own.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "perijove"
PURE: Final = ("hub/domain", "hub/scopes", "hub/oauth", "proxy/core", "wire", "config")
#: pure files without a test of their own, and where they are tested instead
EXCEPTIONS: Final[dict[str, str]] = {
    "config/check.py": "tests/unit/config/test_sources.py: reading and checking are one story",
    "config/traits.py": "tests/unit/config/test_sources.py: declarations",
    "config/settings.py": "values without rules",
}


def has_logic(path: Path) -> bool:
    """Whether *path* defines a function that does more than answer a constant or a shape."""
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return any(isinstance(step, ast.If | ast.For | ast.While | ast.Try) for f in functions for step in ast.walk(f))


FILES: Final = sorted(
    path for part in PURE for path in (SOURCE / part).rglob("*.py") if path.name != "__init__.py" and has_logic(path)
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_every_pure_file_with_logic_has_its_test(path: Path) -> None:
    name = path.relative_to(SOURCE)
    test = ROOT / "tests" / "unit" / name.with_name(f"test_{name.name}")

    assert test.is_file() or name.as_posix() in EXCEPTIONS
