"""
Acceptance tests drive a real perijove, as its users and administrators do.

Most share one: starting one is most of a test's time, and people share one in earnest too. Names of users are
the walls between tests. A test that stops or breaks the whole deployment has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.support.rest import LAST_WORDS, OPEN_HOUSE, Rest, WithToken
from tests.support.site import Site, remove_system_users, running_site, unstarted_site

_SHARED: Final = f"""{OPEN_HOUSE}
c.JupyterHub.allow_named_servers = True

def _break(spawner):
    if spawner.user.name.startswith("broken"):
        spawner.cmd = ["/bin/sh", "-c", "echo {LAST_WORDS}; exit 3"]

c.Spawner.pre_spawn_hook = _break
"""


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """One perijove for all who do not stop it."""
    with running_site(_SHARED) as running:
        yield running


@pytest.fixture
def rest(site: Site) -> Iterator[Rest]:
    """A service that may do everything."""
    with Rest(site) as client:
        yield client


@pytest.fixture
def with_token(site: Site) -> Iterator[WithToken]:
    """Makes callers with other tokens, or with none."""
    with ExitStack() as open_ones:
        yield lambda token: open_ones.enter_context(Rest(site, token))


@pytest.fixture
def unstarted() -> Iterator[Site]:
    """A perijove that has not been started."""
    with unstarted_site() as made:
        yield made


@pytest.fixture(scope="session", autouse=True)
def _no_users_left_behind() -> Iterator[None]:
    yield
    remove_system_users()
