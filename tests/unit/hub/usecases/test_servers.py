from __future__ import annotations

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import (
    AlreadyExists,
    AlreadyRunning,
    InvalidRequest,
    InvalidServerName,
    NoSuchServer,
    TooManyServers,
)
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.usecases.servers import MAX_OPTIONS, CreateServer, GetServer, RemoveServer
from perijove.hub.usecases.sign_out import Revocations
from perijove.hub.usecases.stop_all import StopAllServers
from tests.unit.hub.usecases.world import World

NAMED = ServerPolicy(allow_named_servers=True, named_server_limit_per_user=2)


async def test_named_servers_run_beside_the_default_one() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(policy=NAMED) as hub:
        for name in ("", "work"):
            server = await hub.start(ada, name)
            await hub.driver.settled(server.id, 10)

    assert sorted(world.proxy.table) == ["/user/ada", "/user/ada/work"]
    assert world.spawners.running() == ["ada/", "ada/work"]
    await world.check()


async def test_named_servers_need_to_be_allowed_and_named_well() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        with pytest.raises(InvalidRequest, match="not enabled"):
            await hub.start(ada, "work")
    async with world.hub(policy=NAMED) as hub:
        with pytest.raises(InvalidServerName):
            await hub.start(ada, "../work")


async def test_a_user_has_so_many_named_servers() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(policy=NAMED) as hub:
        for name in ("", "one", "two"):
            await hub.start(ada, name)
        with pytest.raises(InvalidRequest, match="maximum of 2"):
            await hub.start(ada, "three")


async def test_options_and_display_name_are_kept_until_given_anew() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(policy=NAMED) as hub:
        await hub.start(ada, "", options={"memory": 2}, display_name="Work")
        await hub.stop.and_wait(ada, "", timeout=10)
        kept = await hub.start(ada, "")
        await hub.stop.and_wait(ada, "", timeout=10)
        changed = await hub.start(ada, "", options={}, display_name="")

    assert (kept.user_options, kept.display_name) == ({"memory": 2}, "Work")
    assert (changed.user_options, changed.display_name, changed.generation) == ({}, "", kept.generation + 1)


async def test_endless_options_are_refused() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        with pytest.raises(InvalidRequest, match="user_options"):
            await hub.start(ada, "", options={"x": "x" * MAX_OPTIONS})


async def test_a_new_start_forgets_the_last_failure() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.fail_with = "no"

    async with world.hub() as hub:
        failed = await hub.driver.settled((await hub.start(ada, "")).id, 10)
        world.spawners.fail_with = ""
        again = await hub.driver.settled((await hub.start(ada, "")).id, 10)

    assert failed.failure == "no"
    assert (again.state, again.failure, again.failure_log) == (State.READY, "", ())


async def test_the_limit_on_active_servers_counts_those_on_their_way() -> None:
    world = World()
    users = [await world.add_user(name) for name in ("ada", "bob", "eve")]

    async with world.hub(policy=ServerPolicy(active_server_limit=2)) as hub:
        for user in users[:2]:
            await hub.start(user, "")
        with pytest.raises(TooManyServers):
            await hub.start(users[2], "")
        await hub.stop.and_wait(users[0], "", timeout=10)

        assert (await hub.start(users[2], "")).state is State.QUEUED


async def test_stopping_what_does_not_run_is_fine_and_what_is_not_there_is_not() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        with pytest.raises(NoSuchServer):
            await hub.stop(ada, "")
        await hub.start(ada, "")
        await hub.stop.and_wait(ada, "", timeout=10)

        assert (await hub.stop(ada, "")).state is State.STOPPED
        assert (await hub.stop.and_wait(ada, "", timeout=10)).state is State.STOPPED


async def test_a_named_server_is_made_without_starting() -> None:
    world = World()
    ada = await world.add_user()
    create = CreateServer(store=world.store, clock=world.clock, policy=NAMED)

    server = await create(ada, "work", display_name="Work", options={"a": 1})

    assert server == await world.server(ada, "work")
    assert (server.state, server.display_name, server.user_options) == (State.STOPPED, "Work", {"a": 1})
    for name in ("work", ""):
        with pytest.raises(AlreadyExists):
            await create(ada, name)
    with pytest.raises(InvalidRequest, match="not enabled"):
        await CreateServer(store=world.store, clock=world.clock, policy=ServerPolicy())(ada, "other")


async def test_only_a_stopped_named_server_is_removed() -> None:
    world = World()
    ada = await world.add_user()
    remove = RemoveServer(store=world.store, revocations=Revocations(outboxes=[], clock=world.clock))

    async with world.hub(policy=NAMED) as hub:
        await hub.start(ada, "work")
        with pytest.raises(InvalidRequest, match="not stopped"):
            await remove(ada, "work")
        await hub.stop.and_wait(ada, "work", timeout=10)
        await remove(ada, "work")

    with pytest.raises(NoSuchServer):
        await remove(ada, "work")
    with pytest.raises(InvalidRequest, match="default"):
        await remove(ada, "")


async def test_a_server_is_read_with_fresh_activity() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        server = await hub.driver.settled((await hub.start(ada, "")).id, 10)
        get = GetServer(store=hub.store, activity=hub.activity)

        assert await get(ada, "") == server
        with pytest.raises(NoSuchServer):
            await get(ada, "other")


# -- the audit log -------------------------------------------------------------------------------------------------


async def told(world: World) -> list[tuple[Action, str, str, str]]:
    """Oldest first: what, by whom, whose server and which, and why."""
    async with world.store.reading() as unit:
        entries = await unit.audit.page(limit=99)
    return [
        (row.action, row.actor, f"{row.target}/{row.detail['server']}", str(row.detail.get("why", "")))
        for row in reversed(entries)
    ]


async def test_starts_and_stops_are_told_with_who_asked_and_only_if_they_change_something() -> None:
    world = World()
    ada = await world.add_user()
    root = Principal(kind=Kind.USER, name="root", scopes=frozenset())

    async with world.hub(policy=NAMED) as hub:
        await hub.start(ada, "work", by=root)
        await hub.driver.settled((await hub.start(ada, "work", by=root)).id, 10)
        with pytest.raises(AlreadyRunning):
            await hub.start(ada, "work", by=root)
        await hub.stop.and_wait(ada, "work", timeout=10, by=root)
        await hub.stop(ada, "work", by=root)
        server = await hub.driver.settled((await hub.start(ada, "")).id, 10)
        await hub.stop.if_due(server, lambda _: "It was idle.")

    assert await told(world) == [
        (Action.SERVER_STARTED, "root", "ada/work", ""),
        (Action.SERVER_STOPPED, "root", "ada/work", ""),
        (Action.SERVER_STARTED, "", "ada/", ""),
        (Action.SERVER_STOPPED, "", "ada/", "It was idle."),
    ]


async def test_stops_at_the_end_of_perijove_are_told() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        await hub.driver.settled((await hub.start(ada, "")).id, 10)
        await StopAllServers(store=world.store, stop_server=hub.stop)(timeout=10)

    assert (await told(world))[-1] == (Action.SERVER_STOPPED, "", "ada/", "perijove was stopped")
