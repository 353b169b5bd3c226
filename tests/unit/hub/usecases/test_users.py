from __future__ import annotations

from dataclasses import replace

import pytest

from perijove.hub.domain.accounts import Account, AccountState
from perijove.hub.domain.errors import AlreadyExists, InvalidName, InvalidRequest, NoSuchUser, NotAllowed
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.users import User
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.testing import START, FakeClock
from perijove.hub.usecases.users import CreateUsers, DeleteUser, GetUser, ListUsers, PatchUser
from tests.unit.hub.usecases.world import Hub, World

ROOT = Principal(kind=Kind.USER, name="root", scopes=frozenset(), user_id=99, admin=True)
HELPER = Principal(kind=Kind.SERVICE, name="helper", scopes=frozenset({"admin:users", "delete:users"}))


def create(world: World) -> CreateUsers:
    return CreateUsers(store=world.store, clock=world.clock)


def delete(hub: Hub, timeout: float = 10) -> DeleteUser:
    return DeleteUser(
        store=hub.store, clock=FakeClock(), stop_server=hub.stop, revocations=hub.revocations, stop_timeout=timeout
    )


def patch(hub: Hub) -> PatchUser:
    return PatchUser(
        store=hub.store,
        clock=FakeClock(),
        revocations=hub.revocations,
        auth_states=AuthStateBook(store=hub.store, vault=None),
    )


async def find(world: World, name: str) -> User | None:
    async with world.store.unit() as unit:
        return await unit.users.by_name(name)


async def make_admin(world: World, user: User) -> None:
    async with world.store.unit() as unit:
        await unit.users.set_admin(user.id, admin=True)


async def test_many_users_are_made_and_existing_ones_left() -> None:
    world = World()
    await world.add_user("ada")

    made = await create(world)(["Ada", " Bob", "eve", "bob"], admin=False, asker=HELPER)

    assert [user.name for user in made] == ["bob", "eve"]
    assert not any(user.admin for user in made)


async def test_making_only_existing_users_is_a_conflict() -> None:
    world = World()
    await world.add_user("ada")

    with pytest.raises(AlreadyExists):
        await create(world)(["ada"], admin=False, asker=HELPER)
    with pytest.raises(AlreadyExists):
        await create(world).one("ada", admin=False, asker=HELPER)


async def test_one_bad_name_makes_nobody() -> None:
    world = World()

    with pytest.raises(InvalidName):
        await create(world)(["ada", "../bob"], admin=False, asker=HELPER)
    with pytest.raises(InvalidRequest):
        await create(world)([], admin=False, asker=HELPER)

    assert await find(world, "ada") is None


async def test_only_administrators_make_administrators() -> None:
    world = World()

    with pytest.raises(NotAllowed):
        await create(world)(["ada"], admin=True, asker=HELPER)
    with pytest.raises(NotAllowed):
        await create(world).one("ada", admin=True, asker=HELPER)

    assert (await create(world).one("Ada", admin=True, asker=ROOT)).admin


async def test_a_user_is_read_with_servers_and_fresh_activity() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        server = await hub.start(ada, "")
        server = await hub.driver.settled(server.id, 10)
        hub.activity.note_user("ada", START)
        get = GetUser(store=hub.store, activity=hub.activity)

        known = await get.known("ada")

        assert known.user == await get("ada") == replace(ada, last_activity=START)
        assert known.servers == (server,)
        with pytest.raises(NoSuchUser):
            await get("nobody")
        with pytest.raises(NoSuchUser):
            await get.known("nobody")


async def test_users_are_listed_with_their_servers_in_two_statements() -> None:
    """
    However many users: a page must not ask once per user.
    """
    world = World()
    for n in range(10):
        user = await world.add_user(f"user{n}")
        async with world.store.unit() as unit:
            await unit.servers.add(user_id=user.id, name="", created=START)
    async with world.hub() as hub:
        page, total = await ListUsers(store=hub.store, activity=hub.activity)(offset=2, limit=3, sort="-name")
        nobody, none = await ListUsers(store=hub.store, activity=hub.activity)(offset=0, limit=3, names=[])

    assert ([known.user.name for known in page], total) == (["user7", "user6", "user5"], 10)
    assert [server.user_name for known in page for server in known.servers] == ["user7", "user6", "user5"]
    assert (list(nobody), none) == ([], 0)


