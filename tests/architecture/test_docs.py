"""
What can be configured, granted or reached stands in the documents, and their links lead somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from docs.generate import PAGES
from perijove.hub.domain.audit import Action
from perijove.hub.usecases import environment as hub_environment
from perijove.proxy.core.limits import Limit, Limits
from perijove.proxy.core.statistics import Scrape, Statistics
from perijove.proxy.metrics import exposition
from perijove.wire import control, environment, supervision

#: field of `Limits` -> options that set it
_FLAGS: Final = {
    "head": ["--max-head"],
    "line": ["--max-line"],
    "fields": ["--max-fields"],
    "rate": ["--min-rate"],
    "rate_window": ["--rate-window"],
    "clients": ["--max-clients"],
    "per_address": ["--max-per-address"],
    "websockets": ["--max-websockets"],
    "per_target": ["--max-per-target"],
    "routes": ["--max-routes"],
}
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


def test_every_limit_of_the_proxy_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "proxy-limits.md").read_text(encoding="utf-8")

    assert [limit.value for limit in Limit if f"| `{limit.value}` |" not in page] == []
    assert [option for limit in fields(Limits) for option in _FLAGS[limit.name] if f"`{option}`" not in page] == []


def test_every_action_of_the_audit_log_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "audit-log.md").read_text(encoding="utf-8")

    assert [action.value for action in Action if f"`{action.value}`" not in page] == []


def test_every_metric_of_the_proxy_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    scrape = Scrape(statistics=Statistics(), routes=0, door=False, workers=1, restarts=0, api_calls={}, api_statuses={})
    names = re.findall(r"^# TYPE (\S+)", exposition(scrape).decode(), re.MULTILINE)

    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in page and f"`{name}{{" not in page] == []


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_that_exist(document: Path) -> None:
    found = [link or source for link, source in _LINK.findall(document.read_text(encoding="utf-8"))]

    broken = [link for link in found if "://" not in link and not (document.parent / link).exists()]

    assert broken == []
