from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.errors import AlreadyRunning, InvalidRequest, NoSuchServer, StoreAway
from perijove.hub.domain.lifecycle import Effect, State
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.domain.users import User
from perijove.hub.ports import Exit
from perijove.wire.routes import MINE
from tests.unit.hub.usecases.world import Fuse, Hub, World


async def told(hub: Hub, server_id: int) -> list[ProgressEvent]:
    return [event async for event in hub.driver.progress(server_id)]


async def ready_server(world: World, user: User) -> None:
    async with world.hub() as hub:
        server = await hub.start(user, "")
        await hub.driver.settled(server.id, 10)


async def test_a_started_server_runs_answers_and_is_routed() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 10)

    assert asked.state is State.QUEUED
    assert server.state is State.READY
    assert world.prober.probed == [(server.target, "/user/ada/api")]
    assert world.proxy.table["/user/ada"] == {
        "target": server.target,
        "access": "gated",
        "audience": "ada/",
        "user": "ada",
        "server_name": "",
        MINE: True,
    }
    await world.check()


async def test_a_settled_server_holds_no_lease() -> None:
    """
    Nobody drives it any more, so any hub may take it up when something happens to it.
    """
    world = World()
    ada = await world.add_user()

    await ready_server(world, ada)

    server = await world.server(ada)
    assert (server.lease_holder, server.lease_until) == ("", None)


async def test_a_stopped_server_leaves_no_process_route_or_token() -> None:
    world = World()
    ada = await world.add_user()
    await ready_server(world, ada)

    async with world.hub() as hub:
        stopped = await hub.stop.and_wait(ada, "", timeout=10)

    assert stopped.state is State.STOPPED
    assert stopped.failure == ""
    assert world.proxy.table == {}
    await world.check()


async def test_what_people_agreed_to_with_a_server_is_not_for_the_next_of_its_name() -> None:
    """
    A code is good for minutes: in that time the user may be deleted, and another be given the name.
    """
    world = World()
    ada = await world.add_user()
    await ready_server(world, ada)
    codes = {"theirs": "jupyterhub-user-ada", "others": "jupyterhub-user-bob"}
    async with world.store.unit() as unit:
        for text, client_id in codes.items():
            await unit.oauth_codes.add(
                OAuthCode(
                    code_hash=text,
                    client_id=client_id,
                    user_id=ada.id,
                    session_id="s",
                    redirect_uri="/user/ada/oauth_callback",
                    scopes=(),
                    expires_at=world.clock.now() + timedelta(minutes=5),
                )
            )

    async with world.hub() as hub:
        await hub.stop.and_wait(ada, "", timeout=10)

    async with world.store.unit() as unit:
        assert await unit.oauth_codes.take("theirs") is None
        assert await unit.oauth_codes.take("others") is not None


async def test_asking_again_for_a_start_under_way_starts_nothing_new() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()

    async with world.hub() as hub:
        first = await hub.start(ada, "")
        second = await hub.start(ada, "")
        world.spawners.gate.set()
        await hub.driver.settled(first.id, 10)

    assert first.generation == second.generation
    assert world.spawners.launches == [("ada/", first.generation)]


async def test_a_running_server_cannot_be_started_and_a_stopping_one_must_stop_first() -> None:
    world = World()
    ada = await world.add_user()
    await ready_server(world, ada)

    async with world.hub() as hub:
        with pytest.raises(AlreadyRunning, match="ada/ is already running"):
            await hub.start(ada, "")
        world.spawners.is_away = True
        await hub.stop(ada, "")
        with pytest.raises(InvalidRequest, match="pending stop"):
            await hub.start(ada, "")


async def test_a_stop_interrupts_a_start_that_hangs() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        events = asyncio.ensure_future(told(hub, asked.id))  # noqa: TID251  # the test's own reader
        await asyncio.sleep(1)
        stopped = await hub.stop.and_wait(ada, "", timeout=10)
        story = await events

    assert stopped.state is State.STOPPED
    assert story[-1].message == "Spawn cancelled"
    assert [event.failed for event in story].count(True) == 1
    await world.check()


