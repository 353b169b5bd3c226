"""
What can be configured, granted or reached stands in the documents, and their links lead somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from docs.generate import PAGES
from perijove.hub.usecases import environment as hub_environment
from perijove.wire import control, environment, supervision

ROOT: Final = Path(__file__).parents[2]
_VARIABLE: Final = re.compile(r"(JUPYTERHUB|JPY|PERIJOVE|CONFIGPROXY)_[A-Z_]+")
_LINK: Final = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)|(?:src|srcset)=\"([^\"]+)\"")
_DOCUMENTS: Final = sorted(chain(ROOT.glob("*.md"), ROOT.glob("docs/**/*.md")))


@pytest.mark.parametrize(("path", "make"), PAGES.items(), ids=lambda item: getattr(item, "name", ""))
def test_pages_made_from_code_say_what_the_code_says(path: Path, make: Callable[[], str]) -> None:
    """
    Run `python docs/generate.py` after a change.
    """
    assert path.read_text(encoding="utf-8") == make()


@pytest.mark.parametrize("module", [environment, control, supervision, hub_environment], ids=lambda m: m.__name__)
def test_every_variable_is_documented(module: ModuleType) -> None:
    page = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    names = {value for value in vars(module).values() if isinstance(value, str) and _VARIABLE.fullmatch(value)}

    assert {name for name in names if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_that_exist(document: Path) -> None:
    found = [link or source for link, source in _LINK.findall(document.read_text(encoding="utf-8"))]

    broken = [link for link in found if "://" not in link and not (document.parent / link).exists()]

    assert broken == []
