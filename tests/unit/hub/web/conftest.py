from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableSequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


@pytest.fixture(autouse=True)
def logged() -> Iterator[MutableSequence[Any]]:
    """
    What was logged, instead of printing it.
    """
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    async with TaskGroup("rig") as group:
        yield group


@pytest.fixture
async def rig(tasks: TaskGroup) -> Rig:
    """
    A hub with an administrator (ada) and two users (bob, eve).
    """
    rig = Rig(tasks=tasks, settings=make_settings())
    await rig.add_user("ada", admin=True)
    await rig.add_user("bob")
    await rig.add_user("eve")
    return rig
