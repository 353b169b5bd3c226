"""
Use cases over the store in memory and imaginary surroundings, in time that passes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from perijove.hub.usecases.testing_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """
    Sleeps and timeouts cost nothing below this folder.
    """
    return {"virtual": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def logged() -> Iterator[MutableSequence[Any]]:
    """
    What was logged; nothing is printed, since hubs that die hundreds of times have much to say.
    """
    with capture_logs() as entries:
        yield entries