async def test_a_stop_interrupts_waiting_for_an_answer() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()

    async with world.hub() as hub:
        await hub.start(ada, "")
        await asyncio.sleep(1)
        stopped = await hub.stop.and_wait(ada, "", timeout=10)

    assert stopped.state is State.STOPPED
    await world.check()


async def test_a_failed_launch_keeps_its_reason_and_last_lines() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.fail_with = "no such interpreter"

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        story = await told(hub, asked.id)
        server = await hub.driver.settled(asked.id, 10)

    assert (server.state, server.failure, server.failure_log) == (State.STOPPED, "no such interpreter", ("last words",))
    assert story[-1].failed
    assert story[-1].message == "Spawn failed: no such interpreter"
    assert story[-1].log == ("last words",)
    await world.check()


async def test_a_launch_that_hangs_ends_with_the_start_timeout() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()

    async with world.hub(policy=ServerPolicy(start_timeout=7)) as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 100)

    assert server.state is State.STOPPED
    assert server.failure == "It did not start within 7 seconds."
    assert 7 <= world.clock.monotonic() < 8


async def test_a_server_that_never_answers_ends_with_the_http_timeout_and_shows_its_log() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()

    async with world.hub(policy=ServerPolicy(http_timeout=3)) as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 100)

    assert server.failure == "It did not answer within 3 seconds."
    assert server.failure_log == ("stopping",)
    await world.check()


async def test_a_server_that_exits_at_once_tells_why() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.die_at_once = True
    world.prober.gate.clear()

    async with world.hub(watching=True) as hub:
        asked = await hub.start(ada, "")
        story = await told(hub, asked.id)
        server = await hub.driver.settled(asked.id, 10)

    assert server.failure == "It ended while it started. It crashed."
    assert story[-1].log == ("Traceback", "MemoryError")
    await world.check()


async def test_a_launcher_that_is_back_in_time_is_no_failure() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.is_away = True

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        await asyncio.sleep(2)
        world.spawners.is_away = False
        server = await hub.driver.settled(asked.id, 100)

    assert server.state is State.READY


async def test_a_launcher_that_stays_away_is_told_and_cleaned_up_after() -> None:
    """
    Whoever waits hears of it after the start timeout; the row stays honest until the launcher can be asked.
    """
    world = World()
    ada = await world.add_user()
    world.spawners.is_away = True

    async with world.hub(policy=ServerPolicy(start_timeout=5)) as hub:
        asked = await hub.start(ada, "")
        story = await told(hub, asked.id)
        between = await world.server(ada)
        world.spawners.is_away = False
        server = await hub.driver.settled(asked.id, 100)

    assert "launcher does not answer" in story[-1].message
    assert between.state is State.STOPPING
    assert server.state is State.STOPPED
    await world.check()


async def test_a_proxy_that_is_back_in_time_is_no_failure() -> None:
    world = World()
    ada = await world.add_user()
    world.proxy.is_away = True

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        await asyncio.sleep(2)
        world.proxy.is_away = False
        server = await hub.driver.settled(asked.id, 100)

    assert server.state is State.READY
    await world.check()


async def test_a_proxy_that_stays_away_ends_the_start() -> None:
    world = World()
    ada = await world.add_user()
    world.proxy.is_away = True

    async with world.hub(policy=ServerPolicy(http_timeout=3)) as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 100)

    assert server.state is State.STOPPED
    assert server.failure == "The proxy does not answer right now."
    await world.check()


