"""
The fuzz targets hold for everything in their corpus; `script/fuzz` looks for what they do not hold for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.seeds import CORPUS, seeds
from fuzz.targets import TARGETS

FILES = sorted(path for target in TARGETS for path in (CORPUS / target).iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_must_hold_holds_for_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_every_message_of_the_tables_is_in_the_corpus(target: str) -> None:
    """
    Run `python -m fuzz.seeds` after a change of the tables.
    """
    there = {path.name: path.read_bytes() for path in (CORPUS / target).iterdir()}

    assert {name for name, data in seeds(target).items() if there.get(name) != data} == set()
    assert len(there) >= 10


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_at_all_are_no_trouble(target: str) -> None:
    TARGETS[target](b"")
