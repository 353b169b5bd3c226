from __future__ import annotations

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.tokens import ApiToken, with_duties
from perijove.hub.domain.users import User
from tests.unit.hub.usecases.world import World


async def tokens_of(world: World, user: User) -> list[ApiToken]:
    async with world.store.unit() as unit:
        return list(await unit.tokens.of_user(user.id))


async def started(world: World, user: User) -> State:
    async with world.hub() as hub:
        row = await hub.start(user, "")
        return (await hub.driver.settled(row.id, 10)).state


async def test_a_servers_own_token_may_do_what_is_configured_and_its_duties() -> None:
    """
    Contract a: `users:activity!user` is always in it.
    """
    world = World()
    ada = await world.add_user()
    world.spawners.own_scopes = ("read:servers!user",)

    state = await started(world, ada)

    assert state is State.READY
    assert [token.scopes for token in await tokens_of(world, ada)] == [with_duties(["read:servers!user"])]


async def test_a_server_whose_permissions_cannot_be_told_does_not_start() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.wrong_scopes = "The trait server_token_scopes is wrong."

    async with world.hub() as hub:
        row = await hub.start(ada, "")
        settled = await hub.driver.settled(row.id, 10)

    assert (settled.state, settled.failure) == (State.STOPPED, "The trait server_token_scopes is wrong.")
    assert (world.spawners.launches, await tokens_of(world, ada)) == ([], [])


async def test_a_server_that_stops_loses_what_it_was_given_as_an_oauth_client() -> None:
    world = World()
    ada, eve = await world.add_user("ada"), await world.add_user("eve")
    async with world.hub() as hub:
        row = await hub.start(ada, "")
        await hub.driver.settled(row.id, 10)
        async with world.store.unit() as unit:
            for client_id in ("jupyterhub-user-ada", "jupyterhub-user-eve", "service-grades"):
                await unit.tokens.add(
                    user_id=eve.id,
                    prefix="",
                    token_hash=client_id,
                    scopes=(),
                    note="",
                    created=world.clock.now(),
                    client_id=client_id,
                )
        await hub.stop.and_wait(ada, "", timeout=10)

    assert [token.client_id for token in await tokens_of(world, eve)] == ["jupyterhub-user-eve", "service-grades"]
