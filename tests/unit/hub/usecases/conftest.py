"""
Use cases over the store in memory and imaginary surroundings, in time that passes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from perijove.hub.usecases.testing_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """
    Sleeps and timeouts cost nothing below this folder.
    """
    return {"virtual": VirtualTimeLoop}
