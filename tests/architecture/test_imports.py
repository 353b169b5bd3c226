"""
The import rule of ARCHITECTURE.md, as contracts in pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_the_import_rule_holds() -> None:
    """
    Programs meet only in `wire`; rules are inside and edges outside; pure packages touch no world.
    """
    root = Path(__file__).parents[2]

    assert lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS
