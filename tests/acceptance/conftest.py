"""
Acceptance tests drive a real perijove, as its users and administrators do.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.site import remove_system_users


@pytest.fixture(scope="session", autouse=True)
def _no_users_left_behind() -> Iterator[None]:
    yield
    remove_system_users()