async def test_a_bug_in_a_plug_in_ends_one_start_only(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    ada, bob = await world.add_user(), await world.add_user("bob")
    launch = world.spawners.launch

    async def broken(plan: object) -> object:
        if plan.user.name == "ada":  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return await launch(plan)  # type: ignore[arg-type]

    monkeypatch.setattr(world.spawners, "launch", broken)
    async with world.hub() as hub:
        one, other = await hub.start(ada, ""), await hub.start(bob, "")
        failed = await hub.driver.settled(one.id, 10)
        fine = await hub.driver.settled(other.id, 10)

    assert failed.state is State.STOPPED
    assert "unexpected error" in failed.failure
    assert fine.state is State.READY


async def test_progress_tells_history_first_and_ends_once() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.told = [(60, "Pulling the image")]
    world.spawners.gate.clear()

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        await asyncio.sleep(1)
        readers = [asyncio.ensure_future(told(hub, asked.id)) for _ in range(3)]  # noqa: TID251  # the test's own readers
        world.spawners.gate.set()
        stories = await asyncio.gather(*readers)
        late = await told(hub, asked.id)

    assert stories[0] == stories[1] == stories[2]
    assert [event.message for event in stories[0]] == [
        "Server requested",
        "Spawning server...",
        "Pulling the image",
        "Waiting for the server to answer...",
        "Opening the way to the server...",
        "Server ready at /user/ada/",
    ]
    assert [event.ready for event in stories[0]].count(True) == 1
    assert late == stories[0][-1:]


async def test_progress_of_a_server_that_is_not_starting_is_refused() -> None:
    world = World()
    ada = await world.add_user()
    await ready_server(world, ada)

    async with world.hub() as hub:
        stopped = await hub.stop.and_wait(ada, "", timeout=10)
        with pytest.raises(InvalidRequest, match="not starting"):
            await told(hub, stopped.id)
        with pytest.raises(NoSuchServer):
            await told(hub, 999)


async def test_starts_beyond_the_limit_wait_in_line_and_hear_their_place() -> None:
    world = World()
    users = [await world.add_user(name) for name in ("ada", "bob", "eve")]
    world.prober.gate.clear()

    async with world.hub(policy=ServerPolicy(concurrent_spawn_limit=1)) as hub:
        servers = [await hub.start(user, "") for user in users]
        await asyncio.sleep(1)
        launched_first = list(world.spawners.launches)
        reader = asyncio.ensure_future(told(hub, servers[2].id))  # noqa: TID251  # the test's own reader
        await asyncio.sleep(0.1)
        world.prober.gate.set()
        ends = [await hub.driver.settled(server.id, 10) for server in servers]
        story = await reader

    assert [key for key, _ in launched_first] == ["ada/"]
    assert [server.state for server in ends] == [State.READY] * 3
    assert [key for key, _ in world.spawners.launches] == ["ada/", "bob/", "eve/"]
    assert [event.message for event in story if "line" in event.message] == [
        "Waiting in line: 1 before you",
        "Waiting in line: 0 before you, about 2 s",
    ]


async def test_a_crash_of_a_ready_server_is_heard() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        asked = await hub.start(ada, "")
        await hub.driver.settled(asked.id, 10)
        world.spawners.die("ada/", Exit(message="killed for memory: 512 of 512 MB", log_tail=("Killed",)))
        await asyncio.sleep(0.1)

    server = await world.server(ada)
    assert (server.state, server.failure) == (State.STOPPED, "killed for memory: 512 of 512 MB")
    await world.check()


async def test_a_crash_while_the_database_is_away_is_recorded_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    ada = await world.add_user()

    def away() -> Any:
        raise StoreAway

    async with world.hub(watching=True) as hub:
        asked = await hub.start(ada, "")
        await hub.driver.settled(asked.id, 10)
        with monkeypatch.context() as gone:
            gone.setattr(world.store, "unit", away)
            world.spawners.die("ada/", Exit(message="killed for memory"))
            await asyncio.sleep(5)
        await asyncio.sleep(2)

    server = await world.server(ada)
    assert (server.state, server.failure) == (State.STOPPED, "killed for memory")
    await world.check()


async def test_a_crash_that_nobody_heard_of_is_found_by_polling() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        asked = await hub.start(ada, "")
        await hub.driver.settled(asked.id, 10)
        world.spawners.die("ada/", silently=True)
        await asyncio.sleep(31)

    assert (await world.server(ada)).state is State.STOPPED
    await world.check()


async def test_a_launcher_that_is_away_is_no_proof_of_a_crash() -> None:
    world = World()
    ada = await world.add_user()
    await ready_server(world, ada)
    world.spawners.is_away = True

    async with world.hub() as hub:
        await hub.driver.watch.poll_ready()

    assert (await world.server(ada)).state is State.READY


async def test_the_server_of_a_user_deleted_meanwhile_is_not_started() -> None:
    world = World()
    ada, bob = await world.add_user(), await world.add_user("bob")
    world.spawners.gate.clear()

    async with world.hub(policy=ServerPolicy(concurrent_spawn_limit=1)) as hub:
        await hub.start(bob, "")
        await asyncio.sleep(0.1)
        await hub.start(ada, "")
        async with world.store.unit() as unit:
            await unit.users.delete(ada.id)
        world.spawners.gate.set()
        await asyncio.sleep(1)

    assert [key for key, _ in world.spawners.launches] == ["bob/"]
    await world.check()


async def test_a_route_that_takes_too_long_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    ada = await world.add_user()

    async def hang(_route: object) -> None:
        await asyncio.sleep(100)

    monkeypatch.setattr(world.proxy, "add", hang)
    async with world.hub(policy=ServerPolicy(http_timeout=3)) as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 1000)

    assert server.failure == "The proxy did not take its route in time."
    await world.check()


