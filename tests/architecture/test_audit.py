"""
Every action that the audit log knows is recorded by somebody.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from perijove.hub.domain.audit import Action

_USE_CASES: Final = Path(__file__).parents[2] / "src" / "perijove" / "hub" / "usecases"
_RECORDED: Final = re.compile(r"\brecord\(\s*unit,\s*Action\.([A-Z_]+)")


@pytest.mark.parametrize("action", Action)
def test_every_action_is_recorded_by_a_use_case(action: Action) -> None:
    """
    What is done without being told cannot be found out later.
    """
    # The example in `record`'s own description does not count.
    others = [path for path in _USE_CASES.glob("*.py") if path.name != "audit.py"]
    recorded = {name for path in others for name in _RECORDED.findall(path.read_text("utf-8"))}

    assert action.name in recorded