async def test_deleting_a_user_stops_their_servers_and_closes_the_door() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        server = await hub.start(ada, "")
        await hub.driver.settled(server.id, 10)

        await delete(hub)("ada", ROOT)

    assert await find(world, "ada") is None
    assert world.spawners.running() == []
    assert world.proxy.table == {}
    assert [item.user for item in world.proxy.revocations] == ["ada"]


async def test_the_name_of_a_deleted_or_renamed_user_is_kept_from_strangers() -> None:
    """
    Homes are found by name (test_accounts.py has what a retired name means).
    """
    world = World()
    await world.add_user("ada")
    await world.add_user("bob")
    async with world.hub() as hub:
        await delete(hub)("ada", ROOT)
        await patch(hub)("bob", ROOT, new_name="grace")
    async with world.store.unit() as unit:
        gone = [await unit.accounts.get(name) for name in ("ada", "bob")]

    assert [account.state for account in gone if account] == [AccountState.RETIRED, AccountState.RETIRED]


async def test_an_administrator_may_give_a_retired_name_to_somebody() -> None:
    world = World()
    await world.add_user("ada")
    await world.add_user("bob")
    async with world.hub() as hub:
        await delete(hub)("ada", ROOT)
        renamed = await patch(hub)("bob", ROOT, new_name="ada")

    assert renamed.name == "ada"


async def test_a_server_that_does_not_stop_keeps_its_user() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        server = await hub.start(ada, "")
        await hub.driver.settled(server.id, 10)
        world.spawners.is_away = True

        with pytest.raises(InvalidRequest, match="still stopping"):
            await delete(hub, timeout=2)("ada", ROOT)

    assert await find(world, "ada") == ada
    assert (await world.server(ada)).state is State.STOPPING


async def test_nobody_deletes_themselves_or_nobody_or_an_administrator_without_being_one() -> None:
    world = World()
    root = await world.add_user("root")
    await make_admin(world, root)
    async with world.hub() as hub:
        with pytest.raises(InvalidRequest, match="yourself"):
            await delete(hub)("root", ROOT)
        with pytest.raises(NoSuchUser):
            await delete(hub)("nobody", ROOT)
        with pytest.raises(NotAllowed):
            await delete(hub)("root", HELPER)


async def test_a_user_is_renamed_with_account_and_servers() -> None:
    world = World()
    ada = await world.add_user()
    async with world.store.unit() as unit:
        await unit.servers.add(user_id=ada.id, name="", created=START)
        await unit.accounts.put(Account(name="ada", password_hash="x", state=AccountState.ACTIVE, created=START))
    async with world.hub() as hub:
        renamed = await patch(hub)("ada", ROOT, new_name=" Grace")

    assert (renamed.id, renamed.name) == (ada.id, "grace")
    assert (await world.server(renamed)).key == "grace/"
    async with world.store.unit() as unit:
        assert await unit.accounts.get("grace") is not None
    assert [item.user for item in world.proxy.revocations] == ["ada"]


async def test_a_user_whose_server_runs_keeps_their_name() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        await hub.start(ada, "")

        with pytest.raises(InvalidRequest, match="Stop the servers"):
            await patch(hub)("ada", ROOT, new_name="grace")


async def test_a_name_that_is_taken_or_bad_is_refused() -> None:
    world = World()
    await world.add_user("ada")
    await world.add_user("bob")
    async with world.hub() as hub:
        with pytest.raises(InvalidRequest, match="unique"):
            await patch(hub)("ada", ROOT, new_name="bob")
        with pytest.raises(InvalidName):
            await patch(hub)("ada", ROOT, new_name="a/b")
        with pytest.raises(NoSuchUser):
            await patch(hub)("nobody", ROOT, admin=False)


async def test_administrators_are_made_and_unmade_by_administrators() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        with pytest.raises(NotAllowed):
            await patch(hub)("ada", HELPER, admin=True)
        made = await patch(hub)("ada", ROOT, admin=True)
        with pytest.raises(NotAllowed):
            await patch(hub)("ada", HELPER, new_name="grace")
        unmade = await patch(hub)("ada", ROOT, admin=False)

    assert (made.admin, unmade) == (True, ada)
    assert [item.user for item in world.proxy.revocations] == ["ada"]