async def test_waiting_for_a_server_ends_with_its_time_or_with_the_server() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        waited = await hub.driver.settled(asked.id, 2.5)
        before = world.clock.monotonic()
        at_once = await hub.driver.settled(asked.id, 0)
        after = world.clock.monotonic()

        assert (waited.state, at_once.state, after - before) == (State.LAUNCHING, State.LAUNCHING, 0)
        with pytest.raises(NoSuchServer):
            await hub.driver.settled(999, 1)


async def test_an_exit_of_an_older_generation_changes_nothing() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        for _ in range(2):
            asked = await hub.start(ada, "")
            await hub.driver.settled(asked.id, 10)
            stopped = await hub.stop.and_wait(ada, "", timeout=10)
        asked = await hub.start(ada, "")
        await hub.driver.settled(asked.id, 10)
        world.spawners._exits.put_nowait(("ada/", stopped.generation, Exit(message="late news")))
        world.spawners._exits.put_nowait(("ada/work", 1, Exit(message="unknown")))
        await asyncio.sleep(0.1)

    assert (await world.server(ada)).state is State.READY


async def test_a_restarted_hub_leaves_running_servers_alone() -> None:
    """
    People keep working: no launch, no termination, no probe, no new route, no new generation.
    """
    world = World()
    ada = await world.add_user()
    await ready_server(world, ada)
    before = await world.server(ada)
    world.spawners.launches.clear()
    world.prober.probed.clear()

    async with world.hub(watching=True):
        await asyncio.sleep(100)

    assert await world.server(ada) == before
    assert world.spawners.launches == []
    assert world.spawners.terminations == []
    assert world.prober.probed == []


async def test_another_hub_takes_over_only_when_the_lease_has_ended() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()
    policy = ServerPolicy(lease_seconds=10)
    async with world.hub(policy=policy, name="one") as first:
        await first.start(ada, "")
        await asyncio.sleep(1)

    async with world.hub(policy=policy, name="two", watching=True):
        await asyncio.sleep(5)
        early = await world.server(ada)
        world.spawners.gate.set()
        await asyncio.sleep(10)

    assert early.lease_holder == "one#1"
    assert (await world.server(ada)).state is State.READY
    await world.check()


async def test_a_lease_from_the_future_lasts_no_longer_than_any_other() -> None:
    """
    The hub that granted it is gone, and so is its clock: without this the server would be stuck for years.
    """
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()
    async with world.hub(name="one") as first:
        await first.start(ada, "")
        await asyncio.sleep(1)
    left = await world.server(ada)
    async with world.store.unit() as unit:
        await unit.servers.swap(left, replace(left, lease_until=world.clock.now() + timedelta(days=4000)))
    world.spawners.gate.set()

    async with world.hub(name="two", watching=True):
        await asyncio.sleep(10)

    assert (await world.server(ada)).state is State.READY
    await world.check()


