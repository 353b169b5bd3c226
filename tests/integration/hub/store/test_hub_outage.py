"""
The hub while its database goes and comes back: what it has said yes to happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import AlreadyRunning, HubError
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.users import User
from perijove.hub.store.schema import upgrade
from perijove.hub.store.sql import SqlStore
from tests.support.postgres import Postgres, running_postgres
from tests.unit.hub.usecases.world import Hub, World

pytestmark = pytest.mark.timeout(120)
#: seconds after which everything has come to its end
PATIENCE = 60
POLICY = ServerPolicy(lease_seconds=1.5)


@pytest.fixture
def server() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.mark.parametrize("disturb", ["restart", "cut"])
async def test_every_start_that_was_answered_comes_to_its_end(server: Postgres, disturb: str) -> None:
    """
    Between its being recorded and its being ready, each has several units; the outage falls into all of them.
    """
    name = server.create()
    await asyncio.to_thread(upgrade, server.url(name))
    async with SqlStore(server.url(name)) as store:
        world = World(store)
        people = [await world.add_user(f"user{number}") for number in range(12)]
        with capture_logs():
            async with world.hub(policy=POLICY, watching=True) as hub:
                async with asyncio.timeout(PATIENCE):
                    for number, user in enumerate(people):
                        await insist(hub, user)
                        if number % 4 == 0:
                            await asyncio.to_thread(DISTURBANCES[disturb], server, name)
                    await settle(store, people)
                await hub.reconciler.once()
        await world.check()
        async with store.reading() as unit:
            assert await unit.servers.count_in([State.READY]) == len(people)


async def insist(hub: Hub, user: User) -> None:
    """Ask for a start until it is answered, as people do."""
    while True:
        try:
            await hub.start(user, "")
        except AlreadyRunning:
            return
        except HubError:
            # Refused, or done and the answer lost: nobody knows.
            await asyncio.sleep(0.05)
        else:
            return


async def settle(store: SqlStore, people: list[User]) -> None:
    """Until everybody's is ready."""
    while True:
        if await is_quiet(store, people):
            return
        await asyncio.sleep(0.1)


async def is_quiet(store: SqlStore, answered: list[User]) -> bool:
    """Whether every server that was answered for is ready, and none is on its way."""
    try:
        async with store.reading() as unit:
            rows = await unit.servers.in_states(State)
    except HubError:
        return False
    ready = {row.user_name for row in rows if row.state is State.READY}
    settled = all(row.state in (State.READY, State.STOPPED) for row in rows)
    return settled and {user.name for user in answered} <= ready


def restart(server: Postgres, _name: str) -> None:
    server.stop("immediate")
    server.start()


def cut(server: Postgres, name: str) -> None:
    server.terminate(name)


DISTURBANCES = {"restart": restart, "cut": cut}
