"""
What can be configured, granted or reached stands in the documents.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from docs.generate import PAGES


@pytest.mark.parametrize(("path", "make"), PAGES.items(), ids=lambda item: getattr(item, "name", ""))
def test_pages_made_from_code_say_what_the_code_says(path: Path, make: Callable[[], str]) -> None:
    """
    Run `python docs/generate.py` after a change.
    """
    assert path.read_text(encoding="utf-8") == make()