async def test_a_launch_that_comes_late_after_a_stop_leaves_no_process() -> None:
    """
    The request has left the hub when the stop is decided: what it makes would run for ever, unknown to anybody.
    """
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()

    async with world.hub() as hub:
        await hub.start(ada, "")
        await asyncio.sleep(1)
        await hub.stop.and_wait(ada, "", timeout=10)
        world.spawners.gate.set()
        await asyncio.sleep(1)

    assert world.spawners.launches == []
    await world.check()


async def test_a_launch_that_was_overtaken_makes_no_token() -> None:
    """
    Tokens end with their server: one that is made after its end would live for ever.
    """
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        asked = await hub.start(ada, "")
        await hub.driver.settled(asked.id, 10)
        await hub.stop.and_wait(ada, "", timeout=10)
        await hub.driver._effects.perform(Effect.LAUNCH, asked)

    await world.check()


async def test_a_hub_that_lost_its_lease_changes_nothing_any_more() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()
    policy = ServerPolicy(lease_seconds=10)

    async with world.hub(policy=policy, name="slow", renewing=False) as slow:
        asked = await slow.start(ada, "")
        async with world.hub(policy=policy, name="quick") as quick:
            await asyncio.sleep(20)
            await quick.driver.recover()
            taken = await world.server(ada)
            world.prober.gate.set()
            server = await quick.driver.settled(asked.id, 10)

    assert taken.lease_holder == "quick#1"
    assert server.state is State.READY
    await world.check()


async def test_a_hub_under_way_renews_its_leases() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()

    async with world.hub(policy=ServerPolicy(lease_seconds=10), watching=True) as hub:
        await hub.start(ada, "")
        await asyncio.sleep(25)
        server = await world.server(ada)

    assert server.lease_until is not None
    assert server.lease_until > world.clock.now()


Scenario = Callable[[Hub, User], Coroutine[Any, Any, None]]


async def just_start(hub: Hub, user: User) -> None:
    server = await hub.start(user, "")
    await hub.driver.settled(server.id, 60)


async def start_and_stop(hub: Hub, user: User) -> None:
    await just_start(hub, user)
    await hub.stop.and_wait(user, "", timeout=60)


async def start_twice(hub: Hub, user: User) -> None:
    await start_and_stop(hub, user)
    await just_start(hub, user)


async def start_and_change_ones_mind(hub: Hub, user: User) -> None:
    await hub.start(user, "")
    await asyncio.sleep(0)
    await hub.stop.and_wait(user, "", timeout=60)


SCENARIOS = (just_start, start_and_stop, start_twice, start_and_change_ones_mind)


async def play(world: World, scenario: Scenario, fuse: Fuse, user: User) -> None:
    """Until the scenario or the hub is over."""
    async with world.hub(fuse=fuse) as hub:
        playing = hub.tasks.start("scenario", scenario(hub, user))
        dead = hub.tasks.start("death", fuse.blown.wait())
        await asyncio.wait({playing, dead}, return_when=asyncio.FIRST_COMPLETED)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_hub_killed_anywhere_leads_to_the_same_end(scenario: Scenario) -> None:
    """
    Kill -9 between any two things that the hub does: the next hub goes on from what is recorded.
    No server is lost, none runs twice, no route leads nowhere, no token outlives its server.
    """
    whole = Fuse()
    world = World()
    await play(world, scenario, whole, await world.add_user())

    for point in range(1, whole.burnt + 1):
        world = World()
        ada = await world.add_user()
        await play(world, scenario, Fuse(point), ada)
        async with world.hub(watching=True):
            await asyncio.sleep(60)

        await world.check()


@pytest.mark.parametrize("failing", ["fail_with", "die_at_once"])
async def test_a_hub_killed_anywhere_in_a_failing_start_cleans_up(failing: str) -> None:
    whole = Fuse()
    world = World()
    setattr(world.spawners, failing, "broken")
    await play(world, just_start, whole, await world.add_user())

    for point in range(1, whole.burnt + 1):
        world = World()
        setattr(world.spawners, failing, "broken")
        ada = await world.add_user()
        await play(world, just_start, Fuse(point), ada)
        async with world.hub(watching=True):
            await asyncio.sleep(100)

        await world.check()
