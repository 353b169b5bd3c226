"""
Users who take all that there is: the hub is there for everybody else. `script/exhaust` takes longer, and the time.
"""

from __future__ import annotations

import os

import pytest

from perijove.kit import cgroups
from tests.soak.exhaust import MEMORY, PROCESSES, config, exhaust
from tests.support.site import remove_system_users, running_site

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.getuid() != 0 or not any("memory" in tree.controllers for tree in cgroups.trees()),
        reason="needs root and control groups for memory",
    ),
]


def test_the_hub_answers_while_users_take_everything() -> None:
    with running_site(config()) as site:
        figures = exhaust(site, users=3, seconds=6)
    remove_system_users()

    assert figures.refused == 0
    # They are counted one group after the other, while processes come and go.
    assert figures.processes <= PROCESSES * 1.05
    assert figures.memory <= MEMORY
    assert figures.is_exhausted
