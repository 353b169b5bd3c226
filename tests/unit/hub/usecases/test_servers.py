from __future__ import annotations

import asyncio

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
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.usecases.servers import (
    MAX_OPTIONS,
    ChangeServer,
    CreateServer,
    GetServer,
    NamedServerAsker,
    Owner,
    RemoveServer,
)
from perijove.hub.usecases.sign_out import Outbox, Revocations
from perijove.hub.usecases.stop_all import StopAllServers
from tests.unit.hub.usecases.world import World


def revocations(world: World) -> Revocations:
    return Revocations(outboxes=[Outbox(world.proxy)], clock=world.clock)


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


@pytest.mark.parametrize("is_slow", [False, True])
async def test_how_many_named_servers_may_be_computed_for_each_user(*, is_slow: bool) -> None:
    """
    By a function or a coroutine of the administrator's, who sees name, role and groups.
    """
    asked = []

    def limit(asker: NamedServerAsker) -> int:
        asked.append(asker.current_user)
        return 1 if asker.current_user.groups == ("small",) else 0

    async def slow_limit(asker: NamedServerAsker) -> int:
        await asyncio.sleep(0)
        return limit(asker)

    world = World()
    ada, bob = await world.add_user("ada"), await world.add_user("bob")
    async with world.store.unit() as unit:
        group = await unit.groups.put("small", properties={})
        await unit.groups.add_members(group.id, [ada.id])
    policy = ServerPolicy(allow_named_servers=True, named_server_limit_per_user=slow_limit if is_slow else limit)
    create = CreateServer(store=world.store, clock=world.clock, policy=policy)

    for user, name in ((ada, "one"), (bob, "one"), (bob, "two")):
        await create(user, name)
    with pytest.raises(InvalidRequest, match="maximum of 1"):
        await create(ada, "two")
    async with world.hub(policy=policy) as hub:
        with pytest.raises(InvalidRequest, match="maximum of 1"):
            await hub.start(ada, "three")

    assert asked[0] == Owner(name="ada", admin=False, groups=("small",))


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
    remove = RemoveServer(store=world.store, revocations=revocations(world))

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


async def share(world: World, server: Server, *, user: User | None = None, group: str = "") -> None:
    async with world.store.unit() as unit:
        group_id = (await unit.groups.put(group, properties={})).id if group else None
        await unit.shares.put(
            server.id,
            user_id=user.id if user else None,
            group_id=group_id,
            scopes=["access:servers"],
            created=world.clock.now(),
        )


def change(world: World, policy: ServerPolicy = NAMED) -> ChangeServer:
    return ChangeServer(store=world.store, clock=world.clock, policy=policy, revocations=revocations(world))


async def test_a_stopped_server_gets_another_name_and_keeps_the_rest() -> None:
    world = World()
    ada = await world.add_user()
    create = CreateServer(store=world.store, clock=world.clock, policy=NAMED)
    made = await create(ada, "work", options={"a": 1})

    renamed = await change(world)(ada, "work", new_name="play")
    shown = await change(world)(ada, "play", display_name="At play", options={"a": 2})

    assert (renamed.id, renamed.name, renamed.display_name, renamed.user_options) == (made.id, "play", "play", {"a": 1})
    assert renamed.generation >= made.generation
    assert (shown.name, shown.display_name, shown.user_options) == ("play", "At play", {"a": 2})
    assert await world.server(ada, "play") == shown


async def test_a_name_that_was_another_server_s_comes_with_a_generation_of_its_own() -> None:
    """
    The launcher refuses generations of a name that are older than what it has seen of it.
    """
    world = World()
    ada = await world.add_user()
    create = CreateServer(store=world.store, clock=world.clock, policy=NAMED)
    await create(ada, "old")
    await asyncio.sleep(60)
    newer = await create(ada, "work")
    await asyncio.sleep(1)
    await RemoveServer(store=world.store, revocations=revocations(world))(ada, "work")

    renamed = await change(world)(ada, "old", new_name="work")

    assert renamed.generation > newer.generation


async def test_a_server_is_changed_only_while_it_is_stopped() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(policy=NAMED) as hub:
        await hub.start(ada, "")
        with pytest.raises(InvalidRequest, match="Please stop it"):
            await change(world)(ada, "", display_name="Work")


async def test_a_new_name_must_be_free_and_a_name() -> None:
    world = World()
    ada = await world.add_user()
    create = CreateServer(store=world.store, clock=world.clock, policy=NAMED)
    for name in ("work", "play"):
        await create(ada, name)

    with pytest.raises(NoSuchServer):
        await change(world)(ada, "none", new_name="other")
    for taken in ("play", "work", ""):
        with pytest.raises(AlreadyExists):
            await change(world)(ada, "work", new_name=taken)
    with pytest.raises(InvalidServerName):
        await change(world)(ada, "work", new_name="No Name")
    with pytest.raises(InvalidRequest, match="not enabled"):
        await change(world, ServerPolicy())(ada, "work", new_name="other")


async def test_the_default_server_becomes_a_named_one_only_while_there_is_room() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub(policy=NAMED) as hub:
        await hub.start(ada, "")
        await hub.stop.and_wait(ada, "", timeout=10)
    create = CreateServer(store=world.store, clock=world.clock, policy=NAMED)
    await create(ada, "one")

    first = await change(world)(ada, "", new_name="two", display_name="Second")

    assert (first.name, first.display_name) == ("two", "Second")
    async with world.hub(policy=NAMED) as hub:
        await hub.start(ada, "")
        await hub.stop.and_wait(ada, "", timeout=10)
    with pytest.raises(InvalidRequest, match="maximum of 2"):
        await change(world)(ada, "", new_name="three")


@pytest.mark.parametrize("how", ["renamed", "removed"])
async def test_a_visitor_of_a_server_is_none_of_the_next_one_of_its_name(how: str) -> None:
    """
    Identity tokens are made for a name: those of the old server must not open the new one.
    """
    world = World()
    ada, bob, eve = [await world.add_user(name) for name in ("ada", "bob", "eve")]
    work = await CreateServer(store=world.store, clock=world.clock, policy=NAMED)(ada, "work")
    await share(world, work, user=bob)
    await share(world, work, group="class")
    async with world.store.unit() as unit:
        group = await unit.groups.by_name("class")
        assert group is not None
        await unit.groups.add_members(group.id, [eve.id])

    if how == "renamed":
        await change(world)(ada, "work", new_name="play")
    else:
        await RemoveServer(store=world.store, revocations=revocations(world))(ada, "work")

    refused = [(revocation.user, revocation.audience) for revocation in world.proxy.revocations]
    assert refused == [("bob", "ada/work"), ("eve", "ada/work")]


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
